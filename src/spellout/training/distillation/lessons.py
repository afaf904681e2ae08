"""What a student learns from: lines, and what the teacher says at every position of them.

A token that came is one draw of what might have come; the teacher's whole distribution says all of it (Hinton,
Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network"). And lines need not be given: those that the
teacher makes itself show what it knows where no training line goes (Kim & Rush 2016, "Sequence-Level Knowledge
Distillation"), as many as are wanted, so that a student does not learn the training lines by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np

from ...data.prepared import Prepared
from ...data.vocabulary.protocol import Vocabulary
from ...errors import TrainingError, UsageError
from ...generation.config import SamplingConfig
from ...generation.sampling import sample
from ...generation.scoring import batches
from ...models.contract import Callback, LanguageModel
from ...models.new_lines.known import Known
from ...models.new_lines.model import Weighted
from ...models.new_lines.trie import Trie
from ...models.softmax import checked
from .teacher import Teacher

MOST_NUMBERS = 1 << 31
"""Probabilities of the lessons that are kept in memory: four gibibytes."""
APART = 0x5EED << 48
"""Added to the seed, so that the teacher's lines share no random numbers with the order of the examples."""


@dataclass(frozen=True)
class Lessons:
    """Holds a stream `0 line 0 line 0`, and the teacher's probabilities (positions, V) of what follows.

    They are kept in float16: each is exact to one part in 2,000, or to 3e-8 where it is small.
    """

    stream: np.ndarray
    soft_targets: np.ndarray


def lessons_from(
    teacher: Teacher, prepared: Prepared, seed: int, callback: Callback = lambda event: None
) -> Lessons:
    """Let a teacher make lines, and ask it what it says of them and of the training lines.

    `UsageError` if that would not fit in memory, `TrainingError` if it makes no lines.
    """
    config = teacher.config
    start, made = perf_counter(), round(config.made * len(prepared.split.train))
    numbers = len(prepared.stream) * (1 + config.made) * prepared.vocabulary.size
    if numbers > MOST_NUMBERS:
        raise UsageError(
            f"--made {config.made:g}: what the teacher says would take {numbers / 2**29:,.0f} GiB; make fewer lines"
        )
    model, given = teacher.run.model, prepared.stream
    if config.new_lines:
        known = Known.of(model, Trie(prepared.stream, prepared.vocabulary.size))
        # Where the beginning of a training line has no other end, new lines turn off, and seldom come by: what
        # the teacher says there, learned at every training line, spoils what it says of lines that look alike.
        model, given = Weighted.of_new_lines(model, known), prepared.stream[:1]
    seed = (seed + APART) % 2**64
    lessons = lessons_of(model, prepared.vocabulary, given, made, teacher.run.length_limit, seed)
    seconds = perf_counter() - start
    callback({"event": "lessons", "made": made, "tokens": len(lessons.soft_targets), "seconds": seconds})
    return lessons


def lessons_of(
    teacher: LanguageModel, vocabulary: Vocabulary, stream: np.ndarray, made: int, longest: int, seed: int
) -> Lessons:
    """Ask the teacher at every position of a stream, and let it make so many lines more.

    They have at most `longest` tokens. The same seed makes the same lines.
    """
    lines = made_lessons(teacher, vocabulary, made, longest, seed) if made else []
    return Lessons(
        np.concatenate([stream[:-1], *(lesson.stream for lesson in lines), stream[-1:]]).astype(stream.dtype),
        np.concatenate([distributions(teacher, stream), *(lesson.soft_targets for lesson in lines)]),
    )


def made_lessons(
    teacher: LanguageModel, vocabulary: Vocabulary, count: int, longest: int, seed: int
) -> list[Lessons]:
    """Let the teacher make lines, and give each with what it said on the way; their streams lack the last boundary.

    `TrainingError` if it ends hardly any before they have `longest` tokens.
    """
    config = SamplingConfig(seed=seed, max_length=longest)
    noting: Any = _Noting(teacher)  # all of a model that sampling needs
    made = sample(noting, vocabulary, config, cut=lambda one: False)
    lessons = [noting.lesson(one.candidate) for one in islice(made, count)]
    if len(lessons) < count:
        raise TrainingError(
            f"the teacher makes hardly any line of at most {longest:,} tokens; train a better one, or learn from "
            "the training lines only, with --made 0"
        )
    return lessons


class _Noting:
    """A model that makes lines for `sample`, and notes what it says of them: its only reader is itself.

    Asking it again afterwards would take as long once more.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model, self.vocabulary_size = model, model.vocabulary_size
        self._first = self._lines = 0

    def __getattr__(self, name: str) -> Any:
        """Be the model in everything else."""
        return getattr(self._model, name)

    def reader(self, lines: int) -> _Noting:
        """Begin the next lines, and forget the last ones."""
        self._reader = self._model.reader(lines)
        self._first, self._lines = self._first + self._lines, lines
        self._going_on = np.arange(lines)
        self._steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        return self

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        rows = self._reader.read(tokens)
        places = np.full(self._lines, -1)
        places[self._going_on] = np.arange(len(tokens))
        self._steps.append((places, tokens.astype(np.int64), np.exp(checked(rows)).astype(np.float16)))
        return rows

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._reader.keep(rows)
        self._going_on = self._going_on[rows]

    def lesson(self, candidate: int) -> Lessons:
        """Give the tokens that were read of one of the lines, its first boundary among them, and what was said."""
        number = candidate - self._first
        read = [(places[number], *both) for places, *both in self._steps if places[number] >= 0]
        return Lessons(
            np.array([tokens[place] for place, tokens, _ in read]),
            np.stack([rows[place] for place, _, rows in read]),
        )


def distributions(teacher: LanguageModel, stream: np.ndarray) -> np.ndarray:
    """Ask a model at every position of a stream: (positions, V) probabilities, float16."""
    rows = np.empty((len(stream) - 1, teacher.vocabulary_size), np.float16)
    starts = np.flatnonzero(stream == 0)
    for numbers, tokens, _, lengths in batches(stream):
        steps = np.arange(tokens.shape[1])
        inside = steps < lengths[:, None]
        positions = (starts[numbers][:, None] + steps)[inside]
        rows[positions] = np.exp(checked(teacher.log_probabilities(tokens)[inside]))
    return rows
