"""Every model of the table as a header for C: the same probabilities and lines as Python's."""

import numpy as np
import pytest

from compilers import Header, needs_gcc
from drawn import SETTINGS, drawn
from export.test_lowering import SPECIFICATIONS, STEPS
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.export.exporting import portable
from spellout.export.reference import Reference

pytestmark = needs_gcc


def compared(made, vocabulary, header, count, settings):
    random, size = np.random.default_rng(5), vocabulary.size - len(made.labels)
    tokens = np.concatenate([[0], random.integers(1, size, 14), [0], random.integers(1, size, 8)])
    if made.labels:
        tokens[[1, 16]] = random.integers(size, vocabulary.size, 2)
    wanted = Reference(made.step).log_probabilities(tokens[None])[0]
    np.testing.assert_allclose(header.rows(tokens.tolist()), wanted, rtol=1e-11, atol=1e-11)
    for one in settings:
        assert header.lines(count, **one) == drawn(made, vocabulary, one, count)


@pytest.fixture(scope="module")
def few(names) -> Prepared:
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.mark.parametrize("specification", [one for several in SPECIFICATIONS.values() for one in several])
def test_c_says_and_draws_what_python_does(specification, few, tmp_path):
    run = train(few, specification, training=STEPS).run
    made = portable(run.model, run.vocabulary, name="names", max_length=15, lines=run.lines, weights="int8")
    compared(made, run.vocabulary, Header(made, tmp_path), 40, SETTINGS)


@pytest.mark.parametrize("weights", ["float32", "float16"])
def test_other_weights(weights, few, tmp_path):
    run = train(few, "mlp:8:context=3:embedding=2:batch=16+counts:3:steps=20", training=STEPS).run
    made = portable(run.model, run.vocabulary, name="names", max_length=15, lines=run.lines, weights=weights)
    compared(made, run.vocabulary, Header(made, tmp_path), 100, SETTINGS[:2])
