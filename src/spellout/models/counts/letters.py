"""Two classes of tokens that take turns, found in the text: of most languages' letters, vowels and consonants.

In the symmetric table of neighbours, scaled so that frequent tokens do not decide everything, the eigenvector of
the most negative eigenvalue has one sign for the tokens that like to stand beside those of the other sign (Moler &
Morrison 1983, "Singular Value Analysis of Cryptograms"). Nothing is known of any alphabet.
"""

from __future__ import annotations

import numpy as np

MOST = 512
"""So many tokens, those of the lowest ids, are told apart: a larger table takes long, and words take no turns."""


def two_classes(stream: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Find the class of every token (V,), 1 or 2, and 0 for the boundary, from a stream `0 line 0 line 0`."""
    classes = np.ones(vocabulary_size, np.int64)
    classes[0] = 0
    size = min(vocabulary_size, MOST)
    before, after = stream[:-1].astype(np.int64), stream[1:].astype(np.int64)
    inside = (before > 0) & (after > 0) & (before < size) & (after < size)
    if vocabulary_size < 3 or not inside.any():
        return classes
    pairs = np.bincount(before[inside] * size + after[inside], minlength=size * size).reshape(size, size)
    table = (pairs + pairs.T)[1:, 1:].astype(np.float64)
    often = np.sqrt(table.sum(axis=1) + 1.0)
    _, vectors = np.linalg.eigh(table / often[:, None] / often)
    first = vectors[:, 0]  # of the lowest eigenvalue
    # An eigenvector may point either way: the class of the largest part is the second.
    turned = first * np.sign(first[np.argmax(np.abs(first))])
    # What is nearly nothing has no sign that would be the same on every machine.
    classes[1:size][turned > 1e-6] = 2
    return classes
