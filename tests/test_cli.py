"""The commands as a user meets them: stdout, stderr, exit codes, and the sentence of every error."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from spellout.app import progress
from spellout.training.plans.machine import Machine


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def run_folder(command, names_file, tmp_path):
    folder = tmp_path / "run"
    assert command("train", names_file, "-o", folder, "--model", "ngram", "--order", 4)[0] == 0
    return folder


def test_make_prints_ten_new_names_from_the_bundled_list(command, monkeypatch):
    monkeypatch.setattr("spellout.training.best.EPOCHS", 1)
    monkeypatch.setattr("spellout.training.plans.choice.SEVERAL", 1000.0)
    monkeypatch.setattr("spellout.training.plans.machine.Machine.here", lambda: Machine())
    code, out, err = command("make", "--seconds", 600)  # so that a busy machine has time too
    lines = out.splitlines()
    assert code == 0
    assert len(set(lines)) == 10
    assert "29,910 lines" in err
    ngram, best = re.findall(r"new lines ([\d.]+) nats", err)
    assert float(best) <= float(ngram)
    (used,) = re.findall(r"\n(\S*counts) makes the lines\n", err)
    assert err.index("it makes lines like ") < err.index(f"\n{used}: ")
    from spellout.data.lines import Lines

    assert not set(lines) & set(Lines.bundled().distinct)


def test_make_without_time_is_the_ngram(command, names_file):
    code, out, err = command("make", names_file, "--seconds", 0)
    assert (code, len(out.splitlines())) == (0, 10)
    assert "ngram, order" in err
    assert "mlp" not in err
    assert out == command("make", names_file, "--model", "ngram")[1]
    code, out, err = command("make", names_file, "--seconds", 0.5)
    assert (code, len(out.splitlines())) == (0, 10)
    assert "too little time is left to improve on it: give more --seconds" in err
    code, out, err = command("make", names_file, "--seconds", -1)
    assert (code, out) == (2, "")
    assert "--seconds" in err


def test_make_is_repeatable_and_seeded(command, names_file):
    make = "make", names_file, "-n", 5, "--seconds", 600  # of which a few names need one
    code, first, err = command(*make)
    assert (code, "\nmlp:128:members=4+counts makes the lines\n" in err) == (0, True)
    assert command(*make)[1] == first
    assert command(*make, "--seed", 1)[1] != first


def test_make_with_every_option(command, names_file, tmp_path):
    options = ["--prefix", "A", "--temperature", 0.9, "--top-k", 20, "--top-p", 0.99, "--max-length", 9, "--json"]
    code, out, _ = command("make", names_file, "-n", 4, *options, "--nearest", "-o", tmp_path / "kept")
    assert code == 0
    for row in rows_of(out):
        assert row.keys() == {"line", "complete", "nearest", "distance"}
        assert row["line"].startswith("A")
        assert len(row["line"]) <= 9
        assert row["distance"] > 0
    assert command("sample", tmp_path / "kept", "-n", 2)[0] == 0


def test_make_from_standard_input(command, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"anna\nhannah\n" * 20)))
    code, out, err = command("make", "-", "-n", 2)
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "standard input: 40 lines, 2 different" in err


def test_make_by_words_and_bytes(command, tmp_path):
    path = tmp_path / "towns.txt"
    path.write_text("".join(f"{a} {b}\n" for a in ("New", "Old", "Great") for b in ("York", "Delhi", "Ely", "Bow")))
    code, out, _ = command("make", path, "--unit", "word", "-n", 1, "--no-novel")
    assert code == 0
    assert set(out.split()) <= {"New", "Old", "Great", "York", "Delhi", "Ely", "Bow"}
    assert command("make", path, "--unit", "byte", "-n", 3)[0] == 0


def test_look_tells_what_is_in_a_file(command, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("ab\n" * 3 + "".join(f"b{i}\n" for i in range(20)))
    code, out, _ = command("look", path)
    assert code == 0
    for fragment in ("23, 21 different", "2 (8.7%): ab ×3", "length", "floor", "n-gram", "    ¶ 0 1"):
        assert fragment in out
    assert next(line for line in out.splitlines() if line.startswith("  a ")).endswith("██")  # always a b
    (row,) = rows_of(command("look", path, "--json")[1])
    assert (row["lines"], row["distinct"], row["repeated"]) == (23, 21, [{"line": "ab", "times": 3}])
    assert row["floor"]["nats_per_char"] > 0


def test_train_sample_score_why(command, run_folder, names_file, tmp_path):
    code, out, _ = command("sample", run_folder, "-n", 20, "--novel", "--unique", "--json")
    assert code == 0
    assert len({row["line"] for row in rows_of(out)}) == 20
    code, out, _ = command("sample", run_folder, "-n", 3, "--nearest")
    assert all(len(line.split("\t")) == 3 for line in out.splitlines())

    path = tmp_path / "to score.txt"
    path.write_text("Emma\nXzvjk\nAnna\n")
    code, out, _ = command("score", run_folder, path, "--sort", "surprise")
    assert code == 0
    assert out.splitlines()[1].split("\t")[2] == "Xzvjk"
    assert [row["line"] for row in rows_of(command("score", run_folder, path, "--json")[1])] == [
        "Emma",
        "Xzvjk",
        "Anna",
    ]
    likely = rows_of(command("score", run_folder, path, "--json", "--sort", "likely")[1])
    assert likely[-1]["line"] == "Xzvjk"

    assert command("why", run_folder, "Emma", "--top", 0)[::2] == (2, "spellout: --top 0: must be at least 1\n")
    code, out, err = command("why", run_folder, "Emma", "--top", 2)
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["letter", "E", "m", "m", "a", "¶"]
    assert "bits in all" in err
    steps = rows_of(command("why", run_folder, "Emma", "--json")[1])
    assert sum(step["bits"] for step in steps) == pytest.approx(
        sum(rows_of(command("score", run_folder, path, "--json")[1])[0]["bits"])
    )


@pytest.mark.parametrize(("unit", "token"), [("char", "letter"), ("byte", "byte"), ("word", "word")])
def test_why_speaks_of_the_unit_of_the_run(command, tmp_path, unit, token):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"the dog {one}\n" for one in "abcdefghijkl"), encoding="utf-8")
    command("train", path, "-o", tmp_path / "run", "--unit", unit, "--model", "ngram:2")
    _, out, err = command("why", tmp_path / "run", "the dog")
    assert out.startswith(f"{token}\t")
    assert f" a {token};" in err or f" a {token}\n" in err


def test_train_prints_its_results_as_json(command, names_file, tmp_path):
    code, out, _ = command("train", names_file, "-o", tmp_path / "run", "--model", "ngram:3", "--json")
    (row,) = rows_of(out)
    assert code == 0
    assert row["results"]["dev"]["nats_per_char"] > 0
    assert row["results"]["new_lines"]["sharpness"] == 1.0  # so few lines say nothing
    assert row["specification"] == "ngram:3"


def test_train_streaming(command, names_file, tmp_path):
    code, _, err = command("train", names_file, "-o", tmp_path / "run", "--stream", "--order", 3)
    assert code == 0
    assert "split none" in err
    assert command("sample", tmp_path / "run", "-n", 3)[0] == 0
    code, _, err = command("sample", tmp_path / "run", "--novel")
    assert code == 1
    assert "--stream" in err


def decisive(row):
    """The loss that decides between the rows of a comparison."""
    return row["new_lines"]["nats_per_char"]


def test_compare_is_one_row_a_model(command, names_file):
    code, out, _ = command("compare", names_file, "--models", "ngram:2, ngram:3,ngram", "--json")
    rows = rows_of(out)
    assert code == 0
    assert len(rows) == 3 or decisive(rows[3]) < min(map(decisive, rows[:3]))
    asked = rows_of(command("compare", names_file, "--models", "ngram:2, ngram:3,ngram", "--mixture", "--json")[1])
    assert [row["model"] for row in asked[:3]] == ["ngram:2", "ngram:3", "ngram"]
    best = sorted(asked[:3], key=decisive)[:2]
    mixture = " & ".join(row["model"] for row in best)
    assert [row["model"] for row in asked[3:]] == [mixture]
    assert asked[3]["settings"]["kind"] in ("product", "mixture")
    assert all(weight >= 0 for weight in asked[3]["settings"]["weights"])
    assert [row["model"] for row in rows] == ["ngram:2", "ngram:3", "ngram", mixture][: len(rows)]
    keys = {
        "model",
        "parameters",
        "nats_per_char",
        "bits_per_char",
        "perplexity",
        "seconds",
        "split",
        "unique",
        "novel",
    }
    assert all(keys <= row.keys() and row["split"] == "dev" for row in rows)
    on_test = rows_of(command("compare", names_file, "--models", "ngram:2", "--on", "test", "--json")[1])
    assert on_test[0]["split"] == "test"
    assert on_test[0]["nats_per_char"] != rows[0]["nats_per_char"]
    table = command("compare", names_file, "--models", "ngram:2", "--split", "lecture")[1].splitlines()
    assert table[0].split("\t")[:4] == ["model", "split", "parameters", "as it is"]


WRONG_DATA = {
    "missing": (None, "no such file"),
    "empty": (b"", "holds no lines"),
    "blank": (b"\n \n", "holds no lines"),
    "one line": (b"anna\n", "only one line"),
    "one line repeated": (b"anna\nanna\n", "only one line"),
    "binary": (b"ab\0\1\2\n", "binary file"),
    "not UTF-8": (b"anna\nzo\xe9\n", "line 2, byte 3 is 0xE9; it looks like cp1252: try --encoding cp1252"),
}


@pytest.mark.parametrize("name", WRONG_DATA)
@pytest.mark.parametrize("verb", ["make", "look", "train", "compare"])
def test_wrong_data_is_one_sentence_and_exit_code_1(command, tmp_path, name, verb):
    content, fragment = WRONG_DATA[name]
    path = tmp_path / "lines.txt"
    if content is not None:
        path.write_bytes(content)
    code, out, err = command(verb, path, *(["-o", tmp_path / "run"] if verb == "train" else []))
    if verb == "look" and "one line" in name:
        assert code == 0
        return
    assert code == 1
    assert out == ""
    assert err.startswith("spellout: ")
    assert fragment in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_under_ten_lines_works_with_a_warning(command, tmp_path):
    path = tmp_path / "few.txt"
    path.write_text("anna\nbob\neve\nada\n")
    for arguments in (["make", path, "-n", 2], ["train", path, "-o", tmp_path / "run"], ["compare", path]):
        code, _, err = command(*arguments)
        assert code == 0
        assert "warning: " in err
        assert "only 4 different lines" in err


WRONG_COMMANDS = [
    (["mkae"], 'Did you mean "make"?'),
    (["make", "--temprature", 1], "--temperature"),
    (["make", "--temperature", "warm"], "--temperature"),
    (["make", "--temperature", 0], "use --greedy"),
    (["make", "-n", 0], "--count 0"),
    (["make", "--model", "ngrm"], "did you mean ngram?"),
    (["make", "--split", "lectures"], '"lecture"'),
    (["make", "--encoding", "utf-99"], None),
    (["sample", "a", "b"], "Unused"),
    (["train", "names.txt", "--resume"], "name it with -o"),
    (["train", "names.txt", "--overwrite"], "name it with -o"),
    (["train", "--stream"], "--stream is for a file larger than memory: name it"),
    (["train", "names.txt", "-o", "run", "--order", 0], "1 to 64"),
    (["train", "names.txt", "-o", "run", "--model", "ngram:3", "--order", 4], "does not go with"),
    (["train", "names.txt", "-o", "run", "--stream", "--unit", "word"], "leave out --unit"),
    (["compare", "--models", "ngram:2,ngram:x"], "not a number"),
    (["compare", "--models", " , "], "--models"),
    (["make", "--min-count", 2], "--unit word"),
    (["make", "--split", "lecture", "--split-seed", 1], "seed 42"),
    (["make", "--order", 3], "--order"),
]


@pytest.mark.parametrize(("arguments", "fragment"), WRONG_COMMANDS, ids=lambda value: str(value)[:40])
def test_a_wrong_command_line_is_exit_code_2(command, names_file, monkeypatch, arguments, fragment):
    monkeypatch.chdir(os.path.dirname(names_file))
    if fragment is None:
        arguments, fragment = ["make", "names.txt", *arguments[1:]], "no such encoding"
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert fragment in err
    assert "Traceback" not in err
    assert not os.path.exists("run")


def test_no_command_shows_help(command):
    code, out, _ = command()
    assert code == 0
    assert "make" in out
    assert command("--version")[1].strip()


def test_wrong_runs_and_characters(command, run_folder, tmp_path):
    assert "no such run folder" in command("sample", tmp_path / "nowhere")[2]
    path = tmp_path / "odd.txt"
    path.write_text("Emma\nM4x\n")
    # no line made begins so, while a line that is judged may: what is new has a price
    code, out, err = command("sample", run_folder, "--prefix", "4")
    assert (code, out) == (1, "")
    assert "'4'" in err
    code, _, err = command("why", run_folder, "4")
    assert code == 0
    assert "'4'" in err
    code, _, err = command("train", path, "-o", run_folder)
    assert code == 1
    assert "already holds a run" in err
    (run_folder / "best.safetensors").write_bytes(b"garbage")
    code, out, err = command("sample", run_folder)
    assert (code, out) == (1, "")
    assert "damaged" in err


def test_asking_for_more_unique_lines_than_there_are_stops_and_says_so(command, tmp_path):
    path = tmp_path / "few.txt"
    path.write_text("ab\nba\n")
    code, out, err = command("make", path, "--model", "ngram", "--unique", "-n", 100000, "--max-length", 2)
    assert code == 1
    assert 0 < len(out.splitlines()) < 10
    assert "of 100,000 lines" in err


def test_an_interrupt_is_exit_code_130_and_loses_no_line_made(names_file, tmp_path):
    out = tmp_path / "out.txt"
    with open(out, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "spellout", "make", names_file, "-n", "100000000", "--no-unique"],
            stdout=file,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while not out.stat().st_size and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert err.decode().endswith("spellout: interrupted\n")
    assert out.read_text().endswith("\n")


def test_a_reader_that_leaves_is_no_error(names_file):
    process = subprocess.Popen(
        [sys.executable, "-m", "spellout", "make", names_file, "-n", "200000", "--no-unique"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=600) == 0
    assert "Error" not in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    """Standard output and error that are a terminal."""

    def make(width, **environment):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        streams = Terminal(), Terminal()
        monkeypatch.setattr("sys.stdout", streams[0])
        monkeypatch.setattr("sys.stderr", streams[1])
        return streams

    return make


def shown(*arguments):
    from spellout.app.cli import run_command

    assert run_command([str(argument) for argument in arguments]) == 0


@pytest.mark.parametrize("width", [30, 60, 120])
def test_nothing_is_wider_than_the_terminal(screen, run_folder, names_file, width):
    from rich.cells import cell_len
    from rich.text import Text

    out, err = screen(width, NO_COLOR="1")
    shown("look", names_file)
    shown("why", run_folder, "Emma")
    shown("compare", names_file, "--models", "ngram:2,ngram:3")
    for line in (out.getvalue() + err.getvalue()).split("\n"):
        assert cell_len(Text.from_ansi(line).plain) <= width


def test_colour_only_on_a_terminal_that_wants_it(screen, run_folder, command):
    assert "\x1b[" not in command("why", run_folder, "Emma")[1]
    out, _ = screen(100)
    shown("why", run_folder, "Emma")
    assert "\x1b[32m" in out.getvalue()  # green: expected letters
    out, _ = screen(100, NO_COLOR="1")
    shown("why", run_folder, "Emma")
    assert "\x1b[32m" not in out.getvalue()


def test_progress_appears_on_a_terminal_after_a_second(screen, monkeypatch):
    def slowly():
        for i in range(3):
            time.sleep(0.1)
            yield i

    for total in (3, None):
        monkeypatch.setattr(progress, "PATIENCE", 0.01)
        _, err = screen(80)
        assert list(progress.track(slowly(), total, "counting")) == [0, 1, 2]
        assert "counting" in err.getvalue()
        monkeypatch.setattr(progress, "PATIENCE", 60.0)
        _, err = screen(80)
        assert list(progress.track(slowly(), total, "counting")) == [0, 1, 2]
        assert err.getvalue() == ""


def test_lines_made_go_to_stdout_whatever_the_progress_bar_does(screen, names_file, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    _, err = screen(80)
    out = io.StringIO()  # a file, while stderr is a terminal
    monkeypatch.setattr("sys.stdout", out)
    shown("make", names_file, "-n", 20_000, "--no-unique", "--no-novel")
    assert "making" in err.getvalue()
    assert len(out.getvalue().splitlines()) == 20_000
    out, err = screen(80)
    shown("make", names_file, "-n", 20_000, "--no-unique", "--no-novel")
    assert "making" not in err.getvalue()
    assert len(out.getvalue().splitlines()) == 20_000


def test_progress_is_quiet_when_piped(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    list(progress.track(iter(range(3)), 3, "counting"))
    assert capsys.readouterr() == ("", "")


def test_too_many_members_and_endless_seconds_are_refused_at_once(command, names_file):
    code, _, err = command("make", names_file, "--model", "mlp:members=1000000")
    assert (code, "at most 256" in err) == (2, True)
    code, out, err = command("make", names_file, "--seconds", "inf")
    assert (code, out) == (2, "")
    assert "give a number of seconds" in err


def test_a_rate_that_is_far_too_high_is_one_sentence(command, names_file, tmp_path):
    flags = ["--model", "mlp", "--steps", 100, "--lr", "1e30"]
    code, _, err = command("train", names_file, "-o", tmp_path / "run", *flags)
    assert code == 1
    assert "RuntimeWarning" not in err
    assert "too high" in err
