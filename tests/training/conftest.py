"""The neural bigram as a row of the table, and a few lines to train it on."""

import pytest

from neural_bigram import NEURAL
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.table import MODELS


@pytest.fixture(scope="session")
def few(names) -> Prepared:
    """Three hundred names: 240 to train, 30 dev."""
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


class Clock:
    """One that stands until somebody moves its `now`."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock_of(monkeypatch):
    """Give a module a clock of the test's, in place of a function of `time`."""

    def replace(module, name):
        clock = Clock()
        monkeypatch.setattr(module, name, clock)
        return clock

    return replace


@pytest.fixture
def neural():
    """While it is used, `neural` is a model of the table."""
    MODELS["neural"] = NEURAL
    yield NEURAL
    del MODELS["neural"]
