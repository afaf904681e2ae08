"""Rewrites of programs: each a function from one program to another that computes the same.

`python bench/programs.py` measures what each is worth: fusing five times, folding a third where there is something
to fold (a square), the others nothing by themselves on its two functions: sharing and dropping clean up, and
`split_dots` is for wide layers with residuals. Sums are reordered by `fuse_dots` and `split_dots` only, so results
agree with the eager engine exactly before and to the last few bits after them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ..autograd.ops import TABLE
from .program import CONSTANT, OWN, PICK, SELECT, SOURCES, Instruction, Program

Pass = Callable[[Program], Program]
_COMMUTE = frozenset(["add", "mul"])  # not maximum: for signed zeros and nan the order matters
_SUMS = frozenset(["add", "sub", "sum", "dot"])
_FIXED = SOURCES | {PICK, SELECT, OWN}
_SHORT = 4
"""Dots of fewer products are not worth a layer."""
Products = list[tuple[float, int, int]]
"""Terms of a sum that are products: a sign and two factors."""
Alone = list[tuple[float, int]]
"""Terms without a factor: a sign and a number."""


class _Rewriter:
    """A program being written anew, instruction by instruction, and where each of the old ones went."""

    def __init__(self, program: Program) -> None:
        self.old = program
        self.new: list[Instruction] = []
        self.moved: list[int] = []

    def write(self, instruction: Instruction) -> int:
        self.new.append(instruction)
        return len(self.new) - 1

    def make(self, op: str, args: tuple[int, ...], line: str) -> int:
        return self.write(Instruction(op, args, None, line))

    def constant(self, number: float) -> int:
        return self.write(Instruction(CONSTANT, (), number))

    def negated(self, place: int, line: str) -> int:
        instruction = self.new[place]
        return self.constant(-instruction.data) if instruction.op == CONSTANT else self.make("neg", (place,), line)


def _rewritten(program: Program, rule: Callable[[_Rewriter, Instruction, int], int]) -> Program:
    """Give the rule every instruction with its arguments' new places, and its own old place.

    It writes what takes the instruction's place, and returns where that stands; -1 if nothing needs it.
    """
    rewriter = _Rewriter(program)
    moved = rewriter.moved
    for place, (op, args, data, line) in enumerate(program.instructions):
        # Made and not `_replace`d, which takes three times as long.
        instruction = Instruction(op, tuple([moved[arg] for arg in args]), data, line)
        moved.append(rule(rewriter, instruction, place))
    outputs = tuple([moved[output] for output in program.outputs])
    return replace(program, instructions=tuple(rewriter.new), outputs=outputs)


def fold_constants(program: Program) -> Program:
    """Compute what depends on constants only, and take away what changes nothing: x·1, x/1, x**1; x**2 is x·x."""

    def rule(rewriter: _Rewriter, instruction: Instruction, place: int) -> int:
        op, args, new = instruction.op, instruction.args, rewriter.new
        constants = [new[arg].data if new[arg].op == CONSTANT else None for arg in args]
        if op in _FIXED:
            return rewriter.write(instruction)
        if None not in constants:
            return rewriter.constant(TABLE[op].forward(*constants))
        if op in ("mul", "div", "pow") and constants[1] == 1.0:
            return args[0]
        if op == "mul" and constants[0] == 1.0:
            return args[1]
        if op == "pow" and constants[1] == 2.0:  # far cheaper than a power
            return rewriter.write(instruction._replace(op="mul", args=(args[0], args[0])))
        return rewriter.write(instruction)

    return _rewritten(program, rule)


def share_subexpressions(program: Program) -> Program:
    """Compute the same thing once, and choose no more between two that are the same."""
    known: dict[object, int] = {}

    def rule(rewriter: _Rewriter, instruction: Instruction, place: int) -> int:
        op, args, data, _ = instruction
        if op == "where" and args[1] == args[2]:
            return args[1]
        named = data.hex() if isinstance(data, float) else data  # nan equals itself, -0.0 is not 0.0
        key = op, tuple(sorted(args)) if op in _COMMUTE else args, named
        if key not in known:
            known[key] = rewriter.write(instruction)
        return known[key]

    return _rewritten(program, rule)


def drop_unused(program: Program) -> Program:
    """Keep what the results depend on."""
    used = set(program.outputs)
    for place in range(len(program.instructions) - 1, -1, -1):
        if place in used:
            used.update(program.instructions[place].args)
    return _rewritten(program, lambda rewriter, one, place: rewriter.write(one) if place in used else -1)


def fuse_dots(program: Program) -> Program:
    """Make one `dot` of every sum of products, in whatever order it was added up.

    A term may be a product, a dot, a sum, or any other value, which then counts as its product with 1. Terms that
    are used elsewhere too are left alone. Three or more terms without a product become one `sum`.
    """
    old = program.instructions
    # A sum that two need is computed once, and not in both.
    uses = Counter([arg for instruction in old for arg in instruction.args])
    uses.update(program.outputs)
    swallowed: set[int] = set()  # by a sum above, which is written in its place
    for op, args, _, _ in old:
        if op in _SUMS:
            added = args[len(args) // 2 * 2 :] if op == "dot" else args  # of a dot, its bias
            swallowed.update([arg for arg in added if uses[arg] == 1 and old[arg].op in (*_SUMS, "mul")])

    def rule(rewriter: _Rewriter, instruction: Instruction, place: int) -> int:
        if place in swallowed:
            return -1
        if instruction.op in _SUMS:
            return _write_sum(rewriter, instruction, *_terms(rewriter, place, swallowed))
        return rewriter.write(instruction)

    return _rewritten(program, rule)


def _terms(rewriter: _Rewriter, root: int, swallowed: set[int]) -> tuple[Products, Alone]:
    """What the sum at `root` adds up, by new places; all of it is written already."""
    old, moved = rewriter.old.instructions, rewriter.moved
    products: Products = []
    alone: Alone = []
    stack = [(1.0, root)]
    while stack:
        sign, place = stack.pop()
        op, args, _, _ = old[place]
        if place != root and place not in swallowed:
            alone.append((sign, moved[place]))
        elif op in ("mul", "dot"):  # a product is a dot of one
            half = len(args) // 2
            pairs = zip(args[:half], args[half : 2 * half], strict=True)
            products += [(sign, moved[a], moved[b]) for a, b in pairs]
            stack += [(sign, arg) for arg in args[2 * half :]]
        else:
            last = -sign if op == "sub" else sign  # pushed first, so that it is looked at last
            stack += [(last, args[-1]), *[(sign, arg) for arg in args[-2::-1]]]
    return products, alone


def _write_sum(rewriter: _Rewriter, root: Instruction, products: Products, alone: Alone) -> int:
    """Write a sum as one instruction: as a dot, all left factors, all right ones, and perhaps a bias."""
    line, new = root.line, rewriter.new
    # x + 0 is x, but a sum of nothing but zeros stays one.
    kept = [(sign, term) for sign, term in alone if new[term].op != CONSTANT or new[term].data != 0.0]
    if kept or products:
        alone = kept
    if root.op != "dot" and len(products) + len(alone) <= 2 and len(products) <= 1:  # a dot would not pay
        made = [(sign, rewriter.make("mul", (a, b), line)) for sign, a, b in products]
        return _plain(rewriter, root, [*made, *alone])
    if not products and all(sign == 1.0 for sign, _ in alone):
        return rewriter.make("sum", tuple([term for _, term in alone]), line)
    left = [a if sign == 1.0 else rewriter.negated(a, line) for sign, a, _ in products]
    bias = next((term for sign, term in alone if sign == 1.0), None)
    if bias is not None:
        alone.remove((1.0, bias))
    left += [rewriter.constant(sign) for sign, _ in alone]  # terms alone get the factor 1 or -1
    right = [b for *_, b in products] + [term for _, term in alone]
    return rewriter.make("dot", (*left, *right, *([] if bias is None else [bias])), line)


def _plain(rewriter: _Rewriter, root: Instruction, terms: Alone) -> int:
    """One or two terms: the term itself, an addition, a subtraction, or a change of sign."""
    if len(terms) == 1:
        ((sign, place),) = terms
        if root.op == "sum":  # kept: the first position of a line is then as deep as the others and shares layers
            return rewriter.make("sum", (place,), root.line)
        return place if sign > 0.0 else rewriter.negated(place, root.line)
    (first, a), (second, b) = terms
    if first < 0.0 < second:
        (first, a), (second, b) = (second, b), (first, a)
    place = rewriter.make("add" if second > 0.0 else "sub", (a, b), root.line)
    return place if first > 0.0 else rewriter.make("neg", (place,), root.line)


def split_dots(program: Program) -> Program:
    """Keep dots such that they can share a layer: shared weights times inputs that other dots have too.

    It undoes `fuse_dots` where a neuron has something of its own added. dot(w, h) + s·q gets its own product apart,
    and a bias that differs between examples, such as a residual, is added afterwards.
    """
    varies = program.varies
    users: Counter[int] = Counter()
    for instruction in program.instructions:
        if instruction.op == "dot":
            users.update(set(instruction.args[: len(instruction.args) // 2 * 2]))

    def rule(rewriter: _Rewriter, dot: Instruction, place: int) -> int:
        old, args, half = program.instructions[place].args, dot.args, len(dot.args) // 2
        if dot.op != "dot" or half < _SHORT:
            return rewriter.write(dot)
        pairs = list(zip(old[:half], old[half : 2 * half], strict=True))
        # A product of two numbers that vary, or of two that do not, or whose input no other dot has.
        own = [varies[a] == varies[b] or users[a if varies[a] else b] == 1 for a, b in pairs]
        if sum(own) > half // 2:
            return rewriter.write(dot)
        bias, late = args[2 * half :], any(varies[arg] for arg in old[2 * half :])
        apart, shared = (
            [arg for arg, alone in zip(args, own * 2, strict=False) if alone is kind] for kind in (True, False)
        )
        result = rewriter.make("dot", (*shared, *(() if late else bias)), dot.line)
        if apart:
            result = rewriter.make("dot", (*apart, result), dot.line)
        return rewriter.make("add", (result, *bias), dot.line) if late else result

    return _rewritten(program, rule)


PASSES: tuple[Pass, ...] = (
    fold_constants,
    share_subexpressions,
    fuse_dots,
    split_dots,
    share_subexpressions,
    drop_unused,
)
