"""`spellout export RUN -o FILE`, and what of a run goes into files."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from spellout.api import export, load_run, train
from spellout.data.config import DataConfig
from spellout.data.labels import labelled
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.characters import Characters
from spellout.errors import ExportError, UsageError
from spellout.export import exporting
from spellout.export.bloom import holds
from spellout.export.exporting import portable, texts_of
from spellout.export.reference import Reference
from spellout.export.targets import TARGETS, target_of
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import save_run


@pytest.fixture(scope="module")
def few(names):
    return Prepared.of(Lines.of(names.distinct[:400]), DataConfig())


@pytest.fixture(scope="module")
def folder(few, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "names"
    save_run(train(few, "ngram:4").run, path)
    return path


def of_run(run, **others):
    return portable(run.model, run.vocabulary, name="n", max_length=30, lines=run.lines, **others)


def test_it_writes_a_file_and_says_what_it_is(command, folder, tmp_path):
    out = tmp_path / "names.html"
    code, printed, told = command("export", folder, "-o", out)
    assert (code, printed) == (0, "")
    assert out.read_bytes().startswith(b"<!doctype html>")
    for part in (
        f"{out.stat().st_size:,} bytes",
        "int8",
        "before",
        "the plain model",
        "Bloom filter",
        "wrong in 1 of",
    ):
        assert part in " ".join(told.split())
    assert command("export", folder, "-o", out)[0] == 0  # again


def test_as_json_it_gives_sizes_and_losses(command, folder, tmp_path):
    out = tmp_path / "names.html"
    code, printed, _ = command("export", folder, "-o", out, "--json", "--weights", "float32", "--with-lines")
    told = json.loads(printed)
    assert code == 0
    assert told["bytes"] == out.stat().st_size
    assert told["weights"] == "float32"
    assert told["with_lines"]
    assert told["nats"] == load_run(folder).facts["results"]["dev"]["nats_per_char"]
    assert told["nats_here"] == pytest.approx(told["nats"], abs=1e-6)
    assert 0 < told["known"]["error"] < 0.02


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["-o", "names.exe"], 2, "the file's name says what is written: .html"),
        (["-o", "nowhere/names.html"], 1, "there is no folder nowhere"),
        (["-o", "names.html", "--weights", "int4"], 2, "int4"),
    ],
)
def test_mistakes_are_one_sentence(command, folder, tmp_path, monkeypatch, arguments, code, sentence):
    monkeypatch.chdir(tmp_path)
    found, printed, told = command("export", folder, *arguments)
    assert (found, printed) == (code, "")
    assert sentence in " ".join(told.split())
    assert not list(tmp_path.iterdir())


def test_lines_that_a_run_has_not_kept_cannot_go_with_it(command, folder, tmp_path):
    save_run(replace(load_run(folder), lines=None), tmp_path / "run")
    code, _, told = command("export", tmp_path / "run", "-o", tmp_path / "names.html", "--with-lines")
    assert code == 2
    assert "--with-lines: the run keeps no training lines; leave it out" in " ".join(told.split())
    assert not (tmp_path / "names.html").exists()


def test_a_folder_that_is_no_run_is_refused(command, tmp_path):
    assert command("export", tmp_path, "-o", tmp_path / "names.html")[0] == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".html"])
def test_from_python_it_is_one_call(folder, tmp_path, suffix):
    made = export(folder, tmp_path / f"names{suffix}")
    assert (tmp_path / f"names{suffix}").stat().st_size > 0
    assert made.texts[1:] == tuple(load_run(folder).vocabulary.known)
    with pytest.raises(UsageError, match=r"names\.txt"):
        export(folder, tmp_path / "names.txt")


def test_suffixes_are_read_whatever_their_case(tmp_path):
    assert {target_of(tmp_path / f"a{suffix.upper()}") for suffix in TARGETS} == set(TARGETS)


def test_the_reference_makes_the_lines_of_the_model(folder):
    run = load_run(folder)
    made = of_run(run, weights="float32")
    both = [sample(one, run.vocabulary, SamplingConfig(seed=3)) for one in (run.model, Reference(made.step))]
    assert [next(both[0]) for _ in range(300)] == [next(both[1]) for _ in range(300)]


def test_training_lines_go_with_it_only_when_asked(folder):
    run = load_run(folder)
    plain, whole = of_run(run), of_run(run, with_lines=True)
    assert plain.lines == ()
    assert whole.lines == tuple(run.lines)
    assert holds(plain.known, run.lines).all()


def test_a_run_without_lines_has_no_filter(folder):
    run = load_run(folder)
    made = portable(run.model, run.vocabulary, name="n", max_length=30)
    assert made.known is None
    assert made.about["nats_here"] is None


def test_the_change_told_is_that_of_the_loss(few):
    run = train(few, "mlp:16", training=TrainingConfig(steps=60, patience=0)).run
    made = of_run(run, weights="int8", about={"nats": 2.5})
    made_here = sample(run.model, run.vocabulary, SamplingConfig(seed=5))
    lines = [one.text for one in islice(made_here, 500)]
    before, after = (evaluate(one, run.vocabulary, lines) for one in (run.model, Reference(made.step)))
    assert made.about["change"] == pytest.approx(after.nats_per_char - before.nats_per_char, abs=1e-3)
    assert made.about["nats_here"] == 2.5 + made.about["change"]


def test_of_long_lines_few_are_compared(few, monkeypatch):
    """2,000 lines of 12,000 characters took longer than anybody waits."""
    run = train(few, "ngram:3").run
    reads, told = [], []

    def evaluated(model, vocabulary, lines):
        reads.append(sum(map(len, lines)))
        return evaluate(model, vocabulary, lines)

    monkeypatch.setattr(exporting, "COMPARED_CHARACTERS", 100)
    monkeypatch.setattr(exporting, "evaluate", evaluated)
    of_run(run, saying=told.append)
    assert len(reads) == 2
    assert 50 < reads[0] <= 100
    assert told == ["leaving out counts that say little", "measuring what storing changes"]
    monkeypatch.setattr(exporting, "COMPARED_CHARACTERS", 1)
    of_run(run)
    assert reads[2] > 1  # one line at least


def test_tokens_write_characters_and_halves_of_surrogates_for_bytes():
    assert texts_of(Characters(["a", "é"], [0xE2, 0x82])) == ("", "a", "é", "\udce2", "\udc82")


def test_labels_write_nothing_and_are_never_drawn():
    lines = ["f\tanna", "f\thanna", "m\tnathan"] * 9
    vocabulary = labelled(lines, Characters.of([line[2:] for line in lines]))
    run = train(Prepared.of(Lines.of(["anna", "hanna", "nathan"] * 9), DataConfig(split="none")), "ngram:2").run
    assert texts_of(vocabulary) == (*texts_of(run.vocabulary), "", "")


def test_words_have_a_space_between_and_an_unknown_one_is_never_drawn():
    lines = Lines.of([f"the {word} runs" for word in ("cat", "dog", "cat", "fox", "owl")] * 5 + ["a bee"])
    run = train(Prepared.of(lines, DataConfig(unit="word", min_count=2, split="none")), "ngram:2").run
    made = of_run(run)
    assert made.between == " "
    assert made.never == (1,)
    assert set(made.texts[2:]) == set(run.vocabulary.known)


def test_a_gpt_of_longer_lines_than_its_context_is_refused(few):
    run = train(few, "gpt:4:heads=1:context=5:batch=4", training=TrainingConfig(steps=1, patience=0)).run
    with pytest.raises(ExportError, match="context="):
        of_run(run, longest=9)
    assert of_run(run, longest=4).max_length == 4


def test_probabilities_of_what_is_stored_sum_to_1(folder):
    run = load_run(folder)
    rows = Reference(of_run(run, weights="int8").step).log_probabilities(np.array([[0, 1, 2, 3]]))
    np.testing.assert_allclose(np.exp(rows).sum(axis=-1), 1.0, rtol=0, atol=1e-12)
