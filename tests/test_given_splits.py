"""Parts that have files of their own, `--dev FILE --test FILE`, from the command line to the run and back."""

import json
import random
import shlex
from pathlib import Path

import pytest

from spellout.api import compare, load_run
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.characters import Characters
from spellout.errors import UsageError
from spellout.generation.evaluation import evaluate
from spellout.models.table import MODELS
from spellout.training.runs.unfinished import Unfinished

TRAIN = [f"{a} {b}" for a in ("old", "new", "far", "low") for b in ("ely", "york", "bath")] * 2
DEV = ["old delhi", "new ely", "new ely", "far zürich"]
TEST = ["low bath", "old ely", "tall york"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three files."""
    monkeypatch.chdir(tmp_path)
    for name, lines in (("train", TRAIN), ("dev", DEV), ("test", TEST)):
        (tmp_path / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return tmp_path


def rows_of(out):
    return [json.loads(line) for line in out.splitlines()]


BOTH = ["train.txt", "--dev", "dev.txt", "--test", "test.txt"]


def test_every_line_is_in_its_part_as_often_as_it_stands_there(here):
    prepared = Prepared.of(Lines.read("train.txt"), DataConfig(dev="dev.txt", test="test.txt"))
    split = prepared.split
    assert [sorted(part) for part in (split.train, split.dev, split.test)] == [
        sorted(TRAIN),
        sorted(DEV),
        sorted(TEST),
    ]
    assert split.name == "given"
    assert set(split.known) == {*TRAIN, *DEV, *TEST}
    shuffled = list(TRAIN)
    random.Random(42).shuffle(shuffled)
    assert split.train == shuffled
    again = Prepared.of(
        Lines.of(TRAIN), DataConfig(), dev=Lines.of(DEV, "dev.txt"), test=Lines.of(TEST, "test.txt")
    )
    assert (again.split, again.config) == (split, prepared.config)
    other = Prepared.of(Lines.of(TRAIN), DataConfig(split_seed=1), dev=Lines.of(DEV))
    assert other.split.train != split.train
    assert (sorted(other.split.train), other.split.test) == (sorted(TRAIN), [])


def test_with_test_lines_alone_a_tenth_of_the_file_is_dev():
    prepared = Prepared.of(Lines.of(TRAIN), DataConfig(), test=Lines.of(TEST))
    split = prepared.split
    assert (len(split.train), len(split.dev), sorted(split.test)) == (21, 3, sorted(TEST))
    assert sorted(split.train + split.dev) == sorted(TRAIN)
    few = Prepared.of(Lines.of(["a", "b", "b"]), DataConfig(), test=Lines.of(TEST)).split
    assert sorted(few.train) == sorted(few.dev) == ["a", "b", "b"]


def test_a_run_says_what_judged_it_and_knows_only_its_training_lines(here, command):
    for unit in ("char", "byte", "word"):
        flags = ["--model", "ngram:2", "--unit", unit]
        code, out, err = command("train", *BOTH, "-o", unit, *flags, "--json")
        assert code == 0
        assert "split given: 24 to train, 4 dev, 3 test" in err
        config, run = json.loads(out), load_run(unit)
        given = {"dev": Lines.read("dev.txt"), "test": Lines.read("test.txt")}
        assert config["split"]["given"] == {
            part: {"name": f"{part}.txt", "fingerprint": lines.fingerprint} for part, lines in given.items()
        }
        dev = config["results"]["dev"]
        assert (dev["lines"], dev["new"]) == (4, 2 if unit == "word" else 5)
        assert dev["nats_per_char"] == pytest.approx(evaluate(run.model, run.vocabulary, DEV).nats_per_char)
        assert (dev["perplexity_without_ends"] is None) == (unit != "word")
        assert ("perplexity is per word" in err) == (unit == "word")
        (row,) = rows_of(
            command("compare", *BOTH, "--models", "ngram:2", "--unit", unit, "--on", "test", "--json")[1]
        )
        tested = evaluate(run.model, run.vocabulary, TEST)
        assert row["nats_per_char"] == pytest.approx(tested.nats_per_char)
        assert (row["split"], row["split_by"], row["new"]) == ("test", "given", tested.new)
        assert row["tokens"] == tested.tokens
        assert row["perplexity_without_ends"] == pytest.approx(tested.perplexity_without_ends)
        assert command("score", unit, "dev.txt", "--json")[0] == 0
    out = command("compare", *BOTH, "--unit", "word", "--models", "ngram:1,ngram:2")
    header = ["as it is", "two parts", "by heart", "perplexity", "without ends"]
    assert out[1].splitlines()[0].split("\t")[3:8] == header
    assert "2 of 12 words and line ends judged are unknown words; nats and bits per character compare" in out[2]


def test_lines_made_are_in_none_of_the_files(here, command):
    code, out, _ = command("make", *BOTH, "--model", "ngram:1", "--unit", "word", "-n", 30, "--max-length", 3)
    assert code == 0
    assert not set(out.splitlines()) & {*TRAIN, *DEV, *TEST}
    code, out, _ = command("make", "train.txt", "--dev", "dev.txt", "--model", "ngram", "-n", 3)
    assert (code, len(out.splitlines())) == (0, 3)


def test_the_other_commands_take_them_too(here, command):
    assert command("lr-find", *BOTH, "--model", "bigram", "--steps", 12, "--batch", 8)[0] == 0
    pytest.importorskip("optuna")
    flags = ["--model", "bigram", "--trials", 1, "--steps", 5, "-o", "study", "--json"]
    code, out, err = command("tune", *BOTH, *flags, "--test-best")
    assert code == 0
    (row,) = rows_of(out)
    assert "--dev dev.txt --test test.txt" in row["command"]
    assert row["test"]["lines"] == 3
    assert command("tune", *BOTH, *flags)[0] == 0  # the same study
    (here / "dev.txt").write_text("new bath\n")
    code, _, err = command("tune", *BOTH, *flags)
    assert (code, "holds a study with another data" in err) == (2, True)


def test_a_training_goes_on_with_the_same_lines_only(here, command, monkeypatch):
    flags = ["--model", "bigram", "--patience", 0, "--evaluate-every", 3]
    begun = ["train", *BOTH, "-o", "run", *flags]
    assert command("train", *BOTH, "-o", "whole", *flags, "--steps", 12)[0] == 0
    monkeypatch.setattr("spellout.training.loop.Loop._reason", interrupted_after(6))
    code, _, err = command(*begun, "--steps", 12)
    assert code == 130
    again = shlex.split(err.splitlines()[-1].split("go on with: spellout ")[1])
    assert again == [*["train", "train.txt", "-o", "run", "--resume", "--dev", "dev.txt", "--test", "test.txt"]]
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert set(Unfinished.read("run", MODELS).given) == {"dev", "test"}
    without = command("train", "train.txt", "-o", "run", "--resume", "--dev", "dev.txt")
    assert without[0] == 2
    assert "run was begun with --test test.txt and goes on as it began; name it again" in without[2]
    for part in ("dev", "test"):
        (here / "other.txt").write_text("new bath\n")
        words = [*again[:-4], "--dev", "dev.txt", "--test", "test.txt"]
        words[words.index(f"--{part}") + 1] = "other.txt"
        code, _, err = command(*words)
        assert (code, "its lines differ; give the same file" in err) == (1, True)
    assert command(*again)[0] == 0
    whole, resumed = ((here / name / "best.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == resumed


def interrupted_after(steps):
    def reason(self):
        return self._spent() or ("interrupted" if self.state.step >= steps else None)

    return reason


def test_a_training_without_given_lines_does_not_go_on_with_some(here, command, monkeypatch):
    monkeypatch.setattr("spellout.training.loop.Loop._reason", interrupted_after(2))
    assert command("train", "train.txt", "-o", "run", "--model", "bigram", "--steps", 9)[0] == 130
    code, _, err = command("train", "train.txt", "-o", "run", "--resume", "--dev", "dev.txt")
    assert (code, "--dev dev.txt: run has none and goes on as it began" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["train", *BOTH, "--split", "distinct"], "--split distinct cuts FILE, while --dev and --test names"),
        (["make", *BOTH[:3], "--split", "none"], "--split none cuts FILE, while --dev names"),
        (["compare", *BOTH[:3], "--on", "test"], "--dev without --test leaves no test lines to judge by"),
        (["compare", "train.txt", "--dev", "missing.txt"], "missing.txt: no such file"),
        (["train", "-", "--dev", "-"], "- can be read once only"),
        (
            ["train", "train.txt", "--stream", "--dev", "dev.txt"],
            "leave out --unit, --tokens, --split, --dev and --test",
        ),
        (["train", "train.txt", "--split-seed", -1], "--split-seed -1: must be at least 0"),
        (["train", "train.txt", "--unit", "word", "--min-count", 0], "--min-count 0: must be at least 1"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_does_not_go_together_is_one_sentence(here, command, arguments, fragment):
    code, out, err = command(*arguments)
    assert (code, out) == (1 if "missing" in fragment else 2, "")
    assert fragment in err
    assert err.count("\n") == 1
    assert not (here / "runs").exists()


def test_models_are_compared_on_given_lines_from_python():
    prepared = Prepared.of(Lines.of(TRAIN), DataConfig(unit="word"), dev=Lines.of(DEV))
    (row,) = compare(prepared, ["ngram:2"])
    assert (row.split_by, row.new) == ("given", 2)
    with pytest.raises(UsageError, match="leaves no test lines"):
        list(compare(prepared, ["ngram:2"], "test"))
    with pytest.raises(UsageError, match="--split lecture cuts FILE"):
        Prepared.of(Lines.of(TRAIN), DataConfig(split="lecture"), dev=Lines.of(DEV))


def test_a_training_begun_with_the_letters_of_all_lines_goes_on_with_them(here, command, monkeypatch):
    """As those of earlier versions were."""
    with monkeypatch.context() as patch:
        patch.setattr("spellout.data.prepared.build_vocabulary", lambda lines, *_: Characters.of([*lines, "é"]))
        patch.setattr("spellout.training.loop.Loop._reason", interrupted_after(2))
        flags = ["--model", "bigram", "--steps", 9, "--patience", 0]
        assert command("train", "train.txt", "-o", "run", *flags)[0] == 130
    path = here / "run" / "vocabulary.json"
    stored = json.loads(path.read_text("utf-8"))
    del stored["seen"]
    path.write_text(json.dumps(stored), "utf-8")
    assert command("train", "train.txt", "-o", "run", "--resume")[0] == 0
    run = load_run("run")
    assert "é" in run.vocabulary.characters
    assert run.vocabulary.escape == Characters.of(run.lines).escape


def test_given_lines_that_are_also_training_lines_are_counted(command, names_file, tmp_path):
    lines = Path(names_file).read_text("utf-8").split()
    dev, test, new = tmp_path / "dev.txt", tmp_path / "test.txt", tmp_path / "new.txt"
    dev.write_text("\n".join([*lines[:20], "Xzq"]), encoding="utf-8")
    test.write_text("\n".join(lines[:7]), encoding="utf-8")
    new.write_text("Xzq\nXzv", encoding="utf-8")
    same = ("compare", names_file, "--models", "ngram:2", "--dev")
    warned = "warning: 20 of 21 dev lines and 7 of 7 test lines are also training lines, so "
    assert warned in command(*same, dev, "--test", test)[2]
    assert "20 of 21 dev lines are also training lines" in command(*same, dev, "--test", new)[2]
    assert "also training lines" not in command(*same, new)[2]
