"""A model as one file of Python that needs no package: `runtime.py` as it stands, and the data at its end."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np

from ..portable import Portable
from ..step import Shape, Table
from ..storing import as_int8

_KINDS = {"f4": "f", "f2": "e", "f8": "d", "i1": "b", "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i4": "i"}
"""What `array` and `struct` call the types of numbers."""


def written(portable: Portable) -> bytes:
    """Give the file of a model."""
    data = _Data()
    header = json.dumps(_header(portable, data))
    packed = base64.b85encode(zlib.compress(bytes(data.bytes), 9)).decode()
    runtime = files(__package__).joinpath("runtime.py").read_text("utf-8")
    end = f"\n\nHEADER = {header!r}\nDATA = {packed!r}\nmodel = unpacked(HEADER, DATA)\n"
    return (runtime + end + '\nif __name__ == "__main__":\n    main(model)\n').encode("utf-8")


class _Data:
    """The arrays one after the other."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def put(self, array: np.ndarray) -> list[Any]:
        """Say where an array stands: its type, the first byte, how many numbers; and its columns, no scales."""
        kind = array.dtype.newbyteorder("<").str.lstrip("<|")
        place = len(self.bytes)
        self.bytes += np.ascontiguousarray(array.astype(f"<{kind}")).tobytes()
        return [_KINDS[kind], place, array.size, array.shape[1] if array.ndim == 2 else None, None]

    def put_small(self, array: np.ndarray) -> list[Any]:
        """The same of whole numbers at least 0, in as few bytes as the largest needs."""
        return self.put(array.astype(np.min_scalar_type(int(array.max(initial=0)))))

    def put_weights(self, array: np.ndarray, weights: str) -> list[Any]:
        """The same of a tensor as it is stored; of int8, with the scales of its rows."""
        if array.ndim == 2 and weights == "int8":
            whole, scales = as_int8(array)
            return [*self.put(whole)[:4], self.put(scales)]
        return self.put(array)


def _header(portable: Portable, data: _Data) -> dict[str, Any]:
    step, known = portable.step, portable.known
    told = ("name", "texts", "between", "labels", "shares", "never", "max_length")
    return {
        "model": {
            **{name: getattr(portable, name) for name in told},
            "about": dict(portable.about),
            "lines_inside": portable.lines,
            "known": None if known is None else {"size": known.size, "hashes": known.hashes},
            "instructions": [list(asdict(one).values()) for one in step.instructions],
        },
        "tensors": {
            name: data.put_weights(array, str(portable.about.get("weights")))
            for name, array in step.tensors.items()
        },
        "tables": {name: _table(table, step.vocabulary_size, data) for name, table in step.tables.items()},
        "shapes": {name: _shape(shape, data) for name, shape in step.shapes.items()},
        "bits": None if known is None else data.put(known.bits),
    }


def _table(table: Table, vocabulary_size: int, data: _Data) -> dict[str, Any]:
    levels = []
    for keys, *arrays in zip(table.keys, table.offsets, table.tokens, table.counts, strict=True):
        parents, values = np.divmod(keys.astype(np.uint64), np.uint64(vocabulary_size))
        levels.append([data.put_small(array) for array in (values, *arrays, parents)])
    return {
        "columns": table.columns,
        "interpolated": table.interpolated,
        "discounts": data.put(table.discounts.astype(np.float64)),
        "concentrations": data.put(table.concentrations.astype(np.float64)),
        "classes": data.put_small(table.classes),
        "levels": levels,
    }


def _shape(shape: Shape, data: _Data) -> dict[str, Any]:
    return {
        "classes": data.put_small(shape.classes),
        "following": data.put_small(shape.following),
        "log_factors": data.put(shape.log_factors.astype(np.float64)),
    }
