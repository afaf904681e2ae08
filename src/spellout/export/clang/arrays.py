"""Arrays as C writes them: `static const`, each number as short as it can be, lines that a reader can scroll."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

import numpy as np

from ..step import Shape, Table
from ..storing import as_int8

_WIDTH = 118
_TYPES = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t"}
_ESCAPED = frozenset(b'"\\?')


class Arrays:
    """The text of arrays, one after the other; methods give the expression that stands for what they wrote."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def numbers(self, kind: str, name: str, numbers: Iterable[str]) -> None:
        """Write an array of so-written numbers, at least one."""
        body = "\n".join(wrap(", ".join(numbers) or "0", _WIDTH, break_long_words=False, break_on_hyphens=False))
        self.parts.append(f"static const {kind} {name}[] = {{\n{body}}};\n")

    def whole(self, name: str, array: np.ndarray) -> str:
        """Write whole numbers from 0 in as few bytes as the largest needs."""
        size = int(np.min_scalar_type(int(array.max(initial=0))).itemsize)
        self.numbers(_TYPES[size], name, map(str, array.tolist()))
        return f"{{{name}, {size}}}"

    def one(self, kind: str, name: str, number: object) -> None:
        """Write a single number."""
        self.parts.append(f"static const {kind} {name} = {number};\n")

    def texts(self, name: str, texts: Iterable[bytes]) -> None:
        """Write texts as strings, at least one."""
        body = "\n".join(wrap(", ".join(map(literal, texts)) or '""', _WIDTH, break_long_words=False))
        self.parts.append(f"static const char *const {name}[] = {{\n{body}}};\n")

    def matrix(self, name: str, array: np.ndarray, weights: str) -> str:
        """Write a tensor of one or two axes as it is stored; give its `spell_matrix`."""
        scales, kind = "NULL", "double"
        if array.ndim == 2 and weights == "int8":
            array, of_rows = as_int8(array)
            scales, kind = f"{name}_scales", "int8_t"
            self.numbers("float", scales, map(short_float, of_rows))
            written = map(str, array.ravel().tolist())
        elif array.dtype == np.float16:
            kind, written = "uint16_t", map(str, array.view(np.uint16).ravel().tolist())
        elif array.dtype == np.float32:
            kind, written = "float", map(short_float, array.ravel())
        else:
            written = map(repr, array.astype(np.float64).ravel().tolist())
        self.numbers(kind, f"{name}_numbers", written)
        rows, columns = array.shape if array.ndim == 2 else (1, len(array))
        size = {"int8_t": 1, "uint16_t": 2, "float": 4, "double": 8}[kind]
        return f"{{{name}_numbers, {scales}, {rows}, {columns}, {size}}}"

    def table(self, name: str, table: Table, vocabulary_size: int) -> None:
        """Write an n-gram table."""
        levels, contexts = [], 1
        for depth, keys in enumerate(table.keys):
            shorter, columns = np.divmod(keys.astype(np.uint64), np.uint64(vocabulary_size))
            first = np.searchsorted(shorter.astype(np.int64), np.arange(contexts + 1))
            contexts = len(keys)
            arrays = (first, columns, table.offsets[depth], table.tokens[depth], table.counts[depth])
            called = ("first", "columns", "offsets", "tokens", "counts")
            parts = [self.whole(f"{name}_{depth}_{one}", array) for one, array in zip(called, arrays, strict=True)]
            discounts = ", ".join(map(repr, table.discounts[depth].astype(np.float64).tolist()))
            levels.append(f"{{{', '.join(parts)}, {{{discounts}}}, {float(table.concentrations[depth])!r}}}")
        every = ",\n".join(levels)
        self.parts.append(f"static const spell_level {name}_level[] = {{\n{every}}};\n")
        self.numbers("int", f"{name}_past", map(str, map(column_of, table.columns)))
        classes = self.whole(f"{name}_classes", table.classes) if len(table.classes) else "{NULL, 1}"
        parts = [f"{len(levels)}", f"{int(table.interpolated)}", f"{name}_past", classes, f"{name}_level"]
        self.one("spell_table", name, f"{{{', '.join(parts)}}}")

    def shape(self, name: str, shape: Shape) -> None:
        """Write the automaton of a line's shape."""
        classes = self.whole(f"{name}_classes", shape.classes)
        following = self.whole(f"{name}_following", shape.following.ravel())
        factors = self.matrix(f"{name}_factors", shape.log_factors, "as it is")
        self.one("spell_shaped", name, f"{{{classes}, {following}, {factors}}}")


def column_of(name: str) -> int:
    """Give a column of the past as a number: the place, tokens from 1, the first ones from 13, classes from 17."""
    if name == "place":
        return 0
    return {"c": 0, "f": 12, "k": 16}[name[0]] + int(name[1:])


def short_float(number: np.float32) -> str:
    """Write a float32 in as few digits as give it back."""
    return f"{number!s}f"


def literal(text: bytes) -> str:
    """Write a string; bytes beyond ASCII in octal, which ends after three digits whatever comes next."""
    shown = "".join(chr(one) if 32 < one < 127 and one not in _ESCAPED else f"\\{one:03o}" for one in text)
    return f'"{shown}"'
