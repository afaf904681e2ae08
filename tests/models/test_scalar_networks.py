"""The networks written in scalars: against PyTorch with the same weights, and against what they must converge
to."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from left_out import leave_one_out, leave_one_out_score
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.evaluation import evaluate
from spellout.models.arrays.learner import MlpLearner, MlpModel
from spellout.models.arrays.mlp import MlpConfig
from spellout.models.neural import log_softmax
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.leave_one_out import LeaveOneOut
from spellout.models.ngram.training import train_ngram
from spellout.models.scalars.bigram import BigramConfig, bigram_learner
from spellout.models.scalars.gpt import GptConfig, GptModel, gpt_learner
from spellout.models.scalars.mlp import MlpProgram
from spellout.models.scalars.network import ScalarLearner
from spellout.models.table import parse_specification
from spellout.programs.kernels.interpreter import execute
from spellout.training.schedule import Order

V = 7


@pytest.fixture(scope="module")
def few(names) -> Prepared:
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.fixture(scope="module")
def counted(few):
    """A trigram of the training lines."""
    return train_ngram(few.stream, few.vocabulary.size, NgramConfig(order=3), lambda event: None)[0]


def random_weights(shapes, seed=0):
    random = np.random.default_rng(seed)
    return {name: 0.5 * random.standard_normal(shape) for name, shape in shapes.items()}


def tokens_of(lines, length):
    return np.column_stack([np.zeros(lines, int), np.random.default_rng(1).integers(1, V, (lines, length - 1))])


def mlp_in_torch(w, member, contexts, prior):
    part = {
        name.removeprefix(f"{member}."): torch.tensor(a) for name, a in w.items() if name.startswith(f"{member}.")
    }
    hidden = torch.tanh(
        F.linear(part["embedding"][contexts].flatten(-2), part["hidden.weight"], part["hidden.bias"])
    )
    logits = F.linear(hidden, part["out.weight"], part["out.bias"])
    if prior is None:
        return logits
    scale = F.linear(hidden, part["prior.weight"][None], part["prior.bias"][None])
    return logits + scale * torch.tensor(prior)


class Prior:
    """Stands for an n-gram: any numbers will do as log-probabilities."""

    vocabulary_size, context, parameters = V, 2, 0

    def log_probabilities(self, tokens):
        return log_softmax(np.random.default_rng(2).standard_normal((*tokens.shape, V)))


@pytest.mark.parametrize("prior", [None, Prior()], ids=["alone", "with a prior"])
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(("kind", "digits"), [(MlpModel, 1e-6), (MlpProgram, 1e-12)])
def test_mlp_equals_pytorch_with_its_weights(kind, digits, members, prior):
    config = MlpConfig(hidden=5, context=3, embedding=2, members=members)
    weights = random_weights(MlpModel.shapes(config, V, prior is not None))
    tokens = tokens_of(4, 6)
    ours = kind(config, V, weights, prior).log_probabilities(tokens)
    padded = np.pad(tokens, ((0, 0), (2, 0)))
    contexts = torch.tensor(np.stack([padded[:, 2 - back : 8 - back] for back in range(3)], axis=-1))
    rows = None if prior is None else prior.log_probabilities(tokens)
    logits = sum(mlp_in_torch(weights, member, contexts, rows) for member in range(members)) / members
    np.testing.assert_allclose(ours, torch.log_softmax(logits, -1).numpy(), rtol=0, atol=digits)


def gpt_in_torch(config, w, tokens):
    """(B, T) to logits (B, T, V), the usual way: matrices, masks and PyTorch's own attention."""
    w = {name: torch.tensor(array) for name, array in w.items()}
    B, T = tokens.shape

    def normalized(x):
        return F.rms_norm(x, (config.width,), eps=1e-5)

    def heads(x):
        return x.view(B, T, config.heads, -1).transpose(1, 2)

    x = normalized(w["token"][torch.tensor(tokens)] + w["place"][:T])
    for layer in range(config.layers):
        h = normalized(x)
        q, k, v = (heads(h @ w[f"{layer}.{name}"].T) for name in ("query", "key", "value"))
        taken = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, -1)
        x = x + taken @ w[f"{layer}.mix"].T
        x = x + torch.relu(normalized(x) @ w[f"{layer}.up"].T) @ w[f"{layer}.down"].T
    return x @ w["out"].T


@pytest.mark.parametrize(("layers", "heads"), [(1, 2), (2, 1)])
def test_gpt_equals_pytorch_with_its_weights(layers, heads):
    config = GptConfig(width=4, heads=heads, layers=layers, context=5)
    weights = random_weights(GptModel.shapes(config, V, False))
    tokens = tokens_of(3, 5)
    ours = GptModel(config, V, weights).log_probabilities(tokens)
    theirs = torch.log_softmax(gpt_in_torch(config, weights, tokens), -1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_beyond_its_block_a_gpt_sees_the_last_tokens():
    config = GptConfig(width=4, heads=1, context=4)
    weights = random_weights(GptModel.shapes(config, V, False))
    tokens = tokens_of(3, 7)
    ours = GptModel(config, V, weights).log_probabilities(tokens)
    for t in range(4, 7):
        window = gpt_in_torch(config, weights, tokens[:, t - 3 : t + 1])[:, -1]
        np.testing.assert_allclose(ours[:, t], torch.log_softmax(window, -1).numpy(), rtol=0, atol=1e-12)


def test_a_gpt_learns_from_every_position_once(few):
    learner = gpt_learner(few.stream, few.vocabulary.size, GptConfig(width=4, heads=1, context=4), None, 0)
    assert learner._lengths.sum() == len(few.stream) - 1
    assert learner._lengths.max() <= 4


def steps(learner, count, lr, seed=0):
    order = Order(learner.examples, learner.batch, seed)
    return [learner.step(order.at(step), lr) for step in range(count)]


def test_the_neural_bigram_converges_to_the_counted_one(few):
    size = few.vocabulary.size
    learner = bigram_learner(few.stream, size, BigramConfig(batch=len(few.stream)), None, 0)
    for rate in (0.3, 0.1, 0.03):
        steps(learner, 200, rate)
    counts = np.zeros((size, size))
    np.add.at(counts, (few.stream[:-1], few.stream[1:]), 1)
    seen = counts.sum(1) > 0
    table = np.exp(learner.model().log_probabilities(np.arange(size)[:, None])[:, 0])
    np.testing.assert_allclose(table[seen], counts[seen] / counts[seen].sum(1, keepdims=True), atol=2e-3)


def mlp_program(*arguments):
    return ScalarLearner(MlpProgram, *arguments)


LEARNERS = {
    "bigram": (bigram_learner, BigramConfig(batch=64)),
    "mlp": (MlpLearner, MlpConfig(hidden=8, context=3, embedding=4, batch=64)),
    "mlp members": (MlpLearner, MlpConfig(hidden=4, context=2, embedding=2, batch=64, members=2)),
    "mlp program": (mlp_program, MlpConfig(hidden=4, context=2, embedding=2, batch=64, members=2)),
    "gpt": (gpt_learner, GptConfig(width=4, heads=2, context=6, batch=8)),
}


@pytest.mark.parametrize("with_prior", [False, True], ids=["alone", "with a prior"])
@pytest.mark.parametrize("name", LEARNERS)
class TestLearner:
    def learner(self, name, few, counted, with_prior, seed=0):
        make, config = LEARNERS[name]
        return make(few.stream, few.vocabulary.size, config, counted if with_prior else None, seed)

    def test_the_first_loss_is_that_of_guessing_or_of_the_prior(self, name, few, counted, with_prior):
        learner = self.learner(name, few, counted, with_prior)
        everything = np.arange(learner.examples)
        tokens, targets = few.stream[None, :-1], few.stream[None, 1:]
        expected = np.log(few.vocabulary.size)
        if with_prior:
            expected = -leave_one_out_score(counted, tokens, targets).mean()
        assert learner.step(everything, 0.0) == pytest.approx(expected, abs=1e-5)

    def test_the_loss_falls(self, name, few, counted, with_prior):
        learner = self.learner(name, few, counted, with_prior)
        everything = np.arange(learner.examples)
        before = learner.step(everything, 0.0)
        steps(learner, 60, learner.lr / 3)
        assert learner.step(everything, 0.0) < before - 0.005

    def test_the_loss_is_that_of_its_model(self, name, few, counted, with_prior):
        if with_prior or name in ("mlp members", "mlp program", "gpt"):
            pytest.skip("training leaves counts out; members learn apart; a gpt's long lines are cut in training")
        learner = self.learner(name, few, counted, with_prior)
        steps(learner, 10, learner.lr)
        result = evaluate(learner.model(), few.vocabulary, few.split.train)
        # a training keeps nothing for letters that are new
        expected = result.nats / result.tokens - few.vocabulary.escape.known_nats
        assert learner.step(np.arange(learner.examples), 0.0) == pytest.approx(expected, abs=1e-5)

    def test_going_on_from_its_state_is_the_same(self, name, few, counted, with_prior):
        one = self.learner(name, few, counted, with_prior)
        steps(one, 5, 0.01)
        state = one.state()
        steps(one, 5, 0.01, seed=1)
        other = self.learner(name, few, counted, with_prior, seed=9)
        other.load_state(state)
        steps(other, 5, 0.01, seed=1)
        ours, theirs = one.state(), other.state()
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)

    def test_a_state_of_another_network_is_refused(self, name, few, counted, with_prior):
        learner = self.learner(name, few, counted, with_prior)
        state = learner.state()
        with pytest.raises(ValueError, match="has the shape"):
            learner.load_state(state | {"weights": np.zeros(3)})

    def test_a_loss_that_is_not_finite_moves_nothing(self, name, few, counted, with_prior):
        learner = self.learner(name, few, counted, with_prior)
        learner._parameters.array[0] = np.nan
        before = learner.state()
        assert np.isnan(learner.step(np.arange(learner.examples), 0.1))
        after = learner.state()
        assert all(np.array_equal(before[key], after[key], equal_nan=True) for key in before)


def test_networks_in_scalars_share_one_compiled_kernel_for_each_type(few, counted):
    """Another layout of an array would compile it again, half a minute in the middle of a training."""
    learners = [(make, config) for make, config in LEARNERS.values() if make is not MlpLearner]

    def run(make, config, prior):
        learner = make(few.stream, few.vocabulary.size, config, prior, 0)
        steps(learner, 2, 0.01)
        model = learner.model()
        model.score(few.stream[None, :9], few.stream[None, 1:10])
        model.reader(3).read(np.zeros(3, int))

    run(*learners[0], None)
    compiled = len(execute.signatures)
    for make, config in learners:
        for prior in (None, counted):
            run(make, config, prior)
    assert len(execute.signatures) == compiled


def test_what_is_left_out_is_worked_out_when_asked_for(few, counted, monkeypatch):
    left_out = LeaveOneOut(counted, few.stream)
    whole = leave_one_out(counted, few.stream[None, :-1], few.stream[None, 1:])[0]
    places = np.array([5, 0, 17, 5, len(few.stream) - 2])
    np.testing.assert_allclose(left_out.at(places), whole[places], rtol=1e-5)
    np.testing.assert_allclose(left_out.at(places), whole[places], rtol=1e-5)
    monkeypatch.setattr("spellout.models.ngram.leave_one_out._MOST_KEPT", 0)  # as for texts too large to keep them
    left_out = LeaveOneOut(counted, few.stream)
    np.testing.assert_allclose(left_out.at(places), whole[places], rtol=1e-5)


def test_a_gpt_from_when_its_context_was_called_a_block_is_understood():
    config = parse_specification("gpt:4:heads=1:block=4").config
    assert config == GptConfig(width=4, heads=1, context=4)
    model = GptModel(config, V, random_weights(GptModel.shapes(config, V, False)))
    settings = model.settings()
    settings["config"]["block"] = settings["config"].pop("context")
    assert GptModel.restore(settings, model.arrays()).config == config
