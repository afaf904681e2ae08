"""Both networks in NumPy: a line's logits are the same bits, whatever stands beside it, and so is a training."""

import numpy as np
import pytest

from numpy_networks import output_of, rows_of, trained_gru, trained_mlp

MLP = {"learner": "arrays.learner", "model": "arrays.learner", "config": "arrays.mlp"}
RECURRENT = {
    "learner": "arrays.recurrent.learner",
    "model": "arrays.recurrent.model",
    "config": "arrays.recurrent.gru",
}
PLACES = {"Mlp": MLP, "Gru": RECURRENT}
"""Where the classes of a network are."""


@pytest.fixture(scope="module", params=["mlp", "three of them", "gru"])
def model(request, few, counted):
    if request.param == "gru":
        return trained_gru(few, counted)
    return trained_mlp(few, counted, members=1 if request.param == "mlp" else 3)


def test_logits_do_not_depend_on_the_batch(few, model):
    tokens = rows_of(few, 500)
    together = model.log_probabilities(tokens)
    for size in (1, 2, 3, 7, 64, 131):
        apart = [model.log_probabilities(tokens[start : start + size]) for start in range(0, 140, size)]
        assert np.array_equal(np.concatenate(apart)[:140], together[:140])
    shuffled = np.random.default_rng(1).permutation(500)
    assert np.array_equal(model.log_probabilities(tokens[shuffled]), together[shuffled])
    longer = np.concatenate([tokens, rows_of(few, 500, 5)], axis=1)
    assert np.array_equal(model.log_probabilities(longer)[:, :9], together)


def test_a_reader_gives_the_bits_of_whole_lines(few, model):
    """Also of some of the lines, and of lines that are there several times."""
    tokens = rows_of(few, 40)
    together, reader = model.log_probabilities(tokens), model.reader(40)
    rows = np.arange(40)
    for place in range(tokens.shape[1]):
        assert np.array_equal(reader.read(tokens[rows, place]), together[rows, place])
        random = np.random.default_rng(place)
        keep = random.random(len(rows)) < 0.8 if place % 2 else random.integers(0, len(rows), 30)
        reader.keep(keep)
        rows = rows[keep]


SOME_STEPS = """
import hashlib
import numpy as np
from spellout import DataConfig, Lines, Prepared
from spellout.models.{config} import {name}Config
from spellout.models.{learner} import {name}Learner
prepared = Prepared.of(Lines.of(Lines.bundled().distinct[:300]), DataConfig())
learner = {name}Learner(prepared.stream, prepared.vocabulary.size, {name}Config(), None, 0)
for step in range({steps}):
    learner.step(np.arange(step, learner.examples, 2)[:{batch}], 6e-3)
print(hashlib.sha256(learner.state()["weights"].tobytes()).hexdigest())
"""


@pytest.mark.parametrize(("name", "steps", "batch"), [("Mlp", 8, 1000), ("Gru", 4, 100)])
def test_two_processes_learn_the_same_bits_on_any_number_of_threads(name, steps, batch):
    code = SOME_STEPS.format(name=name, steps=steps, batch=batch, **PLACES[name])
    made = {output_of(code, OPENBLAS_NUM_THREADS=threads) for threads in ("1", "2", "3", "2")}
    assert len(made) == 1
    assert len(made.pop()) == 65


LOGITS = """
import hashlib
import numpy as np
from spellout.models.{config} import {name}Config
from spellout.models.{model} import {name}Model
config, random = {name}Config(), np.random.Generator(np.random.Philox(5))
shapes = {name}Model.shapes(config, 27, False)
weights = {{name: 0.3 * random.standard_normal(shape, np.float32) for name, shape in shapes.items()}}
tokens = random.integers(0, 27, {lines})
print(hashlib.sha256({name}Model(config, 27, weights).logits(tokens, None).tobytes()).hexdigest())
"""


@pytest.mark.parametrize(("name", "lines"), [("Mlp", (400, 12)), ("Gru", (300, 30))])
def test_logits_are_the_same_bits_on_any_number_of_threads_and_with_older_instructions(name, lines):
    code = LOGITS.format(name=name, lines=lines, **PLACES[name])
    ways = [{"OPENBLAS_NUM_THREADS": threads} for threads in ("1", "2", "3")]
    ways += [{"OPENBLAS_CORETYPE": core} for core in ("Haswell", "Nehalem", "Prescott")]
    assert len({output_of(code, **way) for way in ways}) == 1
