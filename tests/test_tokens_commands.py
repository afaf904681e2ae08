"""Graphemes and patterns of tokens on the command line: every command that reads lines or makes them."""

import json
from itertools import islice

import numpy as np
import pytest

from documentation import DOCS, run_blocks
from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.graphemes import clusters
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.models.table import MODELS
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Keeper
from spellout.training.runs.unfinished import Unfinished

SMILES = [
    "CCCl",
    "CC(C)Br",
    "c1cc[nH]c1",
    "C[C@@H](N)Cl",
    "CCBr",
    "CCCCl",
    "C1CC1Cl",
    "c1cc[nH]c1Br",
    "CCC",
    "ClCCl",
]
HINDI = ["नीता", "क्षमा", "सुनीता", "मीना", "रश्मि", "नीना", "क्षिति", "सीमा", "सीता", "मीता", "रीना", "नीमा"]


@pytest.fixture(params=["smiles", "grapheme"])
def case(request, tmp_path, monkeypatch):
    """The flags of a kind of tokens, and a file of lines that it suits."""
    monkeypatch.chdir(tmp_path)
    flags, lines = (
        (["--tokens", "smiles"], SMILES) if request.param == "smiles" else (["--unit", "grapheme"], HINDI)
    )
    (tmp_path / "lines.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return flags, lines


def cut(flags, line):
    if flags[0] == "--unit":
        return clusters(line)
    return load_run("run").vocabulary.pieces(line)


def test_a_run_of_such_tokens_does_what_others_do(case, command):
    flags, lines = case
    code, _, err = command("train", "lines.txt", "-o", "run", "--model", "ngram:2", "--split", "none", *flags)
    assert code == 0, err
    first = cut(flags, lines[0])[0]
    code, out, err = command("sample", "run", "-n", 5, "--prefix", first, "--nearest", "--json")
    assert code == 0, err
    made = [json.loads(line) for line in out.splitlines()]
    assert len(made) == 5
    for row in made:
        assert cut(flags, row["line"])[0] == first
        assert row["line"] not in lines
        assert row["nearest"] in lines
    code, out, err = command("why", "run", lines[1], "--json")
    assert [json.loads(line)["symbol"] for line in out.splitlines()] == [*cut(flags, lines[1]), "¶"]
    assert command("why", "run", lines[1])[1].split()[0] == {"--unit": "grapheme", "--tokens": "token"}[flags[0]]
    code, out, err = command("score", "run", "lines.txt", "--json")
    assert code == 0, err
    assert [json.loads(line)["known"] for line in out.splitlines()] == [True] * len(lines)


def test_what_is_new_is_named_as_a_whole_and_the_rest_goes_on(case, command, tmp_path):
    flags, lines = case
    new = "[Se]" if flags[0] == "--tokens" else "स्त्री"
    command("train", "lines.txt", "-o", "run", "--model", "ngram:2", "--split", "none", *flags)
    (tmp_path / "new.txt").write_text(f"{lines[0]}{new}{lines[1]}\n{lines[2]}\n", encoding="utf-8")
    code, out, err = command("score", "run", "new.txt", "--json")
    assert code == 0, err
    first, second = map(json.loads, out.splitlines())
    assert (first["unknown"], second["unknown"]) == ([new], [])
    assert first["symbols"] == [*cut(flags, lines[0]), new, *cut(flags, lines[1]), "¶"]
    assert first["log_probability"] < second["log_probability"] < 0
    code, _, err = command("sample", "run", "--prefix", new)
    assert code == 1
    assert f"{new!r} is in none of the lines" in err


def test_a_list_of_characters_that_join_is_told_how_they_are_kept_whole(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    french = ["x\u0301", *(f"Zoë {number}" for number in range(60))]
    for name, lines in (("hindi", HINDI), ("emoji", ["👍🏽👋", "👋👍🏽", "🇩🇪👋"]), ("french", french)):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        err = command("train", name, "-o", f"run-{name}", "--model", "ngram:2")[2]
        assert ("--unit grapheme keeps what belongs together in one token" in err) == (name != "french")
        assert ("--unit grapheme" in command("look", name)[2]) == (name != "french")
    flags = ["--model", "ngram:2", "--unit", "grapheme"]
    assert "--unit grapheme" not in command("train", "hindi", "-o", "run", *flags)[2]


def test_a_part_of_a_token_begins_no_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("".join(line + "\n" for line in SMILES), encoding="utf-8")
    code, _, err = command("make", "lines.txt", "--tokens", "smiles", "--model", "ngram:2", "--prefix", "[")
    assert code == 1
    assert "'[' is only a part of tokens there; write one as a whole, such as [C@@H], [nH]" in err


def test_models_of_such_tokens_are_compared(case, command):
    flags, _ = case
    code, out, err = command("compare", "lines.txt", "--models", "ngram:1,ngram:2", "--json", *flags)
    assert code == 0, err
    assert [json.loads(line)["model"] for line in out.splitlines()] == ["ngram:1", "ngram:2"]


def test_a_training_goes_on_with_its_pattern(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("".join(line + "\n" for line in SMILES), encoding="utf-8")
    prepared = Prepared.of(Lines.read("lines.txt"), DataConfig(tokens="Cl|Br"))
    steps = TrainingConfig(steps=3, batch=8)
    train(prepared, "mlp:4", training=steps, keep=Keeper("run"), interrupted=lambda: True)
    going_on = Unfinished.read("run", MODELS)
    assert going_on.data.tokens == "Cl|Br"
    assert going_on.vocabulary.flag == "--tokens Cl|Br"
    code, _, err = command("train", "lines.txt", "-o", "run", "--resume", "--tokens", "smiles")
    assert code == 2
    assert "--tokens smiles: run has Cl|Br and goes on as it began" in err
    assert command("train", "lines.txt", "-o", "run", "--resume")[0] == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert (config["data"]["tokens"], config["results"]["steps"]) == ("Cl|Br", 3)
    whole = train(prepared, "mlp:4", training=steps).run
    for name, array in whole.model.arrays().items():
        assert np.array_equal(load_run("run").model.arrays()[name], array)


def test_a_student_reads_the_tokens_of_its_teacher(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("".join(line + "\n" for line in SMILES), encoding="utf-8")
    command("train", "lines.txt", "-o", "teacher", "--model", "ngram:2", "--split", "none", "--tokens", "smiles")
    student = ["train", "lines.txt", "-o", "run", "--model", "mlp:4", "--steps", 2, "--split", "none"]
    code, _, err = command(*student, "--teacher", "teacher", "--tokens", "Cl")
    assert code == 2
    assert "the teacher's tokens are of --tokens smiles; train its student with that, too" in err
    assert command(*student, "--teacher", "teacher", "--tokens", "smiles")[0] == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--tokens", "(a"],
            "--tokens (a: not a regular expression of tokens: a ( that no ) closes, at character 1",
        ),
        (
            ["--tokens", "smiles", "--unit", "word"],
            "--tokens and --unit word both say what a token is; leave one out",
        ),
        (["--unit", "grapheme", "--min-count", 2], "--min-count goes with --unit word"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_the_reading(command, flags, sentence):
    code, _, err = command("make", "nothing.txt", *flags)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_the_page_says_what_is_so(capsys):
    _, languages = run_blocks(DOCS / "tokens.md", capsys)
    assert languages.count("python") == languages.count("output") == 3


@pytest.mark.parametrize("model", ["ngram:1", "ngram:3"])
def test_no_line_made_of_graphemes_has_a_part_of_one(model):
    """Of emoji whose characters mean something else in other company; a model of characters makes parts of them."""
    tones = ["", "\U0001f3fd", "\U0001f3ff"]
    people = [f"{one}{tone}\u200d{tool}" for one in "👩👨" for tone in tones for tool in "🚀🍳🎓"]
    whole = [*people, "👍", "👍🏽", "🇩🇪", "🇫🇷", "🇪🇸", "❤️", "❤️\u200d🔥", "🔥", "👩", "🚀"]
    places = [[(7 * line + step * line) % len(whole) for step in range(3)] for line in range(60)]
    lines = Lines.of("".join(whole[place] for place in line) for line in places)
    broken = {}
    for unit in ("char", "grapheme"):
        run = train(Prepared.of(lines, DataConfig(unit=unit, split="none")), model).run
        made = islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=40), cut=lambda one: False), 300)
        broken[unit] = sum(not set(clusters(one.text)) <= set(whole) for one in made)
    assert broken["char"] > 0
    assert broken["grapheme"] == 0
