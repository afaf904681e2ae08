"""Matrix products that come out the same to the last bit, whoever adds them up.

Floating-point sums depend on their order, and BLAS orders them by the shape of the matrices, the number of threads
and the processor. A line would then score a little otherwise alone than among others, and a sample could turn out
another one. Here both factors are rounded to whole numbers (times a power of two), so small that every sum of
products is a whole number of at most 2^53. Float64 holds all of these exactly: no sum is ever rounded, with or
without fused multiply-add, and each order gives the one right result.

With |x| <= 2^e, and x as whole multiples of 2^(e - b), a row of weights w with the bias c is held as whole
multiples of a unit u of its own. No partial sum of its products is larger than sum |w| * 2^e + |c|; u is as small
as lets this be 2^53 products of the two units. What is lost is at most 2^(e - b - 1) * sum |w| by rounding x, and
K * 2^e * u / 2 by rounding the K weights. As u is about sum |w| * 2^(b - 53), both are the same for
b = (53 - log2 K) / 2: that is 23 bits for one or two hundred inputs, and 30 for the weights. So the results are as
good as those of float32.
"""

from __future__ import annotations

import math

import numpy as np

MOST = 2.0**53
"""Float64 holds every whole number up to this."""


class ExactLinear:
    """A linear layer, x @ weight.T + bias, whose result depends on each row of x alone.

    Args:
        weight: (O, K), finite.
        bias: (O,).
        bound: no input is larger, |x| <= bound.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray, bound: float) -> None:
        weight, bias = weight.astype(np.float64), bias.astype(np.float64)
        mantissa, exponent = math.frexp(bound)
        exponent -= mantissa == 0.5  # the bound is itself a power of two
        bits = round((53 - math.log2(weight.shape[1])) / 2)
        self._input_shift = bits - exponent
        sums = np.abs(weight).sum(axis=1) + np.ldexp(np.abs(bias), -exponent)
        shifts = 53 - bits - np.frexp(sums)[1]  # of each row, so that its sum becomes less than 2^(53 - bits)
        whole, last = _whole(weight, bias, shifts, self._input_shift)
        too_large = np.abs(whole).sum(axis=1) * 2.0**bits + np.abs(last) > MOST  # rounded up: one bit less will do
        shifts = shifts - too_large
        whole, last = _whole(weight, bias, shifts, self._input_shift)
        assert (np.abs(whole).sum(axis=1) * 2.0**bits + np.abs(last) <= MOST).all(), "sums could be rounded"
        self._weight, self._bias = np.ascontiguousarray(whole.T), last
        self._units = np.ldexp(1.0, -shifts - self._input_shift)

    def whole(self, x: np.ndarray) -> np.ndarray:
        """Inputs (..., K) as whole numbers, float64."""
        scaled = np.ldexp(x.astype(np.float64, copy=False), self._input_shift)
        return np.rint(scaled, out=scaled)

    def __call__(self, whole: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Inputs (N, K), as `whole` gives them, to outputs (N, O), float64, written into `out` if it is given."""
        outputs: np.ndarray = np.matmul(whole, self._weight, out=out)
        outputs += self._bias
        outputs *= self._units
        return outputs

    def tables(self, whole: np.ndarray) -> np.ndarray:
        """What each of V vectors (V, E) adds to the outputs at each place of an input made of C of them: (C, V, O).

        One of each place summed up, in any order, is what the layer gives for them.
        """
        parts = self._weight.reshape(-1, whole.shape[1], len(self._bias))  # (C, E, O)
        tables: np.ndarray = whole @ parts
        tables[0] += self._bias
        tables *= self._units
        return tables


def _whole(weight: np.ndarray, bias: np.ndarray, shifts: np.ndarray, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows times 2^shift, and biases in the unit of their products with inputs, rounded to whole numbers."""
    return np.rint(np.ldexp(weight, shifts[:, None])), np.rint(np.ldexp(bias, shifts + inputs))
