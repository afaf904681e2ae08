"""A few new lines, to be shown in a sentence while better ones are prepared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ..generation.config import SamplingConfig
from . import terminal

if TYPE_CHECKING:
    from ..data.vocabulary.protocol import Vocabulary
    from ..models.contract import LanguageModel

EXAMPLES = 3
LONGEST_SHOWN = 40


def examples(model: LanguageModel, vocabulary: Vocabulary, longest: int, known: Sequence[str]) -> str:
    """Make some new lines and join them; of long ones the beginning."""
    from ..data.labels import Labelled, without_label
    from ..generation.novelty import only
    from ..generation.sampling import sample

    if isinstance(vocabulary, Labelled):
        known = [without_label(line) for line in known]
    config, accept = SamplingConfig(max_length=longest), only(unlike=known, unique=True)
    made = sample(model, vocabulary, config, accept=accept, cut=lambda one: False, patience=100)
    return ", ".join(terminal.short(one.text, LONGEST_SHOWN) for one in islice(made, EXAMPLES)) or "those it knows"
