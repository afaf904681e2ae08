"""What stands on a terminal: nothing that commands it but our own colours, and no table wider than it."""

import json
import os
import re
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.text import Text

from processes import COMMAND, CURSOR, STYLE, in_shell, on_terminal
from spellout.app import progress
from spellout.app.cli import run_command

NASTY = ["\x1b]0;PWN\x07anna", "\x1b[2Jbob", "\x1b[31mred", "carl\x1b[6n", "d\x9b6nora", "em\x07il", "fr\x08itz"]
NASTY += ["g\u202eusti", "[red]h[/red]", "i\u200bna", "j\x7fo", "k\ta", "l\u2028o", ":smile:"]
COMMANDS = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028\u202e]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("terminal")
    (path / "nasty.txt").write_text("".join(f"{line}\n" for line in NASTY * 3), "utf-8")
    run = path / "run"
    assert run_command(["train", str(path / "nasty.txt"), "-o", str(run), "--model", "ngram:3"]) == 0
    return path


def shown(arguments, width=80, expected=0, **settings):
    """What a terminal was sent, without our colours."""
    code, sent = on_terminal([*COMMAND, *arguments], width, **settings)
    assert code == expected, sent
    return STYLE.sub("", sent).replace("\r\n", "\n")


def test_data_cannot_command_the_terminal(folder):
    run, nasty = folder / "run", folder / "nasty.txt"
    for arguments, sign in (
        (["look", nasty], "␛[2Jbob"),
        (["score", run, nasty], "d<009B>6nora"),
        (["why", run, NASTY[0]], "␛"),
        (["sample", run, "-n", 40], "<202E>"),
        (["sample", run, "-n", 40, "--nearest"], "\t"),
        (["make", nasty, "--model", "ngram:3", "-n", 40, "--no-novel"], "␛"),
        (["make", nasty, "--model", "ngram:3", "-n", 40, "--no-novel", "--json"], "\\u009b"),
        (["score", run, nasty, "--json"], "\\u202e"),
        (["compare", nasty, "--models", "ngram:2"], "ngram:2"),
    ):
        screen = shown(arguments, 100)
        assert sign in screen
        screen = screen.replace("\t", "") if "--nearest" in arguments else screen  # between a line and its nearest
        assert not COMMANDS.search(screen)
        if arguments[0] == "score":
            assert ("[red]h[/red]" in screen) & (":smile:" in screen)


def test_names_and_options_cannot_command_the_terminal(folder):
    name = "\x1b[31mx\x9b1m\u202ey\nz"
    for arguments, code in (
        (["look", f"/{name}"], 1),
        (["sample", f"/{name}"], 1),
        (["doctor", f"/{name}.py:case"], 1),
        (["make", "--model", name], 2),
        (["make", f"--{name}"], 2),
        (["look", folder / "nasty.txt", "--encoding", name], 2),
        (["make", "--prefix", name], 2),
        (["train", folder / "nasty.txt", "-o", f"/proc/{name}", "--model", "ngram:2"], 1),
        (["draw", f"a{name}"], 2),
    ):
        screen = shown(arguments, 200, expected=code)
        assert not COMMANDS.search(screen)
        assert "Traceback" not in screen
        _, _, err = in_shell(arguments)
        assert not COMMANDS.search(err.decode())
        assert err.count(b"\n") == 1


def test_data_for_programs_is_as_it_is(folder):
    run, nasty = folder / "run", folder / "nasty.txt"
    code, out, _ = in_shell(["score", run, nasty])
    assert code == 0
    assert all(f"\t{line}\t".encode() in out for line in NASTY)
    code, out, _ = in_shell(["score", run, nasty, "--json"])
    assert [json.loads(row)["line"] for row in out.splitlines()] == NASTY * 3
    arguments = ["make", nasty, "--model", "ngram:3", "-n", 200, "--no-novel", "--no-unique"]
    code, out, _ = in_shell(arguments)
    assert code == 0
    assert b"\x1b[" in out
    assert "\x9b".encode() in out


TABLES = """
from spellout.app import terminal
from spellout.app.commands import lectures
from spellout.app.commands.experiments import compare, tune
from spellout.lectures.reproduction import LectureResult
from spellout.training.experiments.results import ModelResult, TuningTrial
long = "transformer:64:layers=4:heads=4:dropout=0.123456+ngram × gru:256:optimizer=muon+ngram"
wide = "さくらあおいひなたあかりさつきひかりあやかさやかひまりあいり" * 2
compare.print_rows(
    [ModelResult(name, {}, "dev", "distinct", 12345678, 1.9871, 2.8671, 7.293, 0.998, 0.941, 1234.5)
     for name in ("ngram:5", "mlp:128:members=4+ngram:6", long, wide)]
)
lectures.print_rows([
    LectureResult(lecture=1, result="bigram counts, add one", recorded=2.4544, lecture_seconds=0.0512, loss=2.4533,
            model="ngram:2:smoothing=add-k", seconds=0.005, remark="all lines; " * 20),
    LectureResult(lecture=5, result="wavenet", recorded=1.993, lecture_seconds=1234.5, model=long, loss=1.99,
            seconds=3.2),
])
settings = dict(optimizer="muon", lr=0.00312345, decay=0.01, batch=64)
trials = [TuningTrial(12, 1.98, long, settings, 60.0), TuningTrial(3, 2.01, "gru:64", settings, 60.0)]
tune.print_trials(trials, (20, 8), None, "spellout train", "runs/x", False)
terminal.print_table(
    ["line", "length"],
    [[wide, "1"], ["e\\u0301" * 70, "2"], ["👩\\u200d💻" * 30, "3"], ["\\x1b[31m" * 30, "4"]],
    ["line"],
)
"""


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_tables_fit_the_terminal(width):
    code, sent = on_terminal([sys.executable, "-c", TABLES], width)
    assert code == 0, sent
    lines = [Text.from_ansi(line).plain for line in sent.split("\r\n")]
    assert max(map(cell_len, lines)) <= width
    (head,) = [line for line in lines if re.match("model .*as it is", line)]  # a table, and not a block a row
    assert ("perplexity" in head) == (width == 120)
    assert head.split()[:2] == (["model", "split"] if width == 120 else ["model", *head.split()[1:2]])
    if width < 120:
        assert "a wider terminal also shows: split, perplexity" in " ".join(line.strip() for line in lines)


PROGRESS = """
import sys, time
from spellout.app import progress
progress.PATIENCE = 0.0
with progress.progress_bar(progress.WHOLE, "training") as advance:
    watch = progress.Watch(advance)
    watch({"event": "begins", "of": "gru:64[red]+ngram"})
    for step in range(1, 5):
        time.sleep(0.15)
        watch({"event": "step", "of": "gru:64[red]+ngram", "step": 100000 * step, "nats_per_token": 2.0,
               "lr": 0.001, "progress": step / 10})
"""


@pytest.mark.parametrize("width", [80, 60, 40])
def test_a_bar_the_percentage_and_the_time_left_come_before_the_label(width):
    code, sent = on_terminal([sys.executable, "-c", PROGRESS], width)
    assert code == 0, sent
    frames = [CURSOR.sub("", frame).strip() for frame in re.split("[\r\n]", sent)]
    frames = [frame for frame in frames if "training" in frame]
    assert frames
    for frame in frames:
        assert cell_len(frame) <= width
        assert re.match(r"[━╸╺ ]{10,40} +\d+% (\d:\d\d:\d\d|-:--:--) training( gru:64|$)", frame)
    if width >= 60:
        assert any("training gru:64[red]+ngram" in frame for frame in frames)


@pytest.mark.parametrize("at_once", [1, 2])
def test_compare_says_which_model_is_training(monkeypatch, names_file, at_once):
    labels = []

    def advance(amount, label=None, note=None):
        labels.append(label)

    watch = progress.Watch
    monkeypatch.setattr(progress, "Watch", lambda _: watch(advance))
    wanted = ["training ngram:2", "training ngram:3", "training ngram:4"]
    models = ",".join(label.removeprefix("training ") for label in wanted)
    assert run_command(["compare", names_file, "--models", models, "--at-once", str(at_once), "--json"]) == 0
    assert list(dict.fromkeys(label for label in labels if label in wanted)) == wanted


@pytest.mark.parametrize("columns", ["0", "-5", "1", "wide"])
def test_a_width_that_is_none_does_not_stop_the_help(columns):
    command = [sys.executable, "-m", "spellout", "make", "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env=os.environ | {"COLUMNS": columns}
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: spellout make")
