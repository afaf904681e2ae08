"""Partial derivatives that branch, while a function is recorded: both branches, and a `where` that chooses.

A row such as relu's says `None if x <= 0 else 1`. On numbers that is a choice for good; a recorded program must
choose for every example anew. So the row is asked with every comparison answered both ways, and what it says
becomes a tree of choices. The rows themselves are written once. What an integer input picks branches, too: the
graph knows the row of the one example only, and each example has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import ops
from .graph import newest_first
from .index import PICK
from .taping import Tape, tape, taped
from .value import CONSTANT, Value, lift


class _Undecided(Exception):
    """A row compared two numbers, and there is no answer yet."""


class _Answers:
    """A tape that passes on what it hears to the recording's, and answers comparisons in turn."""

    def __init__(self, recording: Tape, answers: tuple[bool, ...]) -> None:
        self.recorder = recording
        self.answers = iter(answers)
        self.made = recording.made
        self.picked = recording.picked
        self.candidates = recording.candidates
        self.position = recording.position

    def looked(self, how: str, instead: str = "") -> NoReturn:
        self.recorder.looked(how, instead)

    def compared(self, symbol: str, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
        if all(not isinstance(x, Value) or x.op is CONSTANT for x in (a, b)):
            return bool(compare(*[getattr(x, "_data", x) for x in (a, b)]))  # the same for every example
        for answer in self.answers:
            return answer
        raise _Undecided(symbol, a, b)


def parents_of(node: Value) -> Sequence[Any]:
    """Return what `node` was made from; while a function is recorded, all that an integer input may pick for it."""
    listener = tape()
    return node.parents if listener is None or node.op is not PICK else listener.candidates(node)


def with_all_rows(order: list[Value]) -> list[Value]:
    """Return `order`, newest first; while a function is recorded, with what is below rows that may be picked."""
    found = set(order)
    stack = [node for node in order if node.op is PICK and tape() is not None]
    if not stack:
        return order
    while stack:
        for parent in parents_of(stack.pop()):
            if isinstance(parent, Value) and parent.parents and parent not in found:
                found.add(parent)
                stack.append(parent)
    return newest_first(found)


def contributions_of(node: Value, scaled: Callable[[Any], Any]) -> Sequence[Any]:
    """Return what each of `parents_of` gets from `node`, if anything: `scaled` of the row's partial derivative."""
    listener = tape()
    if listener is None:
        return [None if partial is None else scaled(partial) for partial in node.op.partials(node, *node.parents)]
    if node.op is PICK:  # one of the candidates gets all, and which one depends on the example
        position, whole = listener.position(node), scaled(1.0)
        return [_chosen("==", position, float(row), whole, None) for row in range(len(parents_of(node)))]
    return _every_branch(node, scaled, listener, ())


def _every_branch(
    node: Value, scaled: Callable[[Any], Any], listener: Tape, answers: tuple[bool, ...]
) -> Sequence[Any]:
    try:
        with taped(_Answers(listener, answers)):
            partials = node.op.partials(node, *node.parents)
    except _Undecided as question:
        symbol, a, b = question.args
    else:  # scaled inside the branch: what is not chosen is masked, even an infinite gradient
        return [None if partial is None else scaled(partial) for partial in partials]
    yes, no = [_every_branch(node, scaled, listener, (*answers, answer)) for answer in (True, False)]
    return [_chosen(symbol, a, b, *both) for both in zip(yes, no, strict=True)]


def _chosen(symbol: str, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """`yes` where the comparison holds, else `no`, by `where`, whose condition is "above 0"."""
    if yes is no:
        return yes
    yes, no = [lift(0.0 if branch is None else branch) for branch in (yes, no)]
    if symbol in ("<=", ">=", "!="):  # the opposite holds; a nan is on the side of neither, and will be noticed
        symbol, yes, no = {"<=": ">", ">=": "<", "!=": "=="}[symbol], no, yes
    if symbol == ">":
        return ops.where(_less(a, b), yes, no)
    if symbol == "<":
        return ops.where(_less(b, a), yes, no)
    return ops.where(_less(a, b), no, ops.where(_less(b, a), no, yes))


def _less(a: Any, b: Any) -> Any:
    """a - b, of which only the sign matters."""
    return a if not isinstance(b, Value) and b == 0.0 else a - b
