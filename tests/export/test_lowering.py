"""Every model of the table as a step: the same log-probabilities. A new row of the table has to be tried here."""

import numpy as np
import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import ExportError
from spellout.export.lowering.table import LOWERINGS, lowered
from spellout.export.reference import Reference
from spellout.models.counts.model import CountsModel
from spellout.models.new_lines.sharper import sharper
from spellout.models.table import MODELS
from spellout.training.config import TrainingConfig

SPECIFICATIONS = {
    "ngram": ["ngram:1", "ngram:4", "ngram:3:smoothing=add-k:k=0.1"],
    "counts": ["counts:16:steps=20:first=yes", "counts:1:steps=1:order=1", "counts:6:steps=40:order=8"],
    "bigram": ["bigram", "bigram+ngram:3"],
    "mlp": [
        "mlp:8:context=3:embedding=2:batch=16",
        "mlp:8:context=15:embedding=2:batch=16:members=2:first=yes+counts:3:steps=20",
        "mlp:8:context=2:embedding=3:batch=16:tied=yes+ngram:2",
    ],
    "gru-numpy": ["gru-numpy:8:embedding=4:batch=4", "gru-numpy:8:embedding=4+counts:3:steps=20"],
    "gpt": ["gpt:4:heads=2:context=20:batch=4", "gpt:4:heads=1:layers=2:context=20:batch=4+ngram:2"],
    "mlp-bn": ["mlp-bn:8:context=3:embedding=4", "mlp-bn:8:context=1:statistics=calibrated+ngram:3"],
    "wavenet": ["wavenet:8:levels=2:embedding=4+ngram:4", "wavenet:4:levels=4:statistics=calibrated"],
    "rnn": ["rnn:8", "rnn:8:tied=yes+ngram:3"],
    "gru": ["gru:8:wide=5", "gru:8:tied=yes:wide=5+counts:3:steps=20"],
    "lstm": ["lstm:8", "lstm:8:tied=yes+ngram:3"],
    "bow": ["bow:8", "bow:8:dropout=0.5+ngram:3"],
    "transformer": ["transformer:8:layers=2:places=5", "transformer:8:tied=yes+ngram:3"],
    "ensemble": ["ngram:2 & ngram:4", "2*mlp:8:context=3:embedding=2:batch=16+ngram:2 & gru:8+ngram:2"],
}
STEPS = TrainingConfig(steps=10, patience=0, evaluate_every=10)
EXACT = {"ngram", "bigram", "gpt", "mlp-bn", "wavenet", "rnn", "gru", "lstm", "bow", "transformer"}
"""Those that compute in float64 themselves; the others round, to be the same on every machine."""


def test_every_model_of_the_table_is_tried_and_can_be_lowered():
    assert set(SPECIFICATIONS) == set(MODELS)
    assert set(LOWERINGS) == {family.model for name, family in MODELS.items() if name != "ensemble"}


@pytest.fixture(scope="module")
def few(names) -> Prepared:
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.fixture(
    scope="module",
    params=[pytest.param((family, one), id=one) for family, several in SPECIFICATIONS.items() for one in several],
)
def asked(request, few):
    family, specification = request.param
    return family, train(few, specification, training=STEPS).run.model


def random_lines(size: int, length: int) -> np.ndarray:
    random = np.random.default_rng(length)
    return np.concatenate([np.zeros((7, 1), np.int64), random.integers(1, size, (7, length - 1))], axis=1)


def test_the_step_says_what_the_model_says(asked):
    family, model = asked
    size = model.vocabulary_size
    reference = Reference(lowered(model))
    exact = family in EXACT and not isinstance(getattr(model, "prior", None), CountsModel)
    tolerance = 1e-12 if exact else 1e-6
    for length in (1, 9, 20 if family == "gpt" else 60):
        tokens = random_lines(size, length)
        wanted, found = model.log_probabilities(tokens), reference.log_probabilities(tokens)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def test_a_boundary_begins_a_line_anew(asked):
    reference = Reference(lowered(asked[1]))
    reader = reference.reader(2)
    for column in [[0, 0], [3, 0], [2, 0], [0, 0]]:
        rows = reader.read(np.array(column))
    alone = reference.log_probabilities(np.array([[0, 4]]))[0]
    np.testing.assert_allclose(rows, np.stack([alone[0]] * 2), rtol=0, atol=1e-13)
    reader.keep(np.array([False, True]))
    np.testing.assert_allclose(reader.read(np.array([4]))[0], alone[1], rtol=0, atol=1e-13)


def test_an_order_beyond_what_files_look_back_is_refused(few):
    with pytest.raises(ExportError, match="ngram:13"):
        lowered(train(few, "ngram:14").run.model)


def test_what_is_no_model_of_a_run_is_refused(few):
    model = sharper(train(few, "ngram:2").run.model, 1.5)
    with pytest.raises(ExportError, match="cannot be exported"):
        lowered(model)
