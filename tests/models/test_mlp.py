"""The mlp in NumPy: its steps against the program, PyTorch and central differences; its lines the same anywhere."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from left_out import leave_one_out
from numpy_networks import rows_of, trained_mlp
from spellout.generation.evaluation import evaluate
from spellout.models.arrays import first_layer
from spellout.models.arrays.blas import _functions, one_thread
from spellout.models.arrays.learner import MlpLearner, MlpModel
from spellout.models.arrays.mlp import MlpArrays, MlpConfig
from spellout.models.arrays.network import member_of
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.leave_one_out import LeaveOneOut
from spellout.models.ngram.training import train_ngram
from spellout.models.scalars.mlp import MlpProgram
from spellout.models.scalars.network import ScalarLearner
from spellout.models.weights import flatten, views
from spellout.training.schedule import Order

LAYERS = [first_layer.TableLayer, first_layer.VectorLayer]
CONFIG = MlpConfig(hidden=7, context=3, embedding=4)


@pytest.fixture(params=LAYERS, ids=["tables", "vectors"])
def way(request, monkeypatch):
    """Both ways of the first layer, whatever the size of the vocabulary."""
    monkeypatch.setattr(first_layer, "FEW_TOKENS", 0 if request.param is first_layer.VectorLayer else 1 << 30)
    return request.param


# One batch of random numbers, with every token but one.


def problem(with_prior, dtype, vocabulary=6, windows=11, seed=0):
    random = np.random.default_rng(seed)
    shapes = MlpProgram.shapes(CONFIG, vocabulary, with_prior)
    weights = {name: np.array(0.5 * random.standard_normal(shape), dtype) for name, shape in shapes.items()}
    tokens = random.integers(0, vocabulary - 1, (windows, CONFIG.context))  # the last token is in none
    targets = random.integers(0, vocabulary, windows)
    prior = F.log_softmax(torch.tensor(random.standard_normal((windows, vocabulary))), -1).numpy().astype(dtype)
    return weights, tokens, targets, prior if with_prior else None


def by_hand(weights, tokens, targets, prior):
    """The loss and all gradients, by name."""
    gradients = {name: np.full_like(array, np.nan) for name, array in weights.items()}
    network = MlpArrays(member_of(weights, 0), member_of(gradients, 0), len(tokens))
    for _ in range(2):  # what the first batch left behind does not matter
        loss = network.loss(tokens, targets, prior)
        network.backward()
    return loss, gradients


def loss_in_torch(w, tokens, targets, prior):
    hidden = torch.tanh(F.linear(w["0.embedding"][tokens].flatten(1), w["0.hidden.weight"], w["0.hidden.bias"]))
    logits = F.linear(hidden, w["0.out.weight"], w["0.out.bias"])
    if prior is not None:
        logits = logits + (hidden @ w["0.prior.weight"] + w["0.prior.bias"])[:, None] * torch.tensor(prior)
    return F.cross_entropy(logits, torch.tensor(targets))


def autograd(weights, tokens, targets, prior):
    w = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    loss = loss_in_torch(w, tokens, targets, prior)
    loss.backward()
    return float(loss.detach()), {name: tensor.grad.numpy() for name, tensor in w.items()}


def central_differences(weights, tokens, targets, prior, h=1e-5):
    gradients = {name: np.zeros_like(array) for name, array in weights.items()}
    for name, array in weights.items():
        for place in np.ndindex(array.shape):
            losses = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * h
                losses.append(by_hand(weights | {name: moved}, tokens, targets, prior)[0])
            gradients[name][place] = (losses[0] - losses[1]) / (2 * h)
    return gradients


def assert_same_gradients(ours, theirs, digits):
    """Equal in every number, by the size of the largest in its array."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=digits * np.abs(expected).max(), err_msg=name)


WITH_PRIOR = pytest.mark.parametrize("with_prior", [False, True], ids=["alone", "with a prior"])


@WITH_PRIOR
@pytest.mark.parametrize(("dtype", "digits"), [(np.float64, 1e-13), (np.float32, 3e-6)])
def test_loss_and_gradients_are_those_of_pytorch(way, with_prior, dtype, digits):
    batch = problem(with_prior, dtype)
    loss, gradients = by_hand(*batch)
    expected, theirs = autograd(*batch)
    assert loss == pytest.approx(expected, rel=digits)
    assert_same_gradients(gradients, theirs, digits)
    assert all(array.dtype == dtype for array in gradients.values())


@WITH_PRIOR
def test_gradients_are_central_differences(way, with_prior):
    batch = problem(with_prior, np.float64)
    assert_same_gradients(by_hand(*batch)[1], central_differences(*batch), 1e-8)


@WITH_PRIOR
def test_an_error_of_a_thousandth_in_any_gradient_is_noticed(with_prior):
    single, double = problem(with_prior, np.float32), problem(with_prior, np.float64)
    checks = [(single, autograd(*single)[1], 3e-6), (double, central_differences(*double), 1e-8)]
    for batch, theirs, digits in checks:
        _, gradients = by_hand(*batch)
        for name in gradients:
            with pytest.raises(AssertionError, match=name):
                assert_same_gradients(gradients | {name: gradients[name] * 1.001}, theirs, digits)


@WITH_PRIOR
def test_large_logits_overflow_nowhere(with_prior):
    weights, tokens, targets, prior = problem(with_prior, np.float32)
    weights = {name: np.array(array * np.float32(300)) for name, array in weights.items()}
    loss, gradients = by_hand(weights, tokens, targets, prior)
    assert loss == pytest.approx(autograd(weights, tokens, targets, prior)[0], rel=1e-5)
    assert all(np.isfinite(array).all() for array in gradients.values())


# Learning: the program of scalars is the reference.


def learners(few, config, prior):
    arguments = (few.stream, few.vocabulary.size, config, prior, 3)
    return MlpLearner(*arguments), ScalarLearner(MlpProgram, *arguments)


@pytest.mark.parametrize("members", [1, 3])
@WITH_PRIOR
def test_a_step_is_that_of_the_program(way, few, counted, members, with_prior):
    config = MlpConfig(hidden=16, context=3, embedding=8, members=members)
    ours, program = learners(few, config, counted if with_prior else None)
    order = Order(ours.examples, 256, 0)
    for step in range(20):
        chosen = order.at(step)
        loss, gradient = ours.gradient(chosen)
        expected, theirs = program.gradient(chosen)
        assert loss == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
        assert ours.step(chosen, 0.01) == loss
        program.step(chosen, 0.01)
    state, other = ours.state(), program.state()
    assert state.keys() == other.keys()
    ours.load_state(other)  # what one has learned the other goes on with
    assert ours.step(chosen, 0.01) == pytest.approx(program.step(chosen, 0.01), rel=1e-5)
    assert evaluate(ours.model(), few.vocabulary, few.split.dev).nats_per_char == pytest.approx(
        evaluate(program.model(), few.vocabulary, few.split.dev).nats_per_char, rel=1e-5
    )


def test_adamw_is_pytorchs_with_clipped_gradients(few):
    learner = MlpLearner(few.stream, few.vocabulary.size, MlpConfig(weight_decay=0.3), None, 0)
    p = torch.nn.Parameter(torch.tensor(learner._parameters.array.copy()))
    adamw = torch.optim.AdamW([p], lr=0.02, betas=(0.9, 0.99), weight_decay=0.3)
    random = np.random.default_rng(0)
    for number in range(6):
        gradient = (10.0 ** (number - 4) * random.standard_normal(p.numel())).astype(np.float32)
        p.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_([p], 1.0)
        adamw.step()
        assert learner._parameters.move(gradient, 0.02)
    np.testing.assert_allclose(learner._parameters.array, p.detach().numpy(), rtol=0, atol=2e-6)


def trained_bits(few, prior, skew):
    """The weights after some steps, as bytes, with arrays that begin elsewhere in memory."""
    kept = [np.empty(skew + 7 * i, np.uint8) for i in range(50)]
    learner = MlpLearner(few.stream, few.vocabulary.size, MlpConfig(), prior, 0)
    if skew:  # weights and gradients at an address that is a multiple of four and of nothing else
        for holder, name in ((learner._parameters, "array"), (learner, "_gradient")):
            old = getattr(holder, name)
            new = np.empty(old.size + 16, np.float32)
            shift = next(i for i in range(16) if (new.ctypes.data + 4 * i) % 64 == skew % 16 * 4)
            setattr(holder, name, new[shift : shift + old.size])
            getattr(holder, name)[:] = old
    order = Order(learner.examples, learner.batch, 0)
    for step in range(12):
        learner.step(order.at(step), 6e-3)
    del kept
    return learner.state()["weights"].tobytes()


@WITH_PRIOR
def test_the_same_training_gives_the_same_bits_wherever_its_arrays_lie(way, few, counted, with_prior):
    prior = counted if with_prior else None
    assert len({trained_bits(few, prior, skew) for skew in (0, 1, 3, 13)}) == 1


def test_products_are_on_one_thread_and_then_on_as_many_as_before():
    blas = _functions()
    if blas is None:
        pytest.skip("this NumPy has not its own OpenBLAS")
    threads, set_threads = blas
    before = threads()
    set_threads(2)
    with one_thread():
        assert threads() == 1
    assert threads() == 2
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert threads() == 2
    first, second = one_thread(), one_thread()  # as of two threads of Python
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert threads() == 1
    second.__exit__(None, None, None)
    assert threads() == 2
    set_threads(before)


def test_memory_of_adamw_stays_normal_where_gradients_are_zero(few):
    """Denormal numbers would make each step slow: words that are not read have no gradient for long."""
    learner = MlpLearner(few.stream, few.vocabulary.size, CONFIG, None, 0)
    gradient = np.zeros_like(learner._parameters.array)
    gradient[::2] = 1e-3
    learner._parameters.move(gradient, 1e-3)
    for _ in range(3000):
        learner._parameters.move(np.zeros_like(gradient), 1e-3)
    state = learner.state()
    for name in ("mean", "square"):
        assert np.abs(state[name]).min() >= np.finfo(np.float32).tiny


# Running (see also `test_numpy_networks.py`).


@pytest.mark.parametrize("members", [1, 3])
def test_tables_change_no_bit(few, counted, members, monkeypatch):
    model = trained_mlp(few, counted, members)
    tokens = rows_of(few, 700)
    with_tables = model.log_probabilities(tokens)
    monkeypatch.setattr("spellout.models.arrays.learner._LARGEST_TABLES", 0)
    without = MlpModel(model.config, model.vocabulary_size, model.weights, model.prior)
    assert np.array_equal(without.log_probabilities(tokens), with_tables)
    assert without._exact_members[0]._tables is None
    assert model._exact_members[0]._tables is not None


@pytest.mark.parametrize("factor", [0.0, 1e-44, 1e-30, 30.0, 1e30])
@WITH_PRIOR
def test_weights_of_any_size_can_be_run(with_prior, factor):
    weights, tokens, _, prior = problem(with_prior, np.float32)
    weights = {name: np.array(array * np.float32(factor)) for name, array in weights.items()}

    class Prior:
        context, parameters = 1, 0

    model = MlpModel(CONFIG, 6, weights, Prior() if with_prior else None)
    model.check()
    logits = model.window_logits(tokens, prior)
    w = {name: torch.tensor(array.astype(np.float64)) for name, array in weights.items()}
    hidden = torch.tanh(F.linear(w["0.embedding"][tokens].flatten(1), w["0.hidden.weight"], w["0.hidden.bias"]))
    expected = F.linear(hidden, w["0.out.weight"], w["0.out.bias"])
    if with_prior:
        expected += (hidden @ w["0.prior.weight"] + w["0.prior.bias"])[:, None] * torch.tensor(prior)
    size = 1e-45 + factor * 10.0
    np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=1e-6 * size)


def test_weights_that_float32_cannot_hold_are_refused():
    weights = problem(False, np.float64)[0]
    for wrong in (np.nan, np.inf, 1e39):
        changed = weights["0.embedding"].copy()
        changed[1, 2] = wrong
        with pytest.raises(ValueError, match=r"0\.embedding is not finite"):
            MlpModel(CONFIG, 6, weights | {"0.embedding": changed}).check()


def test_views_are_of_the_flat_array():
    weights = problem(True, np.float32)[0]
    shapes = MlpProgram.shapes(CONFIG, 6, True)
    flat = flatten(weights, shapes)
    again = views(flat, shapes)
    assert again.keys() == weights.keys()
    assert all(np.array_equal(again[name], weights[name]) for name in weights)
    again["0.out.bias"][2] = 9.0
    assert 9.0 in flat


def test_where_counts_repeat_they_are_worked_out_once(few, counted, monkeypatch):
    left_out, asked = LeaveOneOut(counted, few.stream), []
    rows = type(counted).leave_one_out_rows
    monkeypatch.setattr(
        type(counted), "leave_one_out_rows", lambda self, c, t: asked.append(len(t)) or rows(self, c, t)
    )
    everything = np.arange(len(few.stream) - 1)
    whole = leave_one_out(counted, few.stream[None, :-1], few.stream[None, 1:])[0]
    del asked[:]
    for chosen in np.array_split(np.random.default_rng(0).permutation(everything), 9):
        np.testing.assert_allclose(left_out.at(chosen), whole[chosen], rtol=1e-6)
    contexts = {tuple(row) for row in np.stack([*left_out._columns, left_out._targets], axis=1).tolist()}
    assert sum(asked) == len(contexts) < len(everything) / 2


def test_left_out_counts_are_the_same_before_and_after_positions_are_numbered(prepared, monkeypatch):
    from spellout.models.ngram import leave_one_out

    prior = train_ngram(prepared.stream, prepared.vocabulary.size, NgramConfig(order=4), lambda event: None)[0]
    places = np.random.default_rng(0).integers(0, len(prepared.stream) - 1, (6, 2000))
    numbered = leave_one_out.LeaveOneOut(prior, prepared.stream)
    monkeypatch.setattr(leave_one_out, "_FEW", 0)
    later = leave_one_out.LeaveOneOut(prior, prepared.stream)
    for some in places:
        assert np.array_equal(numbered.at(some), later.at(some))
