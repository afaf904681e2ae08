"""The course's results on a few bundled names and tiny budgets, and their formulas against others."""

import json
from math import log

import numpy as np
import pytest
import torch

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.generation.evaluation import evaluate
from spellout.lectures import by_hand, loops
from spellout.lectures.counted import counted_in_python
from spellout.lectures.reproduction import NETWORKS, reach, reproduce
from spellout.lectures.results import RESULTS
from spellout.lectures.smoothing import chances_of_network, compare_smoothing
from spellout.training.config import TrainingConfig


@pytest.fixture(scope="module")
def few(names):
    return Lines.of(names.distinct[:600])


@pytest.fixture(scope="module")
def prepared(few):
    return Prepared.of(few, DataConfig(split="lecture"))


def test_the_backward_pass_by_hand_is_autograds_and_the_check_would_notice(prepared):
    x, y = loops.examples_of(prepared.stream, 3)
    random = torch.Generator().manual_seed(0)
    assert by_hand.largest_difference(x[:64], y[:64], prepared.vocabulary.size, random) < 1e-9
    shapes = {"table": (60, 4), "w1": (12, 8), "gain": (8,), "bias": (8,), "w2": (8, 60), "b2": (60,)}
    weights = {name: torch.randn(shape, generator=random, dtype=torch.float64) for name, shape in shapes.items()}
    by = by_hand.gradients_by_hand(x[:64], y[:64], weights)
    weights["gain"] = weights["gain"] * 1.001
    other = by_hand.gradients_by_autograd(x[:64], y[:64], weights)
    assert float((by["w1"] - other["w1"]).abs().max()) > 1e-6


def test_the_bigram_in_python_is_the_counted_one(few):
    everything = Prepared.of(few, DataConfig(split="none"))
    run = train(everything, "ngram:2:smoothing=add-k").run
    expected = evaluate(run.model, run.vocabulary, everything.split.train).nats_per_char
    expected -= run.vocabulary.escape.known_nats  # the lecture keeps nothing for letters that are new
    assert counted_in_python(few.distinct, few.distinct) == pytest.approx(expected, abs=1e-9)


def test_an_unpenalised_network_is_the_counts_and_a_penalty_smooths(few):
    found = compare_smoothing(few)
    assert found.unsmoothed < 1e-3
    assert found.nats > found.limit
    assert found.k > 0
    assert found.difference < 5e-3
    counts = np.array([[3.0, 1.0], [0.0, 4.0]])
    np.testing.assert_allclose(chances_of_network(counts, 1e9), 0.5, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_loop_learns(prepared, name):
    network = NETWORKS[name]
    step = network.loop(prepared.stream, prepared.vocabulary.size, torch.Generator().manual_seed(0))
    losses = [step(number) for number in range(40 if name == "bigram-network" else 300)]
    assert np.mean(losses[-10:]) < losses[0] - 0.3


def test_the_careful_initialisation_starts_at_ln_v_with_few_saturated_units(prepared):
    x, y = loops.examples_of(prepared.stream, 3)
    size = prepared.vocabulary.size
    wild, careful = (
        by_hand.first_loss(x, y, size, torch.Generator().manual_seed(0), which) for which in (False, True)
    )
    assert wild[0] > 15
    assert wild[1] > 0.5
    assert careful[0] == pytest.approx(log(size), abs=0.05)
    assert careful[1] < 0.3


def test_reaching_ends_the_training(prepared):
    loss, seconds = reach(prepared, "gru:8", 3.5, TrainingConfig(steps=200, evaluate_every=5), lambda event: None)
    assert 3.0 < loss <= 3.5
    assert seconds > 0
    missed, _ = reach(prepared, "gru:8", 0.5, TrainingConfig(steps=10, evaluate_every=5), lambda event: None)
    assert missed > 0.5


def test_all_results_make_rows(few):
    rows = list(
        reproduce(
            few, [name for name in RESULTS if name not in ("mlp", "bigram-network")], 2, TrainingConfig(steps=4)
        )
    )
    assert [row.lecture for row in rows] == [1, 1, 2, 3, 3, 3, 3, 4, 5, 5]
    wavenet = rows[-2]
    assert wavenet.model == "wavenet"
    assert wavenet.remark == "not reached; more --steps may"
    assert wavenet.times == wavenet.lecture_seconds / wavenet.seconds
    with pytest.raises(UsageError, match=r"--only quantum: no such result; results: counts, .*wavenet"):
        next(reproduce(few, ["quantum"]))


def test_the_command_prints_a_table(command, names_file):
    code, out, _ = command("lectures", names_file, "--only", "counts,by-hand")
    assert code == 0
    assert out.splitlines()[0].split("\t")[:3] == ["lecture", "result", "recorded"]
    assert "differs from autograd by at most" in out
    code, out, _ = command("lectures", names_file, "--only", "counts", "--json")
    assert json.loads(out)["model"] == "ngram:2:smoothing=add-k"
    assert command("lectures", names_file, "--timed", 0)[0] == 2
