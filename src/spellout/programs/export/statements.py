"""What each kind of instruction becomes: the statements of its result, and those of its arguments' gradients.

`v` has all numbers of an example, `g` what the result's gradient by each of them is, `n` the whole numbers of the
example. `i` counts the instructions of a group, `j` the arguments of one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...autograd.formulas import LETTERS, gradients_of, write
from ...autograd.ops import TABLE
from ..program import OWN, PICK, SELECT
from .groups import Group, Indices, Layout
from .languages import Language

Statements = list[str]


class Writer:
    """Writes groups in a language; tables that they need are kept in `indices`."""

    def __init__(self, language: Language, layout: Layout) -> None:
        self.language, self.layout, self.indices = language, layout, Indices()

    def forward(self, group: Group) -> Statements:
        """Write the statements that give the group's results."""
        write_one = _FORWARD.get(group.op, _elementwise)
        first, *others = self.loop("i", group.count, write_one(self, group))
        return [f"{first} // {group.op}", *others]

    def backward(self, group: Group) -> Statements:
        """Write the statements that add to the gradients of the group's arguments; none if nothing learns."""
        write_one = _BACKWARD.get(group.op, _elementwise_gradient)
        body = write_one(self, group) if any(group.learns) else []
        return self.loop("i", group.count, body) if body else []

    def loop(self, counter: str, count: int, body: Statements) -> Statements:
        """Write statements for every value of a counter."""
        if count == 1:
            return body
        head = f"for ({self.language.counter}{counter} = 0; {counter} < {count}; {counter}++) "
        if len(body) == 1 and not body[0].startswith(("for", "if")):
            return [head + body[0]]
        return [f"{head}{{", *[f"  {line}" for line in body], "}"]

    def sum(self, group: Group, first: str, many: int, added: str) -> Statements:
        """Write the result as what comes first and what each of many adds; a loop has a variable for it."""
        result = f"v[{self.result(group)}]"
        if group.count == 1:
            return [f"{result} = {first};", *self.loop("j", many, [f"{result} += {added};"])]
        sums = self.loop("j", many, [f"s += {added};"])
        return [f"{self.language.number}s = {first};", *sums, f"{result} = s;"]

    def arriving(self, group: Group) -> tuple[Statements, str]:
        """Give what declares the gradient that arrives at a result, and what it is then called."""
        here = f"g[{self.result(group)}]"
        return ([], here) if group.count == 1 else ([f"{self.language.number}d = {here};"], "d")

    # Where things stand.

    def result(self, group: Group, part: int = 0) -> str:
        """Where the result of instruction i stands; or, as parts 1 and 2, what is kept beside it."""
        return self.indices.of(np.arange(group.count)[:, None] + group.start + part * group.count)

    def place(self, group: Group, which: int) -> str:
        """Where one argument of instruction i stands."""
        return self.indices.of(group.args[:, which : which + 1])

    def places(self, group: Group, start: int, end: int) -> str:
        """Where argument j of instruction i stands, of those from `start` to `end`."""
        return self.indices.of(group.args[:, start:end])

    def formula(self, formula: object, letters: dict[str, str]) -> str:
        """Write a formula of the table, without the parentheses around all of it."""
        written = str(write(formula, letters, self.language.words))
        inside = written[1:-1]
        depths = np.cumsum([(one == "(") - (one == ")") for one in inside])
        whole = written[0] == "(" and written[-1] == ")" and (depths >= 0).all()
        return inside if whole else written

    def word(self, name: str, *arguments: str | float) -> str:
        """Write the call of a function."""
        return str(self.language.words[name](*arguments))


# A fixed number of arguments: from the rows of the table.


def _letters(writer: Writer, group: Group) -> dict[str, str]:
    letters = {}
    for which, letter in zip(range(group.args.shape[1]), LETTERS, strict=False):
        number = writer.layout.literal(group, which)
        place = f"v[{writer.place(group, which)}]" if number is None else writer.word("number", number)
        letters[letter.name] = place
    return letters


def _elementwise(writer: Writer, group: Group) -> Statements:
    op = TABLE[group.op]
    written = writer.formula(op(*LETTERS[: op.arity]), _letters(writer, group))
    return [f"v[{writer.result(group)}] = {written};"]


def _elementwise_gradient(writer: Writer, group: Group) -> Statements:
    result = writer.result(group)
    letters = _letters(writer, group) | {"out": f"v[{result}]", "g": f"g[{result}]"}
    return [
        f"g[{writer.place(group, which)}] += {writer.formula(formula, letters)};"
        for which, formula in enumerate(gradients_of(TABLE[group.op]))
        if formula is not None and group.learns[which]
    ]


# Any number of arguments.


def _dot(writer: Writer, group: Group) -> Statements:
    half, odd = divmod(group.args.shape[1], 2)
    first = f"v[{writer.place(group, 2 * half)}]" if odd else "0"
    product = f"v[{writer.places(group, 0, half)}] * v[{writer.places(group, half, 2 * half)}]"
    return writer.sum(group, first, half, product)


def _dot_gradient(writer: Writer, group: Group) -> Statements:
    half, (declared, d) = group.args.shape[1] // 2, writer.arriving(group)
    sides = [writer.places(group, 0, half), writer.places(group, half, 2 * half)]
    pairs = [(sides[0], sides[1]), (sides[1], sides[0])]
    added = [f"g[{a}] += {d} * v[{b}]" for (a, b), learns in zip(pairs, group.learns, strict=False) if learns]
    bias = [f"g[{writer.place(group, 2 * half)}] += {d};"] if any(group.learns[2:]) else []
    return [*declared, *bias, *(writer.loop("j", half, [f"{', '.join(added)};"]) if added else [])]


def _sum(writer: Writer, group: Group) -> Statements:
    many = group.args.shape[1]
    added = writer.sum(group, "0", many, f"v[{writer.places(group, 0, many)}]")
    return [*added, f"v[{writer.result(group)}] /= {many};"] if group.op == "mean" else added


def _sum_gradient(writer: Writer, group: Group) -> Statements:
    many, (declared, d) = group.args.shape[1], writer.arriving(group)
    share = f"{d} * {writer.word('number', 1.0 / many)}" if group.op == "mean" else d
    return [*declared, *writer.loop("j", many, [f"g[{writer.places(group, 0, many)}] += {share};"])]


def _largest_of(writer: Writer, group: Group, first: int, into: str) -> Statements:
    """Write the largest of the arguments from one on; nan if one is nan."""
    many = group.args.shape[1]
    here = f"v[{writer.places(group, first, many)}]"
    found = f"if ({here} > {into} || {here} != {here}) {into} = {here};"
    return [f"{into} = v[{writer.place(group, first)}];", *writer.loop("j", many - first, [found])]


def _largest(writer: Writer, group: Group) -> Statements:
    return _largest_of(writer, group, 0, f"v[{writer.result(group)}]")


def _largest_gradient(writer: Writer, group: Group) -> Statements:
    many, top, (declared, d) = group.args.shape[1], f"v[{writer.result(group)}]", writer.arriving(group)
    here = writer.places(group, 0, many)
    counted = writer.loop("j", many, [f"ties += v[{here}] == {top} ? 1 : 0;"])
    added = f"g[{here}] += {top} != {top} ? {top} : v[{here}] == {top} ? {d} / ties : 0;"
    return _scope(
        group, [*declared, f"{writer.language.number}ties = 0;", *counted, *writer.loop("j", many, [added])]
    )


def _log_total(writer: Writer, group: Group) -> Statements:
    """The largest and the logarithm of the rest are kept, for the gradient: together they would be rounded."""
    first, many = int(group.op == "log_softmax"), group.args.shape[1]
    result, top, rest = (f"v[{writer.result(group, part)}]" for part in range(3))
    here = f"v[{writer.places(group, first, many)}]"
    whole = f"v[{writer.place(group, 0)}] - {top} - {rest} + ({top} - {top})" if first else f"{top} + {rest}"
    return [
        *_largest_of(writer, group, first, top),
        f"{rest} = 0;",
        *writer.loop("j", many - first, [f"{rest} += {writer.word('exp', f'{here} - {top}')};"]),
        f"{rest} = {top} - {top} == 0 ? {writer.word('log', rest)} : 0;",
        f"{result} = {whole};",
    ]


def _log_total_gradient(writer: Writer, group: Group) -> Statements:
    first, many, (declared, d) = int(group.op == "log_softmax"), group.args.shape[1], writer.arriving(group)
    top, rest = (f"v[{writer.result(group, part)}]" for part in (1, 2))
    here = writer.places(group, first, many)
    share = f"{d} * {writer.word('exp', f'v[{here}] - {top} - {rest}')}"
    chosen = [f"g[{writer.place(group, 0)}] += {d};"] if first else []
    added = f"g[{here}] {'-' if first else '+'}= {share};"
    return [*declared, *chosen, *writer.loop("j", many - first, [added])]


# What integers choose.


def _picked(writer: Writer, group: Group) -> str:
    """Where the entry of a table of parameters stands."""
    table = np.array(writer.layout.program.tables[group.data[0][0]], np.int64)
    columns = np.array([[column] for _, column, _ in group.data])
    row = f"n[{writer.indices.of(np.array([[index] for *_, index in group.data]))}]"
    if (columns == columns[0]).all():
        return writer.indices.of(table[:, columns[0]], row)
    column = writer.indices.of(columns)
    return writer.indices.of(table, row, f"({column})" if " " in column else column)


def _pick(writer: Writer, group: Group) -> Statements:
    return [f"v[{writer.result(group)}] = v[{_picked(writer, group)}];"]


def _pick_gradient(writer: Writer, group: Group) -> Statements:
    return [f"g[{_picked(writer, group)}] += g[{writer.result(group)}];"]


def _selected(writer: Writer, group: Group) -> str:
    row = f"n[{writer.indices.of(np.array(group.data)[:, None])}]"
    return writer.indices.of(group.args, "i", row)


def _select(writer: Writer, group: Group) -> Statements:
    return [f"v[{writer.result(group)}] = v[{_selected(writer, group)}];"]


def _select_gradient(writer: Writer, group: Group) -> Statements:
    return [f"g[{_selected(writer, group)}] += g[{writer.result(group)}];"]


def _own(writer: Writer, group: Group) -> Statements:
    return [f"v[{writer.result(group)}] = v[{writer.place(group, 0)}];"]


def _own_gradient(writer: Writer, group: Group) -> Statements:
    count, arriving = group.args.shape[1] // 2, f"g[{writer.result(group)}]"
    return [
        f"g[{writer.place(group, 1 + which)}] += {arriving} * v[{writer.place(group, 1 + count + which)}];"
        for which in range(count)
        if group.learns[which]
    ]


def _scope(group: Group, body: Statements) -> Statements:
    """Give variables a place of their own, where no loop does."""
    return body if group.count > 1 else ["{", *[f"  {line}" for line in body], "}"]


_Write = Callable[[Writer, Group], Statements]
_FORWARD: dict[str, _Write] = {
    "dot": _dot,
    **dict.fromkeys(("sum", "mean"), _sum),
    "largest": _largest,
    **dict.fromkeys(("logsumexp", "log_softmax"), _log_total),
    PICK: _pick,
    SELECT: _select,
    OWN: _own,
}
_BACKWARD: dict[str, _Write] = {
    "dot": _dot_gradient,
    **dict.fromkeys(("sum", "mean"), _sum_gradient),
    "largest": _largest_gradient,
    **dict.fromkeys(("logsumexp", "log_softmax"), _log_total_gradient),
    PICK: _pick_gradient,
    SELECT: _select_gradient,
    OWN: _own_gradient,
}
