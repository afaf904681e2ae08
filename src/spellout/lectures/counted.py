"""The first lecture's bigram in plain Python, as the lecture counts it. It needs neither NumPy nor PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from math import log


def counted_in_python(lines: Sequence[str], judged: Sequence[str]) -> float:
    """Count `lines`, add one, and judge `judged`: nats per character."""
    letters = {"."}.union(*lines)
    counts: dict[tuple[str, str], int] = {}
    totals: dict[str, int] = {}
    for line in lines:
        for pair in zip("." + line, line + ".", strict=True):
            counts[pair] = counts.get(pair, 0) + 1
            totals[pair[0]] = totals.get(pair[0], 0) + 1
    nats, number = 0.0, 0
    for line in judged:
        for pair in zip("." + line, line + ".", strict=True):
            nats -= log((counts.get(pair, 0) + 1) / (totals[pair[0]] + len(letters)))
            number += 1
    return nats / number
