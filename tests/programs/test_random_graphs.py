"""Random graphs: a program equals the eager engine and PyTorch float64, in every lane, with and without passes.

Leaves are parameters, inputs, rows of a table picked by an integer input, and constants.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import ANY_BINARY, ANY_UNARY, build, number, steps
from spellout import Value, operation, pick, record
from spellout.autograd.functions import dot
from spellout.autograd.functions import sum as sum_of
from spellout.programs.passes import PASSES
from spellout.programs.program import CONSTANT, Instruction


@st.composite
def leaves(draw):
    """(kind, numbers, what each lane picks) per leaf, one parameter at least; and the number of lanes."""
    lanes = draw(st.sampled_from([1, 2, 5]))
    several = st.lists(number, min_size=lanes, max_size=lanes)
    rows = st.lists(number, min_size=1, max_size=3)
    chosen = [("parameter", [draw(number)], None)]
    for kind in draw(st.lists(st.sampled_from(["parameter", "input", "picked", "constant"]), max_size=4)):
        if kind == "picked":
            table = draw(rows)
            indices = draw(st.lists(st.integers(0, len(table) - 1), min_size=lanes, max_size=lanes))
            chosen.append((kind, table, indices))
        else:
            chosen.append((kind, draw(several) if kind == "input" else [draw(number)], None))
    return draw(st.permutations(chosen)), lanes


def of_lane(leaf, values, lane):
    """What a leaf is in one lane, from its numbers as Values or tensors."""
    kind, _, indices = leaf
    return values[lane if kind == "input" else indices[lane] if kind == "picked" else 0]


def compare(drawn, ours, theirs=None, passes=PASSES):
    """Record `ours`, a function of the leaves, and compare with itself on Values and `theirs` on tensors."""
    chosen, lanes = drawn
    values = [[Value(x) for x in numbers] for _, numbers, _ in chosen]
    learn = [leaf[0] in ("parameter", "picked") for leaf in chosen]
    parameters = [value for row, learns in zip(values, learn, strict=True) for value in row * learns]
    inputs = [place for place, leaf in enumerate(chosen) if leaf[0] in ("input", "picked")]

    def function(*arguments):
        given = dict(zip(inputs, arguments, strict=True))
        nodes = []
        for place, (kind, numbers, _) in enumerate(chosen):
            if kind == "constant":
                nodes.append(Value(numbers[0]))
            else:
                nodes.append(
                    {
                        "parameter": lambda p=place: values[p][0],
                        "input": lambda p=place: given[p],
                        "picked": lambda p=place: pick(values[p], given[p]),
                    }[kind]()
                )
        return ours(*nodes)

    examples = [np.array(chosen[place][1] if chosen[place][0] == "input" else chosen[place][2]) for place in inputs]
    if not examples:
        lanes = 1
    program = record(function, *[array[0].item() for array in examples], parameters=parameters, passes=passes)
    results = program(*examples)
    mean, gradient = program.gradient(*examples)

    roots = []
    for lane in range(lanes):
        roots.append(ours(*[of_lane(leaf, row, lane) for leaf, row in zip(chosen, values, strict=True)]))
        roots[-1].backward()
    expected = np.array([root.data for root in roots])
    _agree(results, expected, expected)
    _agree(np.array([mean]), np.array([expected.mean()]), expected)
    eager = np.array([p.grad for p in parameters]) / lanes
    _agree(gradient, eager, eager)
    if theirs is not None:
        _compare_with_torch(chosen, lanes, learn, theirs, expected, eager)


def _compare_with_torch(chosen, lanes, learn, theirs, expected, eager):
    tensors = [[torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in leaf[1]] for leaf in chosen]
    roots = [
        theirs(*[of_lane(leaf, row, lane) for leaf, row in zip(chosen, tensors, strict=True)])
        for lane in range(lanes)
    ]
    torch.stack(roots).mean().backward()
    learned = [tensor for row, learns in zip(tensors, learn, strict=True) for tensor in row * learns]
    _agree(np.array([root.item() for root in roots]), expected, expected)
    _agree(np.array([0.0 if t.grad is None else t.grad.item() for t in learned]), eager, eager)


def _agree(ours, theirs, scale):
    """Within 1e-12 of the largest number: a sum of terms of both signs is as exact as its terms are."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(scale).max()))


@st.composite
def graphs(draw):
    drawn = draw(leaves())
    return drawn, draw(steps(len(drawn[0]), ANY_UNARY, ANY_BINARY))


def built(recipe, side):
    return lambda *nodes: build(nodes, recipe, side, ANY_UNARY, ANY_BINARY)


@settings(max_examples=120)
@given(graphs())
def test_graphs_equal_eager_and_pytorch(graph):
    drawn, recipe = graph
    compare(drawn, built(recipe, 0), built(recipe, 1))


@settings(max_examples=60)
@given(graphs())
def test_graphs_without_passes(graph):
    drawn, recipe = graph
    compare(drawn, built(recipe, 0), built(recipe, 1), passes=())


leaf = st.integers(0, 4)
sums = st.recursive(
    leaf,
    lambda inside: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*"]), inside, inside),
        st.tuples(st.just("neg"), inside),
        st.tuples(st.just("sum"), st.lists(inside, min_size=1, max_size=4)),
        st.tuples(st.just("dot"), st.lists(st.tuples(leaf, inside), min_size=1, max_size=4)),
    ),
    max_leaves=16,
)


def total(tree, nodes, ours):
    """A tree of sums and products of leaves: additions in any order, parameters on either side of products."""
    if isinstance(tree, int):
        return nodes[tree % len(nodes)]
    op, *arguments = tree
    if op == "dot":
        pairs = [(nodes[a % len(nodes)], total(b, nodes, ours)) for a, b in arguments[0]]
        return dot(*zip(*pairs, strict=True)) if ours else sum([a * b for a, b in pairs])
    if op == "sum":
        terms = [total(term, nodes, ours) for term in arguments[0]]
        return sum_of(terms) if ours else sum(terms)
    numbers = [total(argument, nodes, ours) for argument in arguments]
    if op == "neg":
        return -numbers[0]
    a, b = numbers
    return a + b if op == "+" else a - b if op == "-" else a * b


@settings(max_examples=200)
@given(leaves(), sums)
def test_sums_of_products_in_any_order(drawn, tree):
    compare(
        drawn,
        lambda *nodes: total(tree, nodes, True) * 1.0,
        lambda *nodes: total(tree, nodes, False) * torch.ones((), dtype=torch.float64),
    )


# The checkers are checked: a thousandth is seen.

ONE = [("parameter", [0.7], None), ("input", [0.3, -1.1], None)], 2


def _off_by_a_thousandth(program):
    """A pass that is wrong: it multiplies the result by 1.001."""
    places = len(program.instructions)
    added = (Instruction(CONSTANT, (), 1.001), Instruction("mul", (program.outputs[0], places)))
    return replace(program, instructions=program.instructions + added, outputs=(places + 1,))


def test_a_wrong_pass_is_seen():
    compare(ONE, lambda p, x: (p * x).tanh(), passes=PASSES)
    with pytest.raises(AssertionError):
        compare(ONE, lambda p, x: (p * x).tanh(), passes=(*PASSES, _off_by_a_thousandth))


@pytest.mark.usefixtures("_table_restored")
def test_a_wrong_derivative_is_seen():
    right = operation("square_", lambda x: x * x, lambda x: 2.0 * x)
    compare(ONE, lambda p, x: right(p * x), lambda p, x: (p * x) ** 2)
    wrong = operation("square_", lambda x: x * x, lambda x: 2.002 * x)
    with pytest.raises(AssertionError):
        compare(ONE, lambda p, x: wrong(p * x), lambda p, x: (p * x) ** 2)
