"""Which model suits a list: the rules, what they ask of a list and of a machine, and where the answer is kept."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from spellout.api import compare, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.candidates import MANY_TOKENS
from spellout.models.table import MODELS, parse_specification
from spellout.training.best import best_training
from spellout.training.config import TrainingConfig
from spellout.training.plans.choice import FEW, FEWEST, GROWN, HALF_A_MINUTE, MINUTES, TOKENS, Choice, chosen
from spellout.training.plans.machine import Machine
from spellout.training.plans.timing import usual_step
from spellout.training.plans.traits import LONG, LONGEST, Traits

NAMES = Traits(25_000, 180_000, 28, 15)
MOLECULES = Traits(8_000, 300_000, 35, 57)
WITH_TORCH, TWO_CORES = Machine(torch=True), Machine(torch=True, cores=2)


def families(choice):
    return [one.family.name for one in parse_specification(choice.specification).alone]


def lists_of(start, stop):
    """Lines of brackets around a run of letters, so long that no window sees both."""
    return [f"{'([{'[n % 3]}{'abab' * 3}{'ab'[n % 2]}{n:02d}{')]}'[n % 3]}" for n in range(start, stop)]


@pytest.fixture
def brackets(tmp_path):
    path = tmp_path / "brackets.txt"
    path.write_text("".join(f"{line}\n" for line in lists_of(0, 90)), encoding="utf-8")
    return str(path)


def test_traits_are_those_of_the_training_lines():
    lines = ["abc", "de", "fghijk", "m", "l" * 30] * 4
    prepared = Prepared.of(Lines.of(lines), DataConfig(split="lecture"))
    traits, training = Traits.of(prepared), prepared.split.train
    assert traits.lines == len(training)
    assert traits.longest == max(map(len, training))
    assert traits.length == pytest.approx(np.mean([len(line) + 1 for line in training]), abs=1 / len(training))
    assert traits.vocabulary_size == prepared.vocabulary.size


def test_long_lines_want_a_memory_and_short_ones_a_window():
    for seconds in (5.0, 10.0, 60.0, 600.0):
        assert families(chosen(MOLECULES, Machine(), seconds)) == ["gru-numpy"]
        assert families(chosen(NAMES, Machine(), seconds)) == ["mlp"]
    books = Traits(20, 2_000_000, 90, LONGEST + 1)
    assert families(chosen(books, TWO_CORES, 60.0)) == ["mlp"]
    words = Traits(8_000, 200_000, MANY_TOKENS + 1, 90)
    assert families(chosen(words, TWO_CORES, 60.0)) == ["mlp"]


def test_a_step_has_about_as_many_letters_whatever_the_lines_are_long():
    for length in (LONG, 40, 200, 900):
        traits = Traits(8_000, round(8_000 * length), 35, 900)
        for machine, tokens in ((Machine(), TOKENS["gru-numpy"]), (WITH_TORCH, TOKENS["PyTorch"])):
            config = parse_specification(chosen(traits, machine, 60.0).specification).config
            assert config.batch >= FEWEST
            assert abs(config.batch * length - tokens) <= length or config.batch == FEWEST


def test_with_pytorch_and_time_networks_with_memory_are_taken():
    for traits in (NAMES, MOLECULES):
        before, after = (chosen(traits, TWO_CORES, HALF_A_MINUTE + more) for more in (-1.0, 0.0))
        assert before == chosen(traits, Machine(), HALF_A_MINUTE - 1.0)
        assert families(after) == ["gru", "gru"]
        assert after.at_once == 2
        assert families(chosen(traits, WITH_TORCH, HALF_A_MINUTE)) == ["gru"]
    assert families(chosen(NAMES, TWO_CORES, MINUTES)) == ["gru", "transformer"]
    assert chosen(NAMES, WITH_TORCH, MINUTES).at_once == 1
    few = Traits(FEW - 1, 7_000, 28, 15)
    assert not MODELS[families(chosen(few, TWO_CORES, 60.0))[0]].torch


def test_with_minutes_long_lines_get_one_large_network_that_cores_share():
    for seconds in (GROWN, MINUTES):
        for machine, cores in ((TWO_CORES, 2), (WITH_TORCH, 1), (Machine(torch=True, gpu=True, cores=8), 1)):
            choice = chosen(MOLECULES, machine, seconds)
            assert families(choice) == ["gru"]
            assert choice.threads == cores
            assert choice.at_once == 1
            _, training, _ = best_training(MOLECULES, machine, seconds)
            assert training.threads == cores
    assert chosen(MOLECULES, TWO_CORES, GROWN).of(TrainingConfig(threads=3)).threads == 3
    assert chosen(MOLECULES, TWO_CORES, GROWN - 1.0).threads == 1
    assert chosen(NAMES, TWO_CORES, MINUTES).threads == 1


def test_every_choice_has_a_reason_and_can_be_understood():
    machines = [Machine(), WITH_TORCH, TWO_CORES, Machine(torch=True, gpu=True, cores=8)]
    lists = [NAMES, MOLECULES, Traits(3, 20, 5, 9), Traits(5, 10**7, 20_000, 10**7), Traits(10**6, 10**8, 300, 200)]
    for machine in machines:
        for traits in lists:
            for seconds in (0.1, 2.0, 10.0, 30.0, 100.0, 10_000.0):
                choice = chosen(traits, machine, seconds)
                assert parse_specification(choice.specification).family.in_steps
                assert choice.why
                assert machine.torch or not any(MODELS[name].torch for name in families(choice))
                assert 1 <= choice.at_once <= machine.cores
                assert 1 <= choice.threads <= machine.cores


def test_longer_lines_and_more_of_them_take_a_step_longer():
    step = lambda text, traits=MOLECULES: usual_step(parse_specification(text), traits)  # noqa: E731
    assert step("gru-numpy:128:batch=32+ngram") > step("gru-numpy:128:batch=16+ngram")
    longer = Traits(8_000, 600_000, 35, 100)
    assert step("gru-numpy:128:batch=16+ngram", longer) > step("gru-numpy:128:batch=16+ngram")
    assert step("gru+ngram") is None


def test_a_machine_is_looked_at_without_importing_pytorch():
    code = (
        "import sys; from spellout.training.plans.machine import Machine; here = Machine.here(); "
        "assert here.cores >= 1; assert not here.gpu or here.torch; assert 'torch' not in sys.modules; "
        "sys.modules['torch'] = None; assert not Machine.here().torch"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_make_says_what_is_trained_and_why(command, brackets, tmp_path, monkeypatch):
    monkeypatch.setattr("spellout.training.pooled.TINY", 0)  # nothing is pooled
    for model in ([], ["--model", "best"]):
        out = tmp_path / f"{len(model)}"
        code, _, err = command("make", brackets, "-n", 3, "--seconds", 600, *model, "-o", out)
        assert code == 0, err
        assert "gru-numpy:128:batch=" in err
        assert re.search(r"is trained: lines of 1\d tokens on average want a memory", err)
        config = json.loads((out / "config.json").read_text("utf-8"))
        assert config["model"] in {"ngram", "counts", "gru-numpy"}  # whichever is best
        assert config["specification"].startswith(config["model"])


def test_make_trains_several_models_as_one(command, names_file, tmp_path, monkeypatch):
    several = Choice("mlp:8:batch=64+ngram:2 & mlp:4:batch=64", "this is a test")
    monkeypatch.setattr("spellout.training.best.chosen", lambda *asked: several)
    code, out, err = command("make", names_file, "-n", 3, "--seconds", 600, "-o", tmp_path / "run")
    assert (code, len(out.splitlines())) == (0, 3), err
    assert f"{several.specification} is trained: this is a test" in err
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert config["specification"] in {several.specification, "ngram"}  # whichever is better


def test_train_writes_what_was_chosen_and_goes_on_with_it(command, brackets, tmp_path, monkeypatch):
    monkeypatch.setattr("spellout.training.plans.choice.HALF_A_MINUTE", 1e9)
    train = "train", brackets, "-o", tmp_path / "run", "--model", "best"
    code, _, err = command(*train, "--steps", 3)
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert config["specification"].startswith("gru-numpy:128:batch=")
    assert "+" in config["specification"]
    assert f"{config['specification']} is trained: " in err
    code, _, err = command(*train, "--resume")
    assert (code, "has finished after 3 steps" in err) == (1, True), err


def test_best_is_refused_where_it_cannot_be(command, brackets, tmp_path):
    for flags, sentence in (
        (["--prior", "ngram"], "leave out --prior"),
        (["--teacher", str(tmp_path / "nobody")], "a student does not"),
    ):
        code, _, err = command("train", brackets, "-o", tmp_path / "run", "--model", "best", *flags)
        assert code == 2
        assert sentence in err
    assert not (tmp_path / "run").exists()


def test_compare_and_python_know_best_too(command, brackets, monkeypatch):
    monkeypatch.setattr("spellout.training.plans.choice.HALF_A_MINUTE", 1e9)
    code, out, err = command("compare", brackets, "--models", "ngram,best", "--steps", 2, "--json")
    assert code == 0, err
    rows = [json.loads(line)["model"] for line in out.splitlines()]
    assert rows[0] == "ngram"
    assert rows[1].startswith("gru-numpy:128:batch=")
    prepared, steps = Prepared.of(Lines.of(lists_of(0, 60)), DataConfig()), TrainingConfig(steps=2)
    assert train(prepared, "best", training=steps).run.family == "gru-numpy"
    (row, *_) = compare(prepared, ["best"], training=steps)
    assert row.model.startswith("gru-numpy:128:batch=")
