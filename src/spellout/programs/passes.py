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
_SHORT = 4
"""Dots of fewer products are not worth a layer."""
_FIXED = SOURCES | {PICK, SELECT, OWN}


class _Rewriter:
    """Copies a program instruction by instruction, keeping track of where each went."""

    def __init__(self, program: Program) -> None:
        self.old = program
        self.new: list[Instruction] = []
        self.moved: list[int] = []

    def write(self, instruction: Instruction) -> int:
        self.new.append(instruction)
        return len(self.new) - 1

    def args(self, instruction: Instruction) -> tuple[int, ...]:
        moved = self.moved
        return tuple([moved[arg] for arg in instruction.args])

    def constant(self, number: float) -> int:
        return self.write(Instruction(CONSTANT, (), number))

    def done(self) -> Program:
        outputs = tuple([self.moved[output] for output in self.old.outputs])
        return replace(self.old, instructions=tuple(self.new), outputs=outputs)


def fold_constants(program: Program) -> Program:
    """Compute what depends on constants only, and take away what changes nothing: x·1, x/1, x**1; x**2 is x·x."""
    rewriter = _Rewriter(program)
    new = rewriter.new
    for instruction in program.instructions:
        args, op = rewriter.args(instruction), instruction.op
        constants = [new[arg].data if new[arg].op == CONSTANT else None for arg in args]
        if op in _FIXED:
            place = rewriter.write(instruction._replace(args=args))
        elif None not in constants:
            place = rewriter.constant(TABLE[op].forward(*constants))
        elif op in ("mul", "div", "pow") and constants[1] == 1.0:
            place = args[0]
        elif op == "mul" and constants[0] == 1.0:
            place = args[1]
        elif op == "pow" and constants[1] == 2.0:
            place = rewriter.write(instruction._replace(op="mul", args=(args[0], args[0])))
        else:
            place = rewriter.write(instruction._replace(args=args))
        rewriter.moved.append(place)
    return rewriter.done()


def share_subexpressions(program: Program) -> Program:
    """Compute the same thing once, and choose no more between two that are the same."""
    rewriter = _Rewriter(program)
    known: dict[object, int] = {}
    for instruction in program.instructions:
        op, args = instruction.op, rewriter.args(instruction)
        if op == "where" and args[1] == args[2]:
            rewriter.moved.append(args[1])
            continue
        key: object = (op, tuple(sorted(args)) if op in _COMMUTE else args, _key(instruction.data))
        if key not in known:
            known[key] = rewriter.write(instruction._replace(args=args))
        rewriter.moved.append(known[key])
    return rewriter.done()


def _key(data: object) -> object:
    return data.hex() if isinstance(data, float) else data  # nan equals itself, -0.0 is not 0.0


def drop_unused(program: Program) -> Program:
    """Keep what the results depend on."""
    used = [False] * len(program.instructions)
    for output in program.outputs:
        used[output] = True
    for place in range(len(used) - 1, -1, -1):
        if used[place]:
            for arg in program.instructions[place].args:
                used[arg] = True
    rewriter = _Rewriter(program)
    for instruction, wanted in zip(program.instructions, used, strict=True):
        rewriter.moved.append(
            rewriter.write(instruction._replace(args=rewriter.args(instruction))) if wanted else -1
        )
    return rewriter.done()


def fuse_dots(program: Program) -> Program:
    """Make one `dot` of every sum of products, in whatever order it was added up.

    A term may be a product, a dot, a sum, or any other value, which then counts as its product with 1. Terms that
    are used elsewhere too are left alone. Three or more terms without a product become one `sum`.
    """
    uses = Counter([arg for instruction in program.instructions for arg in instruction.args])
    uses.update(program.outputs)
    old = program.instructions
    swallowed = [False] * len(old)  # by a sum above, which is written in its place
    for instruction in old:
        if instruction.op in ("add", "sub", "sum", "dot"):
            for arg in _summands(instruction):
                if uses[arg] == 1 and old[arg].op in ("add", "sub", "sum", "dot", "mul"):
                    swallowed[arg] = True
    rewriter = _Rewriter(program)
    for place, instruction in enumerate(old):
        if swallowed[place]:
            rewriter.moved.append(-1)
        elif instruction.op in ("add", "sub", "sum", "dot"):
            rewriter.moved.append(_write_sum(rewriter, place, swallowed))
        else:
            rewriter.moved.append(rewriter.write(instruction._replace(args=rewriter.args(instruction))))
    return rewriter.done()


def _summands(instruction: Instruction) -> tuple[int, ...]:
    """The arguments that are added as they are: all of a sum's, the bias of a dot."""
    if instruction.op == "dot":
        return instruction.args[-1:] if len(instruction.args) % 2 else ()
    return instruction.args


def _write_sum(rewriter: _Rewriter, root: int, swallowed: list[bool]) -> int:
    """Write the sum at `root` as one instruction; all of its terms are written already."""
    old, moved = rewriter.old.instructions, rewriter.moved
    products: list[tuple[int, int]] = []
    signs: list[float] = []
    terms: list[tuple[float, int]] = []
    stack = [(1.0, root, True)]
    while stack:
        sign, place, inside = stack.pop()
        op, args, _, _ = old[place]
        if not inside:
            terms.append((sign, moved[place]))
        elif op == "mul":
            products.append((moved[args[0]], moved[args[1]]))
            signs.append(sign)
        elif op == "dot":
            half = len(args) // 2
            products += [(moved[a], moved[b]) for a, b in zip(args[:half], args[half : 2 * half], strict=True)]
            signs += [sign] * half
            stack += [(sign, arg, swallowed[arg]) for arg in args[2 * half :]]
        else:
            signed = [(sign, args[0]), (-sign if op == "sub" else sign, args[1])] if len(args) == 2 else None
            pairs = signed or [(sign, arg) for arg in args]
            stack += [(s, arg, swallowed[arg]) for s, arg in reversed(pairs)]
    return _one_instruction(rewriter, old[root], products, signs, terms)


def _one_instruction(
    rewriter: _Rewriter,
    root: Instruction,
    products: list[tuple[int, int]],
    signs: list[float],
    terms: list[tuple[float, int]],
) -> int:
    line = root.line
    zeros = [term for term in terms if _is_zero(rewriter.new[term[1]])]
    if len(zeros) < len(products) + len(terms):
        terms = [term for term in terms if term not in zeros]
    if root.op != "dot" and len(products) + len(terms) <= 2 and len(products) <= 1:  # a dot would not pay
        made = [rewriter.write(Instruction("mul", product, None, line)) for product in products]
        return _plain(rewriter, root, [*zip(signs, made, strict=True), *terms])
    if not products and all(sign == 1.0 for sign, _ in terms):
        return rewriter.write(Instruction("sum", tuple([term for _, term in terms]), None, line))
    bias = [term for sign, term in terms if sign == 1.0][:1]
    rest = list(terms)
    if bias:
        rest.remove((1.0, bias[0]))
    left = [a if sign == 1.0 else _negated(rewriter, a, line) for sign, (a, _) in zip(signs, products, strict=True)]
    right = [b for _, b in products]
    left += [rewriter.constant(sign) for sign, _ in rest]
    right += [term for _, term in rest]
    return rewriter.write(Instruction("dot", (*left, *right, *bias), None, line))


def _plain(rewriter: _Rewriter, root: Instruction, terms: list[tuple[float, int]]) -> int:
    """One or two terms: the term itself, an addition, a subtraction, or a change of sign."""
    if len(terms) == 1:
        if (
            root.op == "sum"
        ):  # kept, so that the first position of a line is as deep as the others and shares layers
            return rewriter.write(Instruction("sum", (terms[0][1],), None, root.line))
        return terms[0][1] if terms[0][0] > 0.0 else _negated(rewriter, terms[0][1], root.line)
    (first, a), (second, b) = terms
    if first < 0.0 and second > 0.0:
        (first, a), (second, b) = (second, b), (first, a)
    place = rewriter.write(Instruction("add" if second > 0.0 else "sub", (a, b), None, root.line))
    return place if first > 0.0 else rewriter.write(Instruction("neg", (place,), None, root.line))


def _negated(rewriter: _Rewriter, place: int, line: str) -> int:
    instruction = rewriter.new[place]
    if instruction.op == CONSTANT:
        return rewriter.constant(-instruction.data)
    return rewriter.write(Instruction("neg", (place,), None, line))


def split_dots(program: Program) -> Program:
    """Keep dots such that they can share a layer: shared weights times inputs that other dots have too.

    It undoes `fuse_dots` where a neuron has something of its own added. dot(w, h) + s·q gets its own product apart,
    and a bias that differs between examples, such as a residual, is added afterwards.
    """
    users: Counter[int] = Counter()
    for instruction in program.instructions:
        if instruction.op == "dot":
            users.update(set(instruction.args[: len(instruction.args) // 2 * 2]))
    rewriter = _Rewriter(program)
    for instruction in program.instructions:
        half = len(instruction.args) // 2
        if instruction.op == "dot" and half >= _SHORT:
            rewriter.moved.append(_split_dot(rewriter, instruction, users))
        else:
            rewriter.moved.append(rewriter.write(instruction._replace(args=rewriter.args(instruction))))
    return rewriter.done()


def _split_dot(rewriter: _Rewriter, dot: Instruction, users: Counter[int]) -> int:
    varies, half = rewriter.old.varies, len(dot.args) // 2
    args, bias = rewriter.args(dot), dot.args[2 * half :]
    pairs = list(zip(dot.args[:half], dot.args[half : 2 * half], strict=True))
    own = [varies[a] == varies[b] or users[a if varies[a] else b] == 1 for a, b in pairs]
    if sum(own) > half // 2:
        return rewriter.write(dot._replace(args=args))
    apart = [i for i, alone in enumerate(own) if alone]
    shared = [i for i, alone in enumerate(own) if not alone]
    late = bool(bias) and varies[bias[0]]
    layer = [args[i] for i in shared] + [args[half + i] for i in shared] + ([] if late else list(args[2 * half :]))
    place = rewriter.write(dot._replace(args=tuple(layer)))
    if apart:
        rest = [args[i] for i in apart] + [args[half + i] for i in apart]
        place = rewriter.write(dot._replace(args=(*rest, place)))
    if late:
        place = rewriter.write(Instruction("add", (place, args[-1]), None, dot.line))
    return place


def _is_zero(instruction: Instruction) -> bool:
    return instruction.op == CONSTANT and instruction.data == 0.0


PASSES: tuple[Pass, ...] = (
    fold_constants,
    share_subexpressions,
    fuse_dots,
    split_dots,
    share_subexpressions,
    drop_unused,
)
