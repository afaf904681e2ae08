"""The neural bigram as a row of the table, and a few lines to train it on."""

import pytest

from neural_bigram import NEURAL
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.models.table import MODELS
from spellout.training.prepared import Prepared


@pytest.fixture(scope="session")
def few(names) -> Prepared:
    """Three hundred names: 240 to train, 30 dev."""
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.fixture
def neural():
    """While it is used, `neural` is a model of the table."""
    MODELS["neural"] = NEURAL
    yield NEURAL
    del MODELS["neural"]
