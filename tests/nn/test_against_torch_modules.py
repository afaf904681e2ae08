"""LayerNorm, RMSNorm, attention and the losses against PyTorch with the same weights."""

import math
import random

import pytest
import torch
import torch.nn.functional as F

from spellout import Value
from spellout.errors import ShapeError
from spellout.nn import losses
from spellout.nn.attention import Attention
from spellout.nn.embedding import Embedding
from spellout.nn.normalization import LayerNorm, RMSNorm

rng = random.Random(5)


def numbers(*shape):
    if len(shape) == 1:
        return [rng.uniform(-2, 2) for _ in range(shape[0])]
    return [numbers(*shape[1:]) for _ in range(shape[0])]


def values(tree):
    return [values(item) for item in tree] if isinstance(tree, list) else Value(tree)


def grads(tree):
    return [grads(item) for item in tree] if isinstance(tree, list) else tree.grad


def datas(tree):
    return [datas(item) for item in tree] if isinstance(tree, list) else tree.data


def tensor(tree):
    return torch.tensor(tree, dtype=torch.float64, requires_grad=True)


def same(ours, theirs):
    assert torch.allclose(torch.tensor(ours, dtype=torch.float64), theirs, rtol=1e-12, atol=1e-13)


def weigh(tree, weights):
    """A root that depends on every output differently."""
    if isinstance(tree, list):
        return sum(weigh(item, row) for item, row in zip(tree, weights, strict=True))
    return tree * weights


@pytest.mark.parametrize("kind", [LayerNorm, RMSNorm])
def test_norms(kind):
    layer, reference = kind(6), getattr(torch.nn, kind.__name__)(6, dtype=torch.float64)
    state = {"weight": numbers(6), "bias": numbers(6)} if kind is LayerNorm else {"weight": numbers(6)}
    layer.load_state_dict(state)
    reference.load_state_dict({name: torch.tensor(x, dtype=torch.float64) for name, x in state.items()})
    data, weights = numbers(6), numbers(6)
    x, t = values(data), tensor(data)
    out, theirs = layer(x), reference(t)
    weigh(out, weights).backward()
    (theirs * torch.tensor(weights, dtype=torch.float64)).sum().backward()
    same(datas(out), theirs)
    same(grads(x), t.grad)
    same(grads(layer.weight), reference.weight.grad)
    if kind is LayerNorm:
        same(grads(layer.bias), reference.bias.grad)
    with pytest.raises(ShapeError, match="takes 6 numbers, got 5"):
        layer(x[:5])


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_attention(heads, causal):
    T, C = 5, 8
    layer = Attention(C, heads, causal=causal, rng=random.Random(heads))
    for p in layer.parameters():
        p.data += rng.uniform(-0.1, 0.1)  # biases are not zero then
    reference = torch.nn.MultiheadAttention(C, heads, dtype=torch.float64)
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        for p, name in ((reference.in_proj_weight, "w"), (reference.in_proj_bias, "b")):
            rows = [getattr(n, name) for part in parts for n in part.neurons]
            p.copy_(torch.tensor([datas(row) for row in rows], dtype=torch.float64))
        reference.out_proj.weight.copy_(torch.tensor([datas(n.w) for n in layer.out.neurons], dtype=torch.float64))
        reference.out_proj.bias.copy_(torch.tensor([n.b.data for n in layer.out.neurons], dtype=torch.float64))
    data, weights = numbers(T, C), numbers(T, C)
    x, t = values(data), tensor(data)
    mask = torch.triu(torch.ones(T, T, dtype=torch.bool), 1) if causal else None
    out = layer(x)
    theirs, _ = reference(t, t, t, attn_mask=mask)
    weigh(out, weights).backward()
    (theirs * torch.tensor(weights, dtype=torch.float64)).sum().backward()
    same(datas(out), theirs)
    same(grads(x), t.grad)
    same([grads(n.w) for part in parts for n in part.neurons], reference.in_proj_weight.grad)
    same([grads(n.w) for n in layer.out.neurons], reference.out_proj.weight.grad)


def test_causal_attention_depends_on_the_past_only():
    layer = Attention(4, 2, rng=random.Random(0))
    x = values(numbers(4, 4))
    for t in range(4):
        for row in x:
            for v in row:
                v.grad = 0.0
        sum(layer(x)[t]).backward()
        assert [any(v.grad for v in row) for row in x] == [position <= t for position in range(4)]


def test_embedding():
    table = Embedding(6, 3, rng=random.Random(0))
    reference = tensor(datas(table.weight))
    tokens, weights = [1, 4, 1], numbers(3, 3)
    weigh(table.rows(tokens), weights).backward()
    (F.embedding(torch.tensor(tokens), reference) * torch.tensor(weights, dtype=torch.float64)).sum().backward()
    same(grads(table.weight), reference.grad)


def check_loss(ours, theirs, data):
    x, t = values(data), tensor(data)
    loss, reference = ours(x), theirs(t)
    loss.backward()
    reference.backward()
    same(loss.data, reference)
    same(grads(x), t.grad)


def test_squared_error():
    target = numbers(5)
    t = torch.tensor(target, dtype=torch.float64)
    check_loss(lambda x: losses.squared_error(x, target), lambda x: F.mse_loss(x, t), numbers(5))
    assert losses.squared_error(Value(3.0), 1).data == 4.0


def test_hinge():
    labels = [1, -1, 1, -1]
    t = torch.tensor(labels)
    check_loss(lambda x: losses.hinge(x, labels), lambda x: (1 - t * x).relu().mean(), [0.5, 0.5, 3.0, -4.0])


def test_cross_entropy_and_negative_log_likelihood():
    from spellout.autograd.functions import log_softmax

    for logits in (numbers(7), [1000.0, -1000.0, 0.0], [0.0, 0.0]):
        for target in range(len(logits)):
            place = torch.tensor(target)
            check_loss(
                lambda x, k=target: losses.cross_entropy(x, k),
                lambda x, k=place: F.cross_entropy(x, k),
                logits,
            )
            check_loss(
                lambda x, k=target: losses.negative_log_likelihood(log_softmax(x), k),
                lambda x, k=place: F.nll_loss(F.log_softmax(x, 0), k),
                logits,
            )
    with pytest.raises(ShapeError, match="class 3 is outside 0 to 2"):
        losses.cross_entropy([1.0, 2.0, 3.0], 3)


def test_binary_cross_entropy():
    target = [1.0, 0.0, 0.25, 1.0]
    t = torch.tensor(target, dtype=torch.float64)
    check_loss(
        lambda x: losses.binary_cross_entropy(x, target),
        lambda x: F.binary_cross_entropy(x, t),
        [0.9, 0.2, 0.5, 1e-9],
    )
    check_loss(
        lambda x: losses.binary_cross_entropy_with_logits(x, target),
        lambda x: F.binary_cross_entropy_with_logits(x, t),
        [3.0, -0.5, 1000.0, -1000.0],
    )
    certain = [losses.binary_cross_entropy(Value(p), y).data for p, y in ((0.0, 1), (1.0, 0), (0.0, 0), (1.0, 1))]
    assert certain == [100.0, 100.0, 0.0, 0.0]


def test_l2_penalty():
    check_loss(lambda x: losses.l2_penalty(x, 0.01), lambda x: 0.01 * (x * x).sum(), numbers(4))


def test_lengths_must_fit():
    for pair in (([1.0], [1.0, 2.0]), ([], []), ([1.0], 1.0)):
        with pytest.raises(ShapeError, match="as many targets as predictions"):
            losses.squared_error(*pair)
    assert math.isclose(losses.hinge(0.5, -1).data, 1.5)
