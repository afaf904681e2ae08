"""`train` as a function: what is given in the wrong place is told."""

import pytest

from spellout import TrainingConfig, train
from spellout.errors import UsageError


@pytest.mark.parametrize("model", ["mlp", "ngram:3"])
def test_settings_in_the_place_of_the_listener_are_refused_at_once(prepared, model):
    with pytest.raises(
        UsageError, match=r"third argument of train is a function .* training=TrainingConfig\(\.\.\.\)"
    ):
        train(prepared, model, TrainingConfig(steps=1))
    with pytest.raises(UsageError, match=r"third argument of train is a function that hears every event, got 5$"):
        train(prepared, model, 5)
