"""Says whether lines are new, which training line is nearest to one, and how many of those a model makes are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

from ..data.labels import Labelled, without_label
from ..data.vocabulary.protocol import Vocabulary
from ..models.contract import LanguageModel
from .config import LONGEST_MADE, SamplingConfig
from .drawing.fingerprints import Fingerprints
from .losses import NATS_PER_BIT
from .sampling import sample
from .scoring import Score


@dataclass(frozen=True)
class Novelty:
    """Which lines are known, and the log-probability of each of the others in a model of new lines.

    Without such a model there are none of these.
    """

    known: Collection[str]
    among_new: Mapping[str, float]

    def of_new_lines(self, score: Score) -> float | None:
        """Give the log-probability of a line among the new ones. None for one that is known, or if nobody knows."""
        return self.among_new.get(score.given)

    def bits_per_char(self, score: Score) -> float | None:
        """Give the same as the mean surprise of a character, the end of the line counted as one."""
        logarithm = self.of_new_lines(score)
        return None if logarithm is None else -logarithm / NATS_PER_BIT / (len(score.line) + 1)

    def to_json(self, score: Score) -> dict[str, Any]:
        """Both, and whether the line is known, as JSON holds them. What is infinite there is null."""
        both = {"new_log_probability": self.of_new_lines(score), "new_bits_per_char": self.bits_per_char(score)}
        finite = {name: None if one is None or not isfinite(one) else one for name, one in both.items()}
        return {"known": score.given in self.known, **finite}


def nearest(line: str, training: Sequence[str]) -> tuple[str, int]:
    """The training line with the smallest edit distance (Levenshtein 1966), and that distance.

    Of several equally near ones, the first.
    """
    from rapidfuzz.distance import Levenshtein  # only who asks for the nearest line waits for this import
    from rapidfuzz.process import extractOne

    match, distance, _ = extractOne(line, training, scorer=Levenshtein.distance, processor=None)
    return match, int(distance)


def only(*, unlike: Iterable[str] | None = None, unique: bool = False) -> Callable[[str], bool]:
    """A test for `sample`: True for lines that are not among `unlike` and, if `unique`, were not seen before.

    It remembers fingerprints of lines, so a new line is refused once in a very long while (see `Fingerprints`).
    """
    refused = Fingerprints(unlike or ())
    # If every line is to be another one, the next time one that was made is no longer new.
    return refused.add if unique else lambda line: line not in refused


def unique_and_novel(
    model: LanguageModel, vocabulary: Vocabulary, training: Iterable[str], k: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """unique@k and novel@k: of k lines made, the fraction that are different, and that are not training lines.

    For a model that ends no line (see `some_lines`), both are 0.
    """
    known = {without_label(line) for line in training} if isinstance(vocabulary, Labelled) else set(training)
    return fractions(some_lines(model, vocabulary, known, k, seed), known)


def fractions(lines: Sequence[str], known: Collection[str]) -> tuple[float, float]:
    """Say which fraction of lines are different, and which are not known; of none, both are 0."""
    if not lines:
        return 0.0, 0.0
    return len(set(lines)) / len(lines), sum(line not in known for line in lines) / len(lines)


def some_lines(
    model: LanguageModel, vocabulary: Vocabulary, known: Collection[str], k: int, seed: int = 0
) -> list[str]:
    """Make k lines as the model is, or fewer if it does not make so many.

    Lines that do not end before twice the length of the longest known line are left out and others made.
    """
    # bytes are the upper bound for characters, too
    tokens = (len(line.split() if vocabulary.noun == "word" else line.encode()) for line in known)
    longest = min(2 * max(tokens, default=0) + 10, LONGEST_MADE)
    made = sample(model, vocabulary, SamplingConfig(seed=seed, max_length=longest), cut=lambda one: False)
    return [one.text for one in islice(made, k)]
