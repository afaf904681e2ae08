"""How well each line's length goes with those of the other lines.

The density of lengths is a mixture: lengths that occur, lengths near to those (by kernels of several widths), and
any length at all, whose weights make the lines likeliest when each is left out (Habbema, Hermans & van den Broek
1974). So 21 letters are odd where all others have 22, and 16 are not where names have 2 to 15.
"""

from __future__ import annotations

import numpy as np

_WIDTHS = (1.0, 2.0, 4.0)
_ROUNDS = 50
_LONGEST = 2000
"""Longer lines are of like length."""


def odd_lengths(lengths: np.ndarray) -> np.ndarray:
    """Give for each length (L,) how much likelier it is as a wrong one than as one of this list, nats (L,).

    Half of the wrong ones are near to right ones, half are of any length.
    """
    lengths = np.minimum(lengths, _LONGEST)
    different, which, times = np.unique(lengths, return_inverse=True, return_counts=True)
    # Any length: one of twice as many characters is half as likely.
    any_length = 1.0 / (different * (1.0 + np.log(_LONGEST)))
    found = np.array([*_kernels(different, times), any_length])  # (components, different lengths)
    wrong = 0.5 * (found[-2] + any_length)
    weights = np.full(len(found), 1.0 / len(found))
    for _ in range(_ROUNDS):  # of expectation and maximisation
        shares = weights[:, None] * found
        shares /= shares.sum(axis=0)
        weights = (shares @ times + 1.0 / len(found)) / (len(lengths) + 1.0)
    return (np.log(wrong) - np.log(weights @ found))[which]


def _kernels(different: np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """Give the density of each length in the other lines: as it is, and spread by every width."""
    others = max(int(times.sum()) - 1, 1)
    found = [(times - 1) / others]
    for width in _WIDTHS:
        away = np.exp(-np.abs(different[:, None] - different[None, :]) / width)
        whole = (1 + np.exp(-1 / width)) / (1 - np.exp(-1 / width))  # of both sides and the middle
        found.append((away @ times - 1.0) / whole / others)
    return found
