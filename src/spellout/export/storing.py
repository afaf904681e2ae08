"""Weights as they will be stored: rounded once, and everything afterwards is computed from exactly these numbers.

In float16 every element of a matrix is rounded by itself; in int8 every row has a scale (Jacob et al. 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", without their
zero point), and its elements are whole multiples of it from -127 to 127. Vectors, discounts, and the factors of a
line's shape are few and stay in float32.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .step import Shape, Step, Table
from .targets import Weights

MOST = 127
_LARGEST_HALF = float(np.finfo(np.float16).max)


def stored(step: Step, weights: Weights) -> Step:
    """Give the step as it is after its weights were stored, each tensor in the type that says how.

    Matrices are float32, float16, or, for int8, float32 numbers from which `as_int8` gives back the integers and
    the scales exactly; all else is float32.
    """
    tensors = {name: _stored(array, weights) for name, array in step.tensors.items()}
    tables = {name: _rounded(table) for name, table in step.tables.items()}
    shapes = {
        name: Shape(one.classes, one.following, one.log_factors.astype(np.float32))
        for name, one in step.shapes.items()
    }
    return replace(step, tensors=tensors, tables=tables, shapes=shapes)


def as_int8(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take a matrix (M, N) to whole numbers, int8 (M, N), and a scale for each row, float32 (M,).

    A scale has 16 bits, so that its products with the integers are float32 numbers: of a matrix of such products
    the same integers and scales come back.
    """
    largest = np.abs(matrix).max(axis=1, initial=0.0).astype(np.float64)
    mantissa, exponent = np.frexp(largest / MOST)
    scales = np.ldexp(np.rint(mantissa * 2.0**16), exponent - 16).astype(np.float32)
    divisors = np.where(scales > 0, scales, 1.0).astype(np.float64)
    whole = np.clip(np.rint(matrix / divisors[:, None]), -MOST, MOST)
    return whole.astype(np.int8), scales


def _stored(array: np.ndarray, weights: Weights) -> np.ndarray:
    if array.ndim == 1 or weights == "float32" or not fits(array, weights):
        return array.astype(np.float32)
    if weights == "float16":
        return array.astype(np.float16)
    whole, scales = as_int8(array)
    return whole.astype(np.float32) * scales[:, None]


def fits(array: np.ndarray, weights: Weights) -> bool:
    """Say whether a matrix can be rounded so: a float16 beyond 65,504 would be infinite."""
    return weights != "float16" or bool((np.abs(array) <= _LARGEST_HALF).all())


def _rounded(table: Table) -> Table:
    amounts, concentrations = (one.astype(np.float32) for one in (table.discounts, table.concentrations))
    return replace(table, discounts=amounts, concentrations=concentrations)
