"""Random graphs with shared nodes: equal to PyTorch float64, and to central differences."""

import torch
from hypothesis import given, settings

from graphs import ANY_BINARY, ANY_UNARY, BINARY, UNARY, build, recipes
from spellout import Value, grad, gradcheck
from spellout.autograd.functions import sum


def compare(recipe, unary, binary):
    numbers, steps = recipe
    values = [Value(x) for x in numbers]
    root = build(values, steps, 0, unary, binary)
    root.backward()
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    reference = build(tensors, steps, 1, unary, binary)
    reference.backward()
    assert abs(root.data - reference.item()) <= 1e-12 * max(1.0, abs(reference.item()))
    expected = [0.0 if t.grad is None else t.grad.item() for t in tensors]
    scale = max(1.0, *map(abs, expected))  # a sum of large terms of both signs is as exact as the terms are
    for value, theirs in zip(values, expected, strict=True):
        assert abs(value.grad - theirs) <= 1e-12 * scale
    assert [g.data for g in grad(root, values)] == [v.grad for v in values]


@settings(max_examples=300, deadline=None)
@given(recipes(ANY_UNARY, ANY_BINARY))
def test_equal_to_pytorch(recipe):
    compare(recipe, ANY_UNARY, ANY_BINARY)


@settings(max_examples=100, deadline=None)
@given(recipes(UNARY, BINARY))
def test_equal_to_central_differences(recipe):
    numbers, steps = recipe
    assert gradcheck(lambda *values: build(values, steps, 0, UNARY, BINARY), *numbers, tolerance=1e-6)


@settings(max_examples=60, deadline=None)
@given(recipes(UNARY, BINARY))
def test_second_derivatives_equal_pytorch(recipe):
    numbers, steps = recipe
    values = [Value(x) for x in numbers]
    first = sum(grad(build(values, steps, 0, UNARY, BINARY), values, create_graph=True))
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    reference = build(tensors, steps, 1, UNARY, BINARY)
    partials = torch.autograd.grad(reference, tensors, create_graph=True, materialize_grads=True)
    total = torch.stack(partials).sum()
    expected = [0.0] * len(tensors)
    if total.requires_grad:
        rows = torch.autograd.grad(total, tensors, materialize_grads=True)
        expected = [row.item() for row in rows]
    scale = max(1.0, *map(abs, expected), abs(total.item()))
    for ours, theirs in zip(grad(first, values), expected, strict=True):
        assert abs(ours.data - theirs) <= 1e-10 * scale
