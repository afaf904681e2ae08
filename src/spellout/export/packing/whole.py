"""A `Portable` as bytes: a head in JSON, what its arrays and tables hold, and lines; then `zlib` over all."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import DataError
from ..checking import checked
from ..portable import Bloom, Portable
from ..step import OPERATIONS, Instruction, Shape, Step, Table
from . import tables, values

FORMAT = 1
LARGEST = 1 << 30
"""Bytes, unpacked; more are not read."""
_OF_SHAPES = ("classes", "following", "log_factors")
_OF_TABLES = ("classes", "discounts", "concentrations")
_PLAIN = ("name", "texts", "between", "labels", "shares", "never", "max_length", "about")


def pack(portable: Portable) -> bytes:
    """Turn a model into few bytes; the training lines, if they are in it, in alphabetical order."""
    step, known = portable.step, portable.known
    arrays = [values.packed(array) for array in _arrays(step)]
    counts, heads = tables.packed(list(step.tables.values()), step.vocabulary_size)
    lines = _front_coded(sorted(portable.lines))
    head = {
        "format": FORMAT,
        **{name: getattr(portable, name) for name in _PLAIN},
        "size": step.vocabulary_size,
        "instructions": [[one.op, one.inputs, one.names, one.number] for one in step.instructions],
        "tensors": list(step.tensors),
        "shapes": list(step.shapes),
        "tables": dict(zip(step.tables, heads, strict=True)),
        "arrays": [one for _, one in arrays],
        "known": known and {"size": known.size, "hashes": known.hashes, "error": known.error},
        "bytes": [len(counts), len(lines)],
    }
    text = json.dumps(head, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
    bits = b"" if known is None else known.bits.tobytes()
    parts = [len(text).to_bytes(4, "little"), text, *(data for data, _ in arrays), counts, lines, bits]
    return zlib.compress(b"".join(parts), 9)


def unpack(data: bytes) -> Portable:
    """Invert `pack`. `DataError` for bytes that are damaged or were written by a later version."""
    try:
        reader = zlib.decompressobj()
        content = memoryview(reader.decompress(data, LARGEST))
        if not reader.eof:
            raise ValueError("the end is missing")
        size = int.from_bytes(content[:4], "little")
        head = json.loads(bytes(content[4 : 4 + size]))
        if head["format"] == FORMAT:
            return _portable(head, content[4 + size :])
        found = int(head["format"])
    except (ArithmeticError, LookupError, TypeError, ValueError, zlib.error) as error:
        raise DataError(f"the model in it is damaged ({error}); export it again") from None
    raise DataError(f"the model in it has format {found}, and this version reads format {FORMAT}; update spellout")


def _arrays(step: Step) -> Iterator[np.ndarray]:
    """Give all arrays but the sorted contexts, in the order in which they are stored."""
    yield from step.tensors.values()
    for shape in step.shapes.values():
        yield from (getattr(shape, name) for name in _OF_SHAPES)
    for table in step.tables.values():
        yield from (getattr(table, name) for name in _OF_TABLES)


def _portable(head: dict[str, Any], content: memoryview) -> Portable:
    found = []
    for one in head["arrays"]:
        array, used = values.unpacked(content, one)
        found.append(array)
        content = content[used:]
    counts, lines = (int(n) for n in head["bytes"])
    size = int(head["size"])
    heads = list(head["tables"].values())
    arrays = iter(found)
    tensors = {str(name): next(arrays) for name in head["tensors"]}
    shapes = {str(name): Shape(*(next(arrays) for _ in _OF_SHAPES)) for name in head["shapes"]}
    every: dict[str, Table] = {}
    for name, table in zip(head["tables"], tables.unpacked(bytes(content[:counts]), heads, size), strict=True):
        numbers: dict[str, Any] = {one: next(arrays) for one in _OF_TABLES}
        every[str(name)] = replace(table, **numbers)
    instructions = tuple(_instruction(*one) for one in head["instructions"])
    step = checked(Step(size, instructions, tensors, every, shapes))
    plain: dict[str, Any] = {
        name: tuple(head[name]) if isinstance(head[name], list) else head[name] for name in _PLAIN
    }
    texts = _of_front_coded(bytes(content[counts : counts + lines]))
    return Portable(**plain, step=step, known=_bloom(head["known"], content[counts + lines :]), lines=texts)


def _instruction(op: str, inputs: list[int], names: list[str], number: float) -> Instruction:
    if op not in OPERATIONS:
        raise ValueError(f"an operation {op[:20]!r}")
    return Instruction(op, tuple(int(place) for place in inputs), tuple(str(name) for name in names), float(number))


def _bloom(head: dict[str, Any] | None, content: memoryview) -> Bloom | None:
    if head is None:
        return None
    size, hashes = int(head["size"]), int(head["hashes"])
    bits = np.frombuffer(content[: size // 8], np.uint8)
    if len(bits) * 8 != size or not hashes > 0:
        raise ValueError("the bits of the training lines")
    return Bloom(bits, size, hashes, float(head["error"]))


def _front_coded(lines: list[str]) -> bytes:
    """Sorted lines, each as the number of bytes that it begins with like the one before, and the rest."""
    encoded = [b"", *(line.encode("utf-8", "surrogateescape") for line in lines)]
    parts = []
    for before, line in pairwise(encoded):
        most = min(len(before), len(line), 255)
        shared = next((place for place in range(most) if before[place] != line[place]), most)
        parts.append(bytes([shared]) + line[shared:] + b"\n")
    return b"".join(parts)


def _of_front_coded(data: bytes) -> tuple[str, ...]:
    lines, place, before = [], 0, b""
    while place < len(data):
        end = data.index(b"\n", place + 1)
        before = before[: data[place]] + data[place + 1 : end]
        lines.append(before.decode("utf-8", "surrogateescape"))
        place = end + 1
    return tuple(lines)
