"""The mlp on a large vocabulary: with all tokens as candidates its steps are the full softmax's, by PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spellout.models.arrays.large import LargeMlpLearner
from spellout.models.arrays.learner import MlpLearner, MlpModel
from spellout.models.arrays.mlp import MlpConfig
from spellout.models.arrays.training import mlp_learner
from spellout.models.candidates import MANY_TOKENS, Candidates
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.leave_one_out import LeaveOneOut
from spellout.models.ngram.training import train_ngram
from spellout.training.schedule import Order

V = 60
TIED = pytest.mark.parametrize("tied", ["no", "yes"])


def stream_of(lines=80, vocabulary=V, seed=0):
    random = np.random.default_rng(seed)
    parts = [np.minimum(random.zipf(1.4, random.integers(1, 9)), vocabulary - 1) for _ in range(lines)]
    return np.concatenate([[0], *[np.append(part, 0) for part in parts]]).astype(np.uint16)


def dense(learner, parts):
    """The gradient of every weight by name, zero where no row has a part."""
    found = {name: np.zeros(array.shape) for name, array in learner._parameters.views().items()}
    for name, (rows, gradient) in parts.items():
        found[name][... if rows is None else rows] += gradient
    return found


@pytest.fixture(scope="module")
def counted():
    """A trigram of the stream."""
    return train_ngram(stream_of(), V, NgramConfig(order=3), lambda event: None)[0]


def features_in_torch(w, windows):
    embedding = w["0.embedding"]
    read = embedding if "0.out.weight" in w else embedding * embedding.shape[1] ** 0.5
    x = torch.tanh(F.linear(read[windows].flatten(1), w["0.hidden.weight"], w["0.hidden.bias"]))
    return x if "0.out.weight" in w else F.linear(x, w["0.project.weight"], w["0.project.bias"])


def logits_in_torch(w, windows):
    vectors = w["0.out.weight" if "0.out.weight" in w else "0.embedding"]
    return F.linear(features_in_torch(w, windows), vectors, w["0.out.bias"])


def in_torch(learner):
    return {
        name: torch.tensor(array.astype(np.float64), requires_grad=True)
        for name, array in learner._parameters.weights().items()
    }


@TIED
def test_with_all_tokens_as_candidates_the_gradient_is_that_of_the_whole_softmax(tied):
    stream = stream_of()
    learner = LargeMlpLearner(stream, V, MlpConfig(hidden=7, context=3, embedding=5, tied=tied), None, 1)
    assert (learner._candidates.chances == 1).all()
    chosen = np.arange(0, learner.examples, 2)
    for _ in range(3):
        learner.step(chosen, 0.05)
    loss, parts = learner.gradient(chosen)
    w = in_torch(learner)
    windows, targets = learner._windows[chosen].astype(np.int64), torch.tensor(learner._targets[chosen])
    expected = F.cross_entropy(logits_in_torch(w, torch.tensor(windows)), targets)
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, gradient in dense(learner, parts).items():
        theirs = w[name].grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max(), err_msg=name)


@TIED
def test_with_some_candidates_the_gradient_is_that_of_the_corrected_softmax(tied):
    stream = stream_of()
    learner = LargeMlpLearner(stream, V, MlpConfig(hidden=7, context=3, embedding=5, tied=tied), None, 1)
    learner._candidates = Candidates(stream, V, 1, many=9)
    chosen = np.arange(1, learner.examples, 3)
    learner.step(chosen, 0.05)
    loss, parts = learner.gradient(chosen)
    targets = learner._targets[chosen]
    tokens, correction, places = learner._candidates.draw(1, targets)
    w = in_torch(learner)
    logits = logits_in_torch(w, torch.tensor(learner._windows[chosen].astype(np.int64)))[:, tokens]
    own = torch.zeros(logits.shape, dtype=torch.bool)
    own[np.arange(len(chosen)), places] = True
    corrected = torch.where(own, logits, logits + torch.tensor(correction))
    expected = F.cross_entropy(corrected, torch.tensor(places))
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, gradient in dense(learner, parts).items():
        theirs = w[name].grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max(), err_msg=name)


@TIED
def test_rows_without_a_gradient_stay_as_they_are(tied):
    stream = stream_of()
    learner = LargeMlpLearner(stream, V, MlpConfig(hidden=7, context=3, embedding=5, tied=tied), None, 1)
    learner._candidates = Candidates(stream, V, 1, many=5)
    before = learner._parameters.weights()
    _, parts = learner.gradient(np.arange(6))
    learner.step(np.arange(6), 0.05)
    after = learner._parameters.weights()
    for name, (rows, _) in parts.items():
        moved = np.abs(after[name] - before[name]).reshape(len(before[name]), -1).max(axis=1) > 0
        assert set(np.flatnonzero(moved)) == set(range(len(moved)) if rows is None else rows)


@TIED
@pytest.mark.parametrize("members", [1, 2])
def test_a_training_goes_on_from_its_state(tied, members):
    stream, config = (
        stream_of(),
        MlpConfig(hidden=6, context=2, embedding=4, tied=tied, members=members, dropout=0.3),
    )
    first, second = (LargeMlpLearner(stream, V, config, None, 5) for _ in range(2))
    order = Order(first.examples, 64, 0)
    for step in range(3):
        first.step(order.at(step), 0.02)
    second.load_state(first.state())
    for step in range(3, 6):
        assert first.step(order.at(step), 0.02) == second.step(order.at(step), 0.02)
    assert np.array_equal(first.state()["weights"], second.state()["weights"])


@TIED
def test_a_trained_network_gives_the_whole_softmax_and_is_restored(tied):
    stream = stream_of()
    learner = LargeMlpLearner(stream, V, MlpConfig(hidden=7, context=3, embedding=5, tied=tied), None, 2)
    order = Order(learner.examples, 64, 0)
    losses = [learner.step(order.at(step), 0.02) for step in range(60)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.2
    model = learner.model()
    again = MlpModel.restore(model.settings(), model.arrays())
    tokens = np.array([[0, 3, 5, 1], [0, 1, 1, 2]])
    w = {name: torch.tensor(array.astype(np.float64)) for name, array in model.weights.items()}
    windows = torch.tensor(
        [[[0, 0, 0], [3, 0, 0], [5, 3, 0], [1, 5, 3]], [[0, 0, 0], [1, 0, 0], [1, 1, 0], [2, 1, 1]]]
    )
    expected = F.log_softmax(logits_in_torch(w, windows.view(-1, 3)), -1).numpy().reshape(2, 4, V)
    for one in (model, again):
        np.testing.assert_allclose(one.log_probabilities(tokens), expected, atol=1e-5)
    targets = np.array([[3, 5, 1, 0], [1, 1, 2, 0]])
    picked = np.take_along_axis(model.log_probabilities(tokens), targets[..., None], -1)[..., 0]
    assert np.array_equal(model.score(tokens, targets), picked)


def test_what_is_seen_inside_a_tied_network_is_the_gradient_of_both_uses():
    stream = stream_of()
    learner = LargeMlpLearner(stream, V, MlpConfig(hidden=7, context=3, embedding=5, tied="yes"), None, 2)
    model = learner.model()
    everything = np.arange(learner.examples)
    seen = model.inspect(stream).gradients
    ours = dense(learner, learner.gradient(everything)[1])
    assert seen.keys() == {name.removeprefix("0.") for name, array in ours.items() if array.ndim == 2}
    for name, gradient in seen.items():
        np.testing.assert_allclose(gradient, ours[f"0.{name}"], rtol=0, atol=2e-5 * np.abs(gradient).max())


def test_the_size_of_the_vocabulary_decides():
    stream, config = stream_of(), MlpConfig(hidden=4, context=2, embedding=3)
    assert isinstance(mlp_learner(stream, MANY_TOKENS, config, None, 0), MlpLearner)
    assert isinstance(mlp_learner(stream, MANY_TOKENS + 1, config, None, 0), LargeMlpLearner)
    tied = MlpConfig(hidden=4, context=2, embedding=3, tied="yes")
    assert isinstance(mlp_learner(stream, V, tied, None, 0), LargeMlpLearner)


@TIED
def test_dropout_leaves_out_its_part_and_changes_nothing_in_a_trained_network(tied):
    stream = stream_of()
    losses = {}
    for dropout in (0.0, 0.5):
        config = MlpConfig(hidden=64, context=3, embedding=5, tied=tied, dropout=dropout)
        learner = LargeMlpLearner(stream, V, config, None, 1)
        learner.step(np.arange(100), 0.0)
        losses[dropout] = learner.step(np.arange(100), 0.0)
        rows = learner.model().log_probabilities(np.array([[0, 1, 2]]))
        np.testing.assert_allclose(np.exp(rows).sum(-1), 1.0)
    assert (losses[0.0] != losses[0.5]) == (tied == "yes")  # untied, the first logits are the biases alone


@TIED
def test_a_prior_is_asked_for_candidates_only_and_the_gradient_is_that_of_the_corrected_softmax(tied, counted):
    stream = stream_of()
    config = MlpConfig(hidden=7, context=3, embedding=5, tied=tied)
    learner = LargeMlpLearner(stream, V, config, counted, 1)
    learner._candidates = Candidates(stream, V, 1, many=9)
    chosen = np.arange(1, learner.examples, 3)
    learner.step(chosen, 0.05)
    assert learner._parameters.views()["0.prior.bias"] != 1.0  # it is moved, though it has no rows
    loss, parts = learner.gradient(chosen)
    targets = learner._targets[chosen]
    tokens, correction, places = learner._candidates.draw(1, targets)
    rows = LeaveOneOut(counted, stream).at(chosen)
    w = in_torch(learner)
    windows = torch.tensor(learner._windows[chosen].astype(np.int64))
    features = features_in_torch(w, windows)
    scale = features @ w["0.prior.weight"] + w["0.prior.bias"]
    logits = (logits_in_torch(w, windows) + scale[:, None] * torch.tensor(rows))[:, tokens]
    own = torch.zeros(logits.shape, dtype=torch.bool)
    own[np.arange(len(chosen)), places] = True
    expected = F.cross_entropy(torch.where(own, logits, logits + torch.tensor(correction)), torch.tensor(places))
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, gradient in dense(learner, parts).items():
        theirs = w[name].grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max(), err_msg=name)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("many", [3, 400])
def test_counts_of_some_tokens_are_those_of_all(order, many):
    stream = stream_of(lines=200)
    ngram = train_ngram(stream, V, NgramConfig(order=order), lambda event: None)[0]
    left_out, random = LeaveOneOut(ngram, stream), np.random.default_rng(order)
    places = random.integers(0, len(stream) - 1, many)
    whole = left_out.at(places)
    for count in (1, 7, V):
        tokens = np.sort(random.choice(V, count, replace=False))
        np.testing.assert_allclose(left_out.of_tokens(places, tokens), whole[:, tokens], rtol=1e-6)


@TIED
def test_a_trained_network_with_a_prior_gives_the_whole_softmax(tied, counted):
    stream = stream_of()
    config = MlpConfig(hidden=7, context=3, embedding=5, tied=tied, members=2)
    learner = LargeMlpLearner(stream, V, config, counted, 2)
    order = Order(learner.examples, 64, 0)
    for step in range(20):
        learner.step(order.at(step), 0.02)
    model = learner.model()
    again = MlpModel.restore(model.settings(), model.arrays())
    tokens = np.array([[0, 3, 5, 1], [0, 1, 1, 2]])
    rows = again.log_probabilities(tokens)
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1.0)
    targets = np.array([[3, 5, 1, 0], [1, 1, 2, 0]])
    assert np.array_equal(model.score(tokens, targets), np.take_along_axis(rows, targets[..., None], -1)[..., 0])
