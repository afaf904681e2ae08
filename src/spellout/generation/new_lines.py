"""Which lines a model knows: the trie of them, and what the model says along it.

A line of words with an unknown one is not known for this: other lines have the same tokens, and are new. A model
never makes such lines, so nothing that is made is in the list without being noticed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data.vocabulary.protocol import Vocabulary
from ..models.contract import LanguageModel
from ..models.new_lines.known import Known
from ..models.new_lines.model import Weighted
from ..models.new_lines.sharper import sharper
from ..models.new_lines.trie import Trie


def trie_of(vocabulary: Vocabulary, stream: np.ndarray) -> Trie:
    """Build the trie of the lines of a stream of which the tokens say everything."""
    if len(vocabulary.never_sampled):
        vague = np.isin(stream, vocabulary.never_sampled)
        ends = np.flatnonzero(stream == 0)
        clear = np.add.reduceat(vague, ends[:-1]) == 0 if len(ends) > 1 else np.zeros(0, bool)
        keep = np.concatenate([[True], np.repeat(clear, np.diff(ends))])  # each line with the end after it
        stream = stream[keep]
    return Trie(stream, vocabulary.size)


def without_known(
    model: LanguageModel,
    vocabulary: Vocabulary,
    stream: np.ndarray,
    sharpness: float,
    progress: Callable[[float], None] = lambda share: None,
    ratios: np.ndarray | None = None,
) -> Weighted:
    """Give the model, as sharp as that, of lines that are none of those of a stream. It is asked once along all of
    them, of which `progress` hears.

    `ratios` are what came of that before, if it is known. ValueError if the model makes no other line.
    """
    trie, bold = trie_of(vocabulary, stream), sharper(model, sharpness)
    if ratios is not None and len(ratios) == len(trie) and np.isfinite(ratios[0]):
        return Weighted(bold, trie, ratios)
    return Weighted.of_new_lines(bold, Known.of(model, trie, progress, sharpness))
