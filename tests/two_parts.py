"""The model that says what lines cost where they may recur: the reference of those losses, and for measurements."""

from __future__ import annotations

import numpy as np

from spellout.models.contract import LanguageModel
from spellout.models.new_lines.known import Known
from spellout.models.new_lines.model import Weighted


def of_two_parts(model: LanguageModel, known: Known, chance: float, log_shares: np.ndarray) -> Weighted:
    """Make a known line with a chance, each with its share (L,), given as a logarithm; else a new one."""
    new = known.ratios_of_new_lines()[0]
    with np.errstate(divide="ignore"):
        ends = np.log(chance) + log_shares - known.lines()
        others = float(np.log1p(-chance) - new) if chance < 1.0 else -np.inf
    return Weighted(model, known.trie, known.ratios(ends, others), others)
