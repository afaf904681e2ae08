"""A few names, and what networks start from there."""

import pytest

from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram


@pytest.fixture(scope="module")
def few(names):
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.fixture(scope="module")
def counted(few):
    """A trigram of the training lines."""
    return train_ngram(few.stream, few.vocabulary.size, NgramConfig(order=3), lambda event: None)[0]
