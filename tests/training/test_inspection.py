"""What is seen inside networks agrees with finite differences and with formulas written out here."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from spellout.api import train
from spellout.errors import UsageError
from spellout.models.learner import UPDATES_EVERY, update_ratio
from spellout.models.table import MODELS, parse_specification
from spellout.plots import numbers
from spellout.plots.numbers import attention, embedding, inside, pairs, surprise, updates
from spellout.plots.pictures import shown_by
from spellout.training.config import TrainingConfig
from spellout.training.train import learner_of

TINY = {"mlp-bn": "mlp-bn:8", "wavenet": "wavenet:8", "transformer": "transformer:16:layers=2"}
STEPS = TrainingConfig(steps=3, device="cpu", threads=1)
LAYERED = shown_by("activations")


@pytest.fixture(scope="module")
def runs(few):
    """One run of a model of the table, trained for three steps when it is first asked for."""
    done = {}

    def run(specification):
        if specification not in done:
            done[specification] = train(few, specification, training=STEPS).run
        return done[specification]

    return run


def tiny(name):
    return TINY.get(name, f"{name}:8:embedding=4")


def mean_loss(run):
    stream = run.vocabulary.encode(run.lines[:200])
    ends = np.flatnonzero(stream == 0)
    nats = 0.0
    for start, end in pairwise(ends):
        nats -= run.model.score(stream[None, start:end], stream[None, start + 1 : end + 1]).sum()
    return nats / (len(stream) - 1)


def moved(run, name, place, distance):
    """The run with one of its weights a little elsewhere, and without the shape of lines, fitted after training."""
    kept = {key: array for key, array in run.model.arrays().items() if not key.startswith("shape.")}
    arrays = {key: array.astype(np.float64) for key, array in kept.items()}
    arrays[name][place] += distance
    return replace(run, model=MODELS[run.family].model.restore(run.model.settings(), arrays))


@pytest.mark.parametrize("name", LAYERED)
def test_gradients_of_matrices_are_slopes(runs, name):
    run = runs(tiny(name))
    gradients = inside(run).gradients
    assert len(gradients) >= 2
    for matrix, gradient in gradients.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        key = matrix if matrix in run.model.arrays() else f"0.{matrix}"
        up, down = (mean_loss(moved(run, key, place, step)) for step in (1e-4, -1e-4))
        assert gradient[place] == pytest.approx((up - down) / 2e-4, rel=2e-3, abs=1e-9), matrix


@pytest.mark.parametrize("name", LAYERED)
def test_activations_are_what_their_functions_give(runs, name):
    run = runs(tiny(name))
    layers = inside(run).layers
    assert all(layer.name.startswith(f"layer {n}, ") for n, layer in enumerate(layers, 1))
    places = len(run.vocabulary.encode(run.lines[:200])) - 1
    for layer in layers:
        assert layer.after.shape == layer.gradient.shape
        assert len(layer.after) % places == 0 or name == "wavenet"
        if layer.before is not None:
            given = torch.tensor(layer.before)
            function = torch.tanh if layer.bounded else torch.nn.functional.gelu
            assert_allclose(layer.after, function(given).numpy(), atol=1e-12)
        assert layer.bounded == (np.abs(layer.after).max() <= 1.0)


def test_the_gradient_of_an_activation_is_what_the_last_layer_sends_back(runs):
    run = runs(tiny("mlp-bn"))
    (layer,) = inside(run).layers
    head, bias = run.model.weights["head.weight"], run.model.weights["head.bias"]
    chances = torch.softmax(torch.tensor(layer.after @ head.T + bias), -1).numpy()
    targets = run.vocabulary.encode(run.lines[:200])[1:].astype(int)
    chances[np.arange(len(targets)), targets] -= 1
    assert_allclose(layer.gradient, chances @ head / len(targets), atol=1e-12)


def test_an_mlp_that_starts_from_an_ngram_agrees_with_autograd(runs):
    from spellout.models.ngram.counts import context_columns
    from spellout.models.ngram.leave_one_out import LeaveOneOut

    run = runs("mlp:8:embedding=4+ngram:3")
    found = inside(run)
    weights = {n: torch.tensor(a, dtype=torch.float64, requires_grad=True) for n, a in run.model.weights.items()}
    stream = run.vocabulary.encode(run.lines[:200]).astype(np.int64)
    columns = [torch.tensor(column[:-1]) for column in context_columns(stream, run.model.config.context)]
    read = torch.cat([weights["0.embedding"][column] for column in columns], 1)
    hidden = torch.tanh(read @ weights["0.hidden.weight"].T + weights["0.hidden.bias"])
    prior = torch.tensor(LeaveOneOut(run.model.prior, stream).at(np.arange(len(stream) - 1)), dtype=torch.float64)
    scale = hidden @ weights["0.prior.weight"] + weights["0.prior.bias"]
    logits = hidden @ weights["0.out.weight"].T + weights["0.out.bias"] + scale[:, None] * prior
    hidden.retain_grad()
    torch.nn.functional.cross_entropy(logits, torch.tensor(stream[1:])).backward()
    assert_allclose(found.layers[0].after, hidden.detach().numpy(), atol=1e-12)
    assert_allclose(found.layers[0].gradient, hidden.grad.numpy(), atol=1e-12)
    for name, gradient in found.gradients.items():
        assert_allclose(gradient, weights[f"0.{name}"].grad.numpy(), atol=1e-12)


def test_looking_leaves_the_network_as_it_was(runs):
    run = runs(tiny("gru"))
    before = run.model.log_probabilities(np.zeros((1, 3), int))
    inside(run)
    assert all(parameter.grad is None for parameter in run.model.module.parameters())
    assert not any(module._forward_hooks for module in run.model.module.modules())
    assert_array_equal(run.model.log_probabilities(np.zeros((1, 3), int)), before)


def test_attention_is_the_softmax_of_queries_and_keys(runs):
    run = runs(tiny("transformer"))
    line = run.lines[0]
    symbols, maps = attention(run, None)
    assert symbols == ["¶", *line]
    network, config = run.model.module, run.model.config
    tokens = torch.tensor(run.vocabulary.encode([line])[:-1].astype(np.int64))
    with torch.no_grad():
        x = network.embedding(tokens) + network.place_embedding.weight[: len(tokens)]
        q, k, _ = network.blocks[0].attention.qkv(network.blocks[0].norm1(x)).chunk(3, 1)
    depth = config.width // config.heads
    assert maps.shape == (config.layers, config.heads, len(tokens), len(tokens))
    for head in range(config.heads):
        part = slice(head * depth, (head + 1) * depth)
        looks = (q[:, part] @ k[:, part].T).numpy() / np.sqrt(depth)
        looks[np.triu_indices(len(tokens), 1)] = -np.inf
        expected = np.exp(looks) / np.exp(looks).sum(1, keepdims=True)
        assert_allclose(maps[0, head], expected, atol=1e-12)
    assert_allclose(maps.sum(-1), 1.0)


def test_pairs_are_counted_and_a_bigram_says_its_own_chances(runs, few, monkeypatch):
    monkeypatch.setattr(numbers, "MOST_SYMBOLS", 100)
    found = pairs(runs("ngram:2"))
    assert found.symbols[0] == "¶"
    assert found.counts.sum(1)[0] == len(few.split.train)
    a, n = found.symbols.index("a"), found.symbols.index("n")
    assert found.counts[a, n] == sum(line.count("an") for line in few.split.train)
    assert_allclose(found.chances.sum(1), 1.0)
    assert abs(found.chances[a, n] - found.counts[a, n] / found.counts[a].sum()) < 0.05
    assert pairs(runs("ngram:3")).chances is None


def test_symbols_beyond_the_most_frequent_are_left_out(runs, monkeypatch):
    monkeypatch.setattr(numbers, "MOST_SYMBOLS", 3)
    run = runs(tiny("gru"))
    text = "".join(f"{line}\n" for line in run.lines)
    often = sorted(set(text), key=text.count)[-3:]
    symbols, vectors = embedding(run)
    assert set(symbols) == {letter.replace("\n", "¶") for letter in often}
    assert vectors.shape == (3, 4)


def test_surprise_is_the_score_in_bits(runs):
    symbols, bits = surprise(runs("ngram:3"), " Anna ")
    assert symbols == ["A", "n", "n", "a", "¶"]
    stream = runs("ngram:3").vocabulary.encode(["Anna"])
    logs = runs("ngram:3").model.log_probabilities(stream[None, :-1])[0]
    kept_for_new = runs("ngram:3").vocabulary.escape.known_nats
    assert_allclose(bits, (kept_for_new - logs[np.arange(5), stream[1:].astype(int)]) / np.log(2))


def test_without_lines_one_must_be_given(runs):
    run = replace(runs("ngram:3"), lines=None)
    with pytest.raises(UsageError, match="kept no training lines; say which --line"):
        surprise(run, None)
    assert len(surprise(run, "Anna")[1]) == 5
    with pytest.raises(UsageError, match="trained with --stream and kept no lines"):
        pairs(run)


@pytest.mark.parametrize("specification", ["gru:8", "mlp:8", "gpt:8:heads=2"])
def test_learners_measure_how_far_a_step_moves_each_matrix(few, specification):
    asked = parse_specification(specification)
    learner = learner_of(asked, few.stream, few.vocabulary.size, STEPS)
    before = {name: array for name, array in learner.model().arrays().items() if array.ndim == 2}
    learner.step(np.arange(16), 0.01)
    after = learner.model().arrays()
    assert learner.updates.keys() == before.keys()
    for name, ratio in learner.updates.items():
        spread = before[name].std()
        expected = (after[name] - before[name]).std() / spread if spread else 0.0
        assert ratio == pytest.approx(expected, rel=1e-6)
    assert any(learner.updates.values())
    learner.step(np.arange(16), 0.01)
    assert learner.updates == {}


def test_a_ratio_is_of_deviations():
    assert update_ratio(np.array([[1.0, 3.0]]), np.array([[1.5, 2.5]])) == 0.5
    assert update_ratio(np.zeros((2, 2)), np.eye(2)) == 0.0


def test_the_log_keeps_the_measured_steps(few):
    events = train(few, "bigram", training=TrainingConfig(steps=2 * UPDATES_EVERY + 1, patience=0)).run.events
    steps, ratios = updates(events)
    assert steps == [1, UPDATES_EVERY + 1, 2 * UPDATES_EVERY + 1]
    assert list(ratios) == ["weight"]
    assert 0 < ratios["weight"][1] < 1
    with pytest.raises(UsageError, match="holds no update:data ratios; train it again"):
        updates([event for event in events if event["event"] != "updates"])
