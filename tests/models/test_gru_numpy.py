"""The gru in NumPy: its steps against PyTorch and central differences; its lines the same anywhere."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from numpy_networks import rows_of, trained_gru
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.models.arrays.recurrent import packed
from spellout.models.arrays.recurrent.gru import GruArrays, GruConfig, orthogonal, shapes
from spellout.models.arrays.recurrent.learner import GruLearner
from spellout.models.arrays.recurrent.model import GruModel
from spellout.models.candidates import MANY_TOKENS
from spellout.models.counts.left_out import left_out
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram
from spellout.training.schedule import Order

CONFIG = GruConfig(hidden=7, embedding=4, batch=16)
VOCABULARY = 6
WITH_PRIOR = pytest.mark.parametrize("with_prior", [False, True], ids=["alone", "with a prior"])


# Lines side by side.


@given(st.lists(st.lists(st.integers(1, 5), max_size=7), min_size=1, max_size=9), st.randoms())
def test_packed_lines_are_the_lines(lines, random):
    stream = np.array([0, *(token for line in lines for token in [*line, 0])])
    chosen = [random.randrange(len(lines)) for _ in range(5)]
    batch = packed.Lines(stream).packed(np.array(chosen))
    before = batch.before()
    read = {}
    for start, end in batch.steps:
        for place in range(start, end):
            line = read.get(before[place], [])
            assert (start == 0) == (before[place] < len(chosen))
            read[place + len(chosen)] = [*line, int(stream[batch.positions[place]])]
    ended = [line for place, line in read.items() if place not in set(before.tolist())]
    assert sorted(ended) == sorted([0, *lines[one]] for one in chosen)


# One batch of random numbers.


def problem(with_prior, dtype, seed=0):
    random = np.random.default_rng(seed)
    weights = {
        name: np.array(0.7 * random.standard_normal(shape), dtype)
        for name, shape in shapes(CONFIG, VOCABULARY, with_prior).items()
    }
    lines = [[0, *random.integers(1, VOCABULARY - 1, length)] for length in (3, 6, 1, 6, 4)]  # the last is in none
    stream = np.array([token for line in lines for token in line] + [0])
    prior = F.log_softmax(torch.tensor(random.standard_normal((len(stream) - 1, VOCABULARY))), -1).numpy()
    return weights, stream, prior.astype(dtype) if with_prior else None


def by_hand(weights, stream, prior):
    """The loss and all gradients, by name."""
    gradients = {name: np.full_like(array, np.nan) for name, array in weights.items()}
    network, lines = GruArrays(weights, gradients), packed.Lines(stream)
    for chosen in (np.array([1, 1, 3]), np.arange(len(lines))):  # what the first batch left behind does not matter
        batch = lines.packed(chosen)
        at = batch.positions
        loss = network.loss(batch, stream[at], stream[at + 1], None if prior is None else prior[at])
        network.backward()
    return loss, gradients


def torch_gru(w):
    """`torch.nn.GRU` with these weights."""
    hidden = len(w["memory.bias"])
    layer = torch.nn.GRU(w["embedding"].shape[1], hidden, dtype=w["embedding"].dtype)
    bias = torch.cat([torch.zeros(2 * hidden, dtype=w["memory.bias"].dtype), w["memory.bias"]])
    own = {"weight_ih_l0": w["input.weight"], "bias_ih_l0": w["input.bias"], "weight_hh_l0": w["memory.weight"]}
    return layer, own | {"bias_hh_l0": bias}


def logits_in_torch(w, stream, prior):
    """Logits at every position of a stream, in its order."""
    boundaries = np.flatnonzero(stream == 0)
    pieces = [torch.tensor(stream[a:b].astype(np.int64)) for a, b in pairwise(boundaries)]
    layer, own = torch_gru(w)
    read = pack_sequence([w["embedding"][piece] for piece in pieces], enforce_sorted=False)
    remembered, _ = torch.func.functional_call(layer, own, (read,))
    places, _ = torch.nn.utils.rnn.pad_packed_sequence(remembered, batch_first=True)
    features = torch.cat([row[: len(piece)] for row, piece in zip(places, pieces, strict=True)])
    logits = F.linear(features, w["out.weight"], w["out.bias"])
    if prior is not None:
        logits = logits + (features @ w["trust.weight"] + w["trust.bias"])[:, None] * torch.tensor(prior)
    return logits


def autograd(weights, stream, prior):
    w = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    loss = F.cross_entropy(logits_in_torch(w, stream, prior), torch.tensor(stream[1:].astype(np.int64)))
    loss.backward()
    return float(loss.detach()), {name: tensor.grad.numpy() for name, tensor in w.items()}


def central_differences(weights, measured, h=1e-5):
    gradients = {name: np.zeros_like(array) for name, array in weights.items()}
    for name, array in weights.items():
        for place in np.ndindex(array.shape):
            losses = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * h
                losses.append(measured(weights | {name: moved}))
            gradients[name][place] = (losses[0] - losses[1]) / (2 * h)
    return gradients


def assert_same_gradients(ours, theirs, digits):
    """Equal in every number, by the size of the largest in its array."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=digits * np.abs(expected).max(), err_msg=name)


@WITH_PRIOR
@pytest.mark.parametrize(("dtype", "digits"), [(np.float64, 1e-13), (np.float32, 3e-6)])
def test_loss_and_gradients_are_those_of_pytorchs_gru(with_prior, dtype, digits):
    batch = problem(with_prior, dtype)
    loss, gradients = by_hand(*batch)
    expected, theirs = autograd(*batch)
    assert loss == pytest.approx(expected, rel=digits)
    assert_same_gradients(gradients, theirs, digits)
    assert all(array.dtype == dtype for array in gradients.values())


@WITH_PRIOR
def test_gradients_are_central_differences_also_with_dropout_and_soft_targets(with_prior):
    weights, stream, prior = problem(with_prior, np.float64)
    random = np.random.default_rng(1)
    kept = (random.random((len(stream) - 1, 7)) < 0.6) / 0.6
    soft = random.dirichlet(np.ones(VOCABULARY), len(stream) - 1)
    soft[[2, 9]] = 0.0  # positions that do not count
    for more in ({}, {"soft": soft}):
        numbers = np.arange(len(packed.Lines(stream)))
        batch = packed.Lines(stream).packed(numbers)

        def gradients_of(weights, batch=batch, more=more):
            gradients = {name: np.full_like(array, np.nan) for name, array in weights.items()}
            at = batch.positions
            targets = more["soft"][at] if more else stream[at + 1]
            network = GruArrays(weights, gradients)
            rows = None if prior is None else prior[at]
            return network.loss(batch, stream[at], targets, rows, kept), network, gradients

        _, network, gradients = gradients_of(weights)
        network.backward()
        theirs = central_differences(weights, lambda moved, of=gradients_of: of(moved)[0])
        assert_same_gradients(gradients, theirs, 1e-8)


@WITH_PRIOR
def test_an_error_of_a_thousandth_in_any_gradient_is_noticed(with_prior):
    single = problem(with_prior, np.float32)
    _, gradients = by_hand(*single)
    theirs = autograd(*single)[1]
    for name in gradients:
        with pytest.raises(AssertionError, match=name):
            assert_same_gradients(gradients | {name: gradients[name] * 1.001}, theirs, 3e-6)


@WITH_PRIOR
def test_large_weights_overflow_nowhere(with_prior):
    weights, stream, prior = problem(with_prior, np.float32)
    weights = {name: np.array(array * np.float32(300)) for name, array in weights.items()}
    loss, gradients = by_hand(weights, stream, prior)
    assert loss == pytest.approx(autograd(weights, stream, prior)[0], rel=1e-4)
    assert all(np.isfinite(array).all() for array in gradients.values())


@given(st.integers(1, 40), st.integers(0, 9))
@settings(max_examples=20)
def test_rows_are_orthogonal(size, seed):
    made = orthogonal(np.random.default_rng(seed).standard_normal((size, size)))
    np.testing.assert_allclose(made @ made.T, np.eye(size), rtol=0, atol=1e-12)


# Learning.


def test_steps_are_those_of_pytorchs_gru_and_adamw(few, counted):
    config = GruConfig(hidden=16, embedding=8, batch=32)
    learner = GruLearner(few.stream, few.vocabulary.size, config, counted, 3)
    w = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in learner.model().weights.items()}
    adamw = torch.optim.AdamW(w.values(), lr=0.01, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    stream, rows = few.stream, left_out(counted, few.stream)
    boundaries, order = np.flatnonzero(stream == 0), Order(learner.examples, 32, 0)
    for step in range(8):
        chosen = order.at(step)
        places = np.concatenate([np.arange(boundaries[one], boundaries[one + 1]) for one in chosen])
        text = np.append(stream[places], 0)
        targets = torch.tensor(stream[places + 1].astype(np.int64))
        loss = F.cross_entropy(logits_in_torch(w, text, rows.at(places)), targets)
        adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        adamw.step()
        assert learner.step(chosen, 0.01) == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, array in learner.model().weights.items():
        np.testing.assert_allclose(array, w[name].detach().numpy(), rtol=0, atol=1e-4, err_msg=name)


def test_it_begins_as_what_it_starts_from(few, counted):
    learner = GruLearner(few.stream, few.vocabulary.size, CONFIG, counted, 0)
    tokens = rows_of(few, 30)
    expected = counted.log_probabilities(tokens)
    np.testing.assert_allclose(learner.model().log_probabilities(tokens), expected, rtol=0, atol=1e-6)
    alone = GruLearner(few.stream, few.vocabulary.size, CONFIG, None, 0)
    assert alone.step(np.arange(16), 0.0) == pytest.approx(np.log(few.vocabulary.size), rel=1e-6)


@WITH_PRIOR
def test_it_learns_more_than_a_trigram_knows_of_brackets_that_close_far_away(with_prior):
    random = np.random.default_rng(0)
    kinds = ["()", "[]", "{}"]

    def line():
        left, right = kinds[random.integers(3)]
        return left + "".join(random.choice(list("ab"), random.integers(3, 7))) + right

    prepared = Prepared.of(Lines.of([line() for _ in range(600)]), DataConfig(split="lecture"))
    trigram = train_ngram(prepared.stream, prepared.vocabulary.size, NgramConfig(order=3), lambda event: None)[0]
    config = GruConfig(hidden=16, embedding=8, batch=32)
    prior = trigram if with_prior else None
    learner = GruLearner(prepared.stream, prepared.vocabulary.size, config, prior, 0)
    order = Order(learner.examples, learner.batch, 0)
    for step in range(300):
        learner.step(order.at(step), 0.02)
    model = learner.model()
    tokens = prepared.vocabulary.encode(["[abbaba]", "(abbaba)", "{abbaba}"]).reshape(-1)[:-1].reshape(3, -1)
    closing = [np.exp(model.log_probabilities(tokens)[row, -2]) for row in range(3)]
    for row, right in enumerate("])}"):
        marks = {mark: closing[row][int(prepared.vocabulary.encode([mark])[1])] for mark in "])}"}
        assert marks[right] > 0.9 * sum(marks.values())


@WITH_PRIOR
def test_what_is_resumed_goes_on_with_the_same_bits(few, counted, with_prior):
    config = GruConfig(hidden=16, embedding=8, batch=32, dropout=0.2)
    make = lambda: GruLearner(few.stream, few.vocabulary.size, config, counted if with_prior else None, 1)  # noqa: E731
    whole, first, second = make(), make(), make()
    order = Order(whole.examples, 32, 0)
    for step in range(9):
        whole.step(order.at(step), 0.01)
    for step in range(4):
        first.step(order.at(step), 0.01)
    second.load_state({name: array.copy() for name, array in first.state().items()})
    for step in range(4, 9):
        second.step(order.at(step), 0.01)
    for name, array in whole.state().items():
        assert np.array_equal(array, second.state()[name]), name


def test_a_vocabulary_that_is_too_large_is_refused(few):
    with pytest.raises(UsageError, match="use mlp"):
        GruLearner(few.stream, MANY_TOKENS + 1, CONFIG, None, 0)


# Running (see also `test_numpy_networks.py`).


def test_logits_are_those_of_pytorchs_gru(few, counted):
    model = trained_gru(few, counted)
    tokens = rows_of(few, 20)
    said = model.prior.log_probabilities(tokens)
    stream = np.append(tokens.ravel(), 0)
    w = {name: torch.tensor(array.astype(np.float64)) for name, array in model.weights.items()}
    expected = logits_in_torch(w, stream, said.reshape(-1, said.shape[-1])).numpy()
    np.testing.assert_allclose(model.logits(tokens, said).reshape(expected.shape), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 1e-44, 1e-30, 30.0, 1e30])
@WITH_PRIOR
def test_weights_of_any_size_can_be_run(with_prior, factor):
    weights, stream, prior = problem(with_prior, np.float32)
    weights = {name: np.array(array * np.float32(factor)) for name, array in weights.items()}

    class Prior:
        context, parameters = 1, 0

    model = GruModel(CONFIG, VOCABULARY, weights, Prior() if with_prior else None)
    model.check()
    boundaries = np.flatnonzero(stream == 0)
    w = {name: torch.tensor(array.astype(np.float64)) for name, array in weights.items()}
    expected = logits_in_torch(w, stream, prior).numpy()
    for start, end in pairwise(boundaries):
        rows = None if prior is None else prior[None, start:end]
        logits = model.logits(stream[None, start:end], rows)[0]
        assert np.isfinite(logits).all()
        if factor < 1e20:
            np.testing.assert_allclose(logits, expected[start:end], rtol=0, atol=1e-45 + 1e-4 * factor)
