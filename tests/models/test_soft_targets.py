"""What a teacher says as a target: where it says one token for certain, it is the token; else see PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.arrays.mlp import MlpArrays, MlpConfig, shapes
from spellout.models.arrays.network import member_of
from spellout.models.pytorch.learner import _cross_entropy
from spellout.models.table import MODELS, parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.train import learner_of

STUDENTS = ["mlp:8", "gru-numpy:8", "gru:8", "transformer:8:layers=1", "wavenet:8:levels=2"]


@pytest.fixture(scope="module")
def few(names):
    return Prepared.of(Lines.of(names.distinct[:200]), DataConfig())


def begin(prepared, specification, soft_targets=None):
    size, training = prepared.vocabulary.size, TrainingConfig()
    understood = parse_specification(specification)
    return learner_of(understood, prepared.stream, size, training, soft_targets=soft_targets)


def one_hot(prepared):
    return np.eye(prepared.vocabulary.size, dtype=np.float16)[prepared.stream[1:]]


@pytest.mark.parametrize("specification", STUDENTS)
def test_certain_targets_are_the_tokens(few, specification):
    hard, soft = begin(few, specification), begin(few, specification, one_hot(few))
    for batch in np.random.default_rng(0).integers(0, hard.examples, (4, 32)):
        assert soft.step(batch, 1e-3) == pytest.approx(hard.step(batch, 1e-3), rel=1e-5)
    for name, array in hard.state().items():
        np.testing.assert_allclose(soft.state()[name], array, rtol=2e-2, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("specification", STUDENTS)
def test_other_targets_teach_something_else(few, specification):
    doubtful = (one_hot(few) + np.float16(1 / 16)) / (1 + few.vocabulary.size / 16)
    hard, soft = begin(few, specification), begin(few, specification, doubtful.astype(np.float16))
    chosen = np.arange(32)
    for _ in range(2):
        losses = hard.step(chosen, 1e-2), soft.step(chosen, 1e-2)
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def test_the_loss_is_that_of_pytorch_where_positions_count_and_has_its_gradient():
    torch.manual_seed(0)
    logits = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(7, 5, dtype=torch.float64).softmax(-1)
    counting = torch.tensor([True, True, False, True, True, False, True])
    padded = targets * counting[:, None]
    assert torch.allclose(_cross_entropy(logits, padded), F.cross_entropy(logits[counting], targets[counting]))
    assert gradcheck(lambda x: _cross_entropy(x, padded), logits)


@pytest.mark.parametrize("with_prior", [False, True])
def test_the_gradient_of_the_mlp_by_hand_is_that_of_autograd(with_prior):
    config, vocabulary, windows = MlpConfig(hidden=7, context=3, embedding=4), 6, 11
    random = np.random.default_rng(0)
    weights = {name: 0.5 * random.standard_normal(s) for name, s in shapes(config, vocabulary, with_prior).items()}
    tokens = random.integers(0, vocabulary, (windows, config.context))
    targets = random.dirichlet(np.ones(vocabulary), windows)
    prior = np.log(random.dirichlet(np.ones(vocabulary), windows)) if with_prior else None
    gradients = {name: np.full_like(array, np.nan) for name, array in weights.items()}
    network = MlpArrays(member_of(weights, 0), member_of(gradients, 0), windows)
    loss = network.loss(tokens, targets, prior)
    network.backward()
    w = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    hidden = torch.tanh(F.linear(w["0.embedding"][tokens].flatten(1), w["0.hidden.weight"], w["0.hidden.bias"]))
    logits = F.linear(hidden, w["0.out.weight"], w["0.out.bias"])
    if prior is not None:
        logits = logits + (hidden @ w["0.prior.weight"] + w["0.prior.bias"])[:, None] * torch.tensor(prior)
    expected = F.cross_entropy(logits, torch.tensor(targets))
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-12)
    for name, tensor in w.items():
        np.testing.assert_allclose(gradients[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_table_says_who_can_be_a_student():
    assert {name for name, family in MODELS.items() if family.student} == {
        "mlp",
        "gru-numpy",
        *(name for name, family in MODELS.items() if family.torch),
    }
