"""What leaves: a model's step, the texts of its tokens, and what a reader should know of it.

Every target writes a `Portable`, and nothing else is asked: no file of a run, no training line unless `known` has
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .step import Step


@dataclass(frozen=True)
class Bloom:
    """The training lines as bits (Bloom 1970, "Space/Time Trade-offs in Hash Coding with Allowable Errors").

    A line is in it if all of its bits are set: every training line is, and of other lines the share `error`.
    Bit i of H is (h1 + i · h2) mod size, with h1 and h2 the two 32-bit halves (low, high) of FNV-1a of 64 bits over
    the line's text in UTF-8 (with its label and a tab before it, if it has one); h2 is made odd.
    """

    bits: np.ndarray  # (size / 8,) uint8, bit b is bits[b >> 3] >> (b & 7) & 1
    size: int
    hashes: int
    error: float


@dataclass(frozen=True)
class Portable:
    """A model that can be written to a file which works without us.

    Attributes:
        name: what the file is about, for titles.
        step: the model.
        texts: (V,) what each token writes; those of the boundary and of labels are empty. A line is its tokens'
            texts, one after the other, with `between` between them. A token that is one byte of UTF-8 beyond ASCII
            writes half a surrogate pair, U+DC80 to U+DCFF, as Python's `surrogateescape` does: the bytes of a line
            have to be UTF-8 together, or it is thrown away.
        between: "" or, of words, a space.
        labels: names of labels, in the order of their tokens, which are the last of the vocabulary; a line then
            begins with one, drawn by `shares`.
        shares: the share of each label, sums to 1.
        never: tokens that are never drawn: an unknown one, and labels, which stand before a line only.
        known: the training lines' bits, or None.
        lines: the training lines themselves, only if asked for.
        max_length: the most tokens of a line when nothing else is asked.
        about: what a reader should know, for JSON: model, dev losses in nats per character of the run's model as it
            is (`nats`) and of this one (`nats_here`), parameters, unit, and how the weights are stored
            (`weights`: float32, float16 or int8; see `storing.py`), and how many lines were held out, which `known`
            does not have (`held_out`).
    """

    name: str
    step: Step
    texts: tuple[str, ...]
    between: str = ""
    labels: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    never: tuple[int, ...] = ()
    known: Bloom | None = None
    lines: tuple[str, ...] = ()
    max_length: int = 100
    about: Mapping[str, Any] = field(default_factory=dict)
