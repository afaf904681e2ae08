"""Arrays of numbers to bytes and back, each in the smallest type that holds all of it exactly.

Matrices that were rounded to int8 (see `storing.py`) become whole numbers and a scale for each row. Bytes of one
significance stand together, which `zlib` likes better.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..storing import as_int8

Head = list[Any]
"""What has to be known to read an array, for JSON: how it is stored, its shape, and its type."""
SCALED = "int8"
_FLOATS, _WHOLE = ("<f2", "<f4", "<f8"), ("<u1", "<u2", "<u4", "<i8")
_TYPES = {np.dtype(name).name for name in "?bBhHiIqQefd"}


def packed(array: np.ndarray) -> tuple[bytes, Head]:
    """Turn an array into bytes, and what has to be known to read it."""
    stored = _stored(array)
    if stored == SCALED:
        whole, scales = as_int8(array)
        data = whole.tobytes() + _planes(scales.astype("<f4"))
    else:
        data = _planes(array.astype(stored))
    return data, [stored.strip("<"), list(array.shape), array.dtype.name]


def unpacked(data: memoryview, head: Head) -> tuple[np.ndarray, int]:
    """Invert `packed`: the array, and how many bytes it was. ValueError for what `packed` did not write."""
    stored, shape, dtype = str(head[0]), tuple(int(n) for n in head[1]), str(head[2])
    if len(shape) > 2 or min(shape, default=0) < 0 or dtype not in _TYPES:
        raise ValueError("an array's shape")
    size = int(np.prod(shape, dtype=object))
    if stored == SCALED:
        whole = np.frombuffer(data[:size], np.int8).reshape(shape)
        scales = _of_planes(data[size:], np.dtype("<f4"), shape[0])
        return whole.astype(np.float32) * scales[:, None], size + 4 * shape[0]
    if f"<{stored}" not in _FLOATS + _WHOLE:
        raise ValueError(f"an array of {stored[:10]}")
    kind = np.dtype(f"<{stored}")
    return _of_planes(data, kind, size).reshape(shape).astype(dtype), size * kind.itemsize


def _stored(array: np.ndarray) -> str:
    """Choose the type; the largest holds what no other does."""
    if array.dtype.kind in "iub":
        return next(one for one in _WHOLE if one == "<i8" or np.array_equal(array.astype(one), array))
    with np.errstate(over="ignore"):
        if array.dtype == np.float32 and array.ndim == 2 and _is_scaled(array):
            return SCALED
        if np.array_equal(array.astype("<f2"), array):
            return "<f2"
        return "<f4" if np.array_equal(array.astype("<f4"), array) else "<f8"


def _is_scaled(matrix: np.ndarray) -> bool:
    whole, scales = as_int8(matrix)
    return np.array_equal(whole.astype(np.float32) * scales[:, None], matrix)


def _planes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes()


def _of_planes(data: memoryview, kind: np.dtype[Any], size: int) -> np.ndarray:
    planes = np.frombuffer(data[: size * kind.itemsize], np.uint8).reshape(kind.itemsize, size)
    return np.ascontiguousarray(planes.T).reshape(-1).view(kind)
