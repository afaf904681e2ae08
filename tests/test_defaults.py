"""Commands without FILE or RUN: the bundled names, the newest run, and folders that nobody named."""

import json
import os

import pytest

from spellout.api import load_run
from spellout.data.lines import Lines
from spellout.generation.scoring import score_lines
from spellout.training.runs.places import name_of


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to be in, but for a short list."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "towns.txt").write_text(
        "".join(f"{a}{b}\n" for a in ("ox", "brad", "wat", "dart") for b in ("ford", "mouth", "ton"))
    )
    return tmp_path


@pytest.fixture
def few_bundled(monkeypatch):
    """The bundled names are few, so that training is quick."""
    few = Lines.of(Lines.bundled().distinct[:300], "the bundled names")
    monkeypatch.setattr(Lines, "bundled", classmethod(lambda cls: few))
    return few


def test_without_a_run_a_sentence_says_how_to_get_one(here, command):
    for arguments in (
        ["score"],
        ["score", "towns.txt"],
        ["why", "oxford"],
        ["sample"],
        ["plot", "--what", "bigrams"],
    ):
        code, out, err = command(*arguments)
        assert (code, out) == (1, "")
        assert "no run under ./runs yet: make one with `spellout train FILE`" in err
    assert os.listdir() == ["towns.txt"]


def test_the_newest_run_is_taken_and_named(here, command):
    for number, name in enumerate(["b", "deep/a", "c"]):
        assert command("train", "towns.txt", "-o", f"runs/{name}", "--model", f"ngram:{number + 1}")[0] == 0
        os.utime(f"runs/{name}/config.json", (1000 * number, 1000 * number))
    for newest in ("runs/c", "runs/deep/a"):
        os.utime("runs/deep/a/config.json", (1500 if newest == "runs/c" else 9000,) * 2)
        for arguments in (["why", "oxford", "--json"], ["score", "towns.txt", "--json"], ["sample", "--json"]):
            code, out, err = command(*arguments)
            assert (code, err.splitlines()[0]) == (0, f"with {newest}, the newest run")
            assert out == command(arguments[0], newest, *arguments[1:])[1]
    code, _, err = command("plot", "--what", "surprise", "-o", "picture.svg")
    assert code == 0
    assert "with runs/deep/a, the newest run" in err


def test_score_without_a_file_scores_the_bundled_names(here, command, few_bundled):
    command("train", "towns.txt", "-o", "towns")
    rows = [json.loads(line) for line in command("score", "towns", "--json")[1].splitlines()]
    run = load_run("towns")
    expected = [
        score.to_json(run.vocabulary) for score in score_lines(run.model, run.vocabulary, few_bundled.distinct)
    ]
    more = "known", "new_log_probability", "new_bits_per_char"
    assert [{name: row.pop(name) for name in more}["known"] for row in rows] == [False] * len(rows)
    assert rows == expected
    command("train")
    code, out, err = command("score", "--json")
    assert code == 0
    assert "with runs/names, the newest run" in err
    assert [json.loads(line)["line"] for line in out.splitlines()] == few_bundled.distinct


def test_a_run_folder_among_files_is_refused(here, command):
    command("train", "towns.txt", "-o", "runs/towns", "--model", "ngram:2")
    code, out, err = command("score", "towns.txt", "runs/towns")
    assert (code, out) == (2, "")
    assert "runs/towns is a run folder; put it first" in err


def test_a_word_that_is_missing_is_asked_for(here, command):
    command("train", "towns.txt", "-o", "runs/towns")
    for arguments in (["why"], ["why", "runs/towns"]):
        code, out, err = command(*arguments)
        assert (code, out) == (2, "")
        assert "name the line to spell out, as in: spellout why Sophia" in err
    assert "no such file" in command("score", "twons.txt")[2]


def test_train_finds_a_folder_and_says_which(here, command, few_bundled):
    for name in ("names", "names-2", "names-3"):
        code, _, err = command("train", "--model", "ngram:2")
        assert code == 0
        assert err.endswith(f"kept in runs/{name}; make lines with: spellout sample runs/{name}\n")
    assert json.loads(command("train", "towns.txt", "--model", "ngram:2", "--json")[1])["run"] == "runs/towns"
    assert sorted(os.listdir("runs")) == ["names", "names-2", "names-3", "towns"]
    (here / "bad.txt").write_text("\n")
    assert command("train", "bad.txt")[0] == 1
    assert command("train", "towns.txt", "--model", "ngrm")[0] == 2
    assert len(os.listdir("runs")) == 4


def test_a_folder_that_stays_empty_is_not_left(here, command):
    assert command("train", "missing.txt")[0] == 1
    assert os.listdir() == ["towns.txt"]
    (here / "runs").write_text("")
    assert "runs is a file, so there is no place for the run" in command("train", "towns.txt")[2]


@pytest.mark.parametrize(
    ("file", "more", "name"),
    [
        (None, [], "names"),
        ("-", [], "lines"),
        ("a/b/my list.txt", [], "my-list"),
        ("words.txt.gz", [], "words"),
        (".txt", [], "txt"),
        ("..", [], "lines"),
        ("x" * 255, [], "x" * 60),
        ("naïve\x1b[31m.txt", [], "naïve-31m"),
        (None, ["mlp:64:lr=0.01+ngram:5"], "names-mlp-64-lr-0.01-ngram-5"),
    ],
)
def test_names_of_folders_are_short_and_plain(file, more, name):
    assert name_of([file] if file else [], *more) == name


def test_look_and_lr_find_take_the_bundled_names(here, command, few_bundled):
    code, out, _ = command("look")
    assert code == 0
    assert "300, 300 different" in out
    assert json.loads(command("look", "--json")[1])["file"] == "the bundled names"
    code, out, _ = command("lr-find", "--steps", 12, "--batch", 8)
    assert code == 0
    assert len(out.splitlines()) > 1


def test_tune_finds_its_study_and_names_a_command_without_a_file(here, command, few_bundled):
    pytest.importorskip("optuna")
    for trials in (1, 2):
        code, _, err = command("tune", "--model", "bigram", "--trials", trials, "--steps", 5)
        assert code == 0
        assert "studies/names-bigram/run-" in err
        assert "train it again with: spellout train -o RUN --model bigram" in err
    assert os.listdir("studies") == ["names-bigram"]


def test_a_score_names_what_the_model_never_saw(here, command):
    (here / "suspects.txt").write_text("oxford\nzoë\nbradton\n")
    command("train", "towns.txt", "-o", "runs/towns")
    code, out, err = command("score", "suspects.txt", "--sort", "surprise")
    rows = [line.split("\t") for line in out.splitlines()[1:]]
    assert code == 0
    assert rows[0][2] == "zoë"
    assert {row[2] for row in rows} == {"oxford", "zoë", "bradton"}
    assert float(rows[0][0]) > 2 * float(rows[1][0])
    assert rows[0][3].startswith("z at 1 (")
    assert rows[0][3].endswith(" bits, unknown)")
    assert (
        "1 of 3 lines hold what no training line held, such as 'z' in 'zoë' (in all 'z' ×1, 'ë' ×1): it costs"
        in err
    )
    code, out, err = command("why", "zoë")
    assert code == 0
    assert [row.split("\t")[0] for row in out.splitlines()[1:]] == [*"zoë", "¶"]
    assert "'z', 'ë': what no training line held; it costs what something new costs" in err
    steps = [json.loads(line) for line in command("why", "zoë", "--json")[1].splitlines()]
    assert [step["new"] for step in steps] == [True, False, True, False]
    command("train", "towns.txt", "-o", "runs/words", "--unit", "word", "--min-count", 1, "--split", "none")
    assert "'zoë': what no training line held" in command("why", "runs/words", "zoë")[2]
    (here / "rare.txt").write_text("new york\nnew ely\nold york\n")
    command("train", "rare.txt", "-o", "runs/rare", "--unit", "word", "--min-count", 2, "--split", "none")
    said = command("why", "runs/rare", "old york")[2]
    assert "'old': what was rare or never seen in training; it is read as the unknown word, and spelled" in said
