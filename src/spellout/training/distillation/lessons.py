"""What a student learns from: lines, and what the teacher says at every position of them.

A token that came is one draw of what might have come; the teacher's whole distribution says all of it (Hinton,
Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network"). And lines need not be given: those that the
teacher makes itself show what it knows where no training line goes (Kim & Rush 2016, "Sequence-Level Knowledge
Distillation"), as many as are wanted, so that a student does not learn the training lines by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ...data.vocabulary import Vocabulary
from ...errors import TrainingError
from ...generation.config import SamplingConfig
from ...generation.sampling import sample
from ...generation.scoring import batches, checked
from ...models.contract import LanguageModel


@dataclass(frozen=True)
class Lessons:
    """Holds a stream `0 line 0 line 0`, and the teacher's probabilities (positions, V) of what follows.

    They are kept in float16: each is exact to one part in 2,000, or to 3e-8 where it is small.
    """

    stream: np.ndarray
    soft_targets: np.ndarray


def lessons_of(
    teacher: LanguageModel, vocabulary: Vocabulary, stream: np.ndarray, made: int, longest: int, seed: int
) -> Lessons:
    """Join a stream and as many lines as are to be `made`, and ask the teacher at every position.

    Lines have at most `longest` tokens. The same seed makes the same lines.
    """
    lines = made_lines(teacher, vocabulary, made, longest, seed) if made else []
    stream = np.concatenate([stream, vocabulary.encode(lines)[1:]])
    return Lessons(stream, distributions(teacher, stream))


def made_lines(
    teacher: LanguageModel, vocabulary: Vocabulary, count: int, longest: int, seed: int
) -> Sequence[str]:
    """Let the teacher make lines. `TrainingError` if it ends hardly any before they have `longest` tokens."""
    config = SamplingConfig(seed=seed, max_length=longest)
    lines = [one.text for one in islice(sample(teacher, vocabulary, config, cut=lambda one: False), count)]
    if len(lines) < count:
        raise TrainingError(
            f"the teacher makes hardly any line of at most {longest:,} tokens; train a better one, or learn from "
            "the training lines only, with --made 0"
        )
    return lines


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
