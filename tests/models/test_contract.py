"""Every model of the table, held to the contract. A new row of the table is tested without a new line here,
except for the specifications it should be tried with."""

import inspect
from itertools import islice

import numpy as np
import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.price import Price
from spellout.generation.sampling import sample
from spellout.models.contract import LanguageModel
from spellout.models.table import MODELS, parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Trained

SPECIFICATIONS = {
    "ngram": [
        "ngram",
        "ngram:1",
        "ngram:4",
        "ngram:4:smoothing=closed-form",
        "ngram:2:smoothing=add-k",
        "ngram:3:smoothing=add-k:k=0.1",
        "ngram:40",
    ],
    "counts": ["counts:steps=20", "counts:4:steps=20:order=3", "counts:1:steps=1:order=1"],
    "bigram": ["bigram", "bigram+ngram:3"],
    "mlp": [
        "mlp:4:context=1:embedding=2:batch=16+counts:3:steps=20",
        "mlp:8:context=3:embedding=2:batch=16",
        "mlp:4:context=1:embedding=2:batch=16+ngram:2",
    ],
    "gru-numpy": [
        "gru-numpy:8:embedding=4:batch=4",
        "gru-numpy:8:embedding=4:dropout=0.2+counts:3:steps=20",
        "gru-numpy:8:embedding=4+ngram:2",
    ],
    "gpt": ["gpt:4:heads=2:context=8:batch=4", "gpt:4:heads=1:layers=2:context=4:batch=4+ngram:2"],
    "mlp-bn": ["mlp-bn:8:context=3:embedding=4", "mlp-bn:8:context=1:statistics=calibrated+ngram:3"],
    "wavenet": ["wavenet:8:levels=2:embedding=4", "wavenet:8:levels=1:statistics=calibrated+ngram:4"],
    "rnn": ["rnn:8", "rnn:8:dropout=0+ngram:3"],
    "gru": ["gru:8:wide=5", "gru:8+counts:3:steps=20", "gru:8:optimizer=adamw+ngram:3"],
    "lstm": ["lstm:8", "lstm:8:dropout=0+ngram:3"],
    "bow": ["bow:8", "bow:8:dropout=0.5+ngram:3"],
    "transformer": ["transformer:8:layers=2:places=5", "transformer:8:tied=yes+ngram:3"],
    "ensemble": ["ngram:2 & ngram:4", "2*mlp:8:context=3:embedding=2:batch=16+ngram:2 & gru:8+ngram:2"],
}
STEPS = TrainingConfig(steps=10, patience=0, evaluate_every=10)
"""For the models that learn in steps: few, so that everything here is quick."""
UNITS = [DataConfig(), DataConfig(unit="byte"), DataConfig(unit="word", min_count=2)]
LINES = ["new york", "new delhi", "york", "old york", "zoé", "zoë new", "delhi", "old delhi", "n", "new zoé"]


def test_every_model_of_the_table_is_tried():
    assert set(SPECIFICATIONS) == set(MODELS)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((specification, data), id=f"{specification}-{data.unit}")
        for specifications in SPECIFICATIONS.values()
        for specification in specifications
        for data in UNITS
    ],
)
def asked(request) -> tuple[Prepared, str]:
    """What a model is trained on, and which one."""
    specification, data = request.param
    return Prepared.of(Lines.of(LINES), data), specification


@pytest.fixture(scope="module")
def trained(asked: tuple[Prepared, str]) -> Trained:
    return train(*asked, training=STEPS)


@pytest.fixture
def model(trained: Trained) -> LanguageModel:
    return trained.run.model


@pytest.fixture
def tokens(model: LanguageModel) -> np.ndarray:
    """Beginnings of lines, of any tokens: most were never seen together."""
    random = np.random.default_rng(0)
    return np.column_stack([np.zeros(20, int), random.integers(1, model.vocabulary_size, (20, 9))])


def test_it_has_every_part_of_the_contract(model):
    for name, _ in inspect.getmembers(LanguageModel, inspect.isfunction):
        if not name.startswith("_"):
            assert callable(getattr(model, name))
    assert model.parameters > 0
    assert model.context is None or model.context >= 0


def test_probabilities_are_positive_and_sum_to_one(model, tokens):
    logs = model.log_probabilities(tokens)
    assert logs.shape == (*tokens.shape, model.vocabulary_size)
    assert np.isfinite(logs).all()
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1.0, rtol=0, atol=1e-9)


def test_positions_depend_on_their_context_and_on_nothing_later(model, tokens):
    logs, width = model.log_probabilities(tokens), tokens.shape[1]
    context = width if model.context is None else model.context
    moved = np.zeros((width, width), bool)  # [changed place, place of the answer]
    for place in range(1, width):
        changed = tokens.copy()
        changed[:, place] = changed[:, place] % (model.vocabulary_size - 1) + 1
        moved[place] = np.abs(model.log_probabilities(changed) - logs).max(axis=(0, 2)) > 0
    distance = np.arange(width) - np.arange(width)[:, None]
    assert not moved[distance < 0].any()
    assert not moved[distance >= context].any()
    only_lengths = getattr(model, "order", None) == 1  # an n-gram of order 1 with the shapes of lines
    if context and model.vocabulary_size > 2 and not only_lengths:
        assert moved[distance == 0].any()


def test_lines_do_not_depend_on_the_batch_or_on_padding(model, tokens):
    logs = model.log_probabilities(tokens)
    np.testing.assert_allclose(model.log_probabilities(tokens[3:4]), logs[3:4], rtol=0, atol=1e-9)
    padded = np.pad(tokens, ((0, 0), (0, 4)))
    np.testing.assert_allclose(model.log_probabilities(padded)[:, :10], logs, rtol=0, atol=1e-9)


def test_scores_are_the_picked_log_probabilities(model, tokens):
    targets = np.random.default_rng(1).integers(0, model.vocabulary_size, tokens.shape)
    picked = np.take_along_axis(model.log_probabilities(tokens), targets[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(model.score(tokens, targets), picked, rtol=0, atol=1e-9)


def test_a_reader_gives_the_same_as_whole_lines(model, tokens):
    logs = model.log_probabilities(tokens)
    reader, rows = model.reader(len(tokens)), np.arange(len(tokens))
    for place in range(tokens.shape[1]):
        read = reader.read(tokens[rows, place])
        np.testing.assert_allclose(read, logs[rows, place], rtol=0, atol=1e-9)
        keep = np.arange(len(rows)) % 4 != 1
        reader.keep(keep)
        rows = rows[keep]


def test_it_comes_back_from_its_settings_and_arrays(model, tokens):
    again = type(model).restore(model.settings(), {k: v.copy() for k, v in model.arrays().items()})
    assert np.array_equal(again.log_probabilities(tokens), model.log_probabilities(tokens))
    assert (again.parameters, again.context) == (model.parameters, model.context)


def test_settings_without_their_arrays_are_refused(model):
    for name in model.arrays():
        arrays = model.arrays()
        del arrays[name]
        with pytest.raises((KeyError, ValueError)):
            type(model).restore(model.settings(), arrays)


def test_training_is_deterministic(asked, trained, tokens):
    again = train(*asked, training=STEPS).run.model
    assert np.array_equal(again.log_probabilities(tokens), trained.run.model.log_probabilities(tokens))


def test_sampling_never_emits_an_unknown_token(trained):
    run = trained.run
    made = list(islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=50), patience=2000), 200))
    assert len(made) == 200
    for one in made:
        assert "<unknown>" not in one.text
        run.vocabulary.encode([one.text])


def test_evaluation_agrees_with_the_log_probabilities(trained):
    run, total, count = trained.run, 0.0, 0
    price = Price(run.vocabulary)
    for line in LINES:
        reading = run.vocabulary.read([line])
        stream = reading.stream
        logs = run.model.log_probabilities(stream[None, :-1])[0] - price.known
        total -= logs[np.arange(len(stream) - 1), stream[1:].astype(int)].sum()
        total += price.of(reading.pieces).sum()
        count += len(stream) - 1 + (0 if price.predicted else len(reading.pieces))
    result = evaluate(run.model, run.vocabulary, LINES)
    assert result.nats == pytest.approx(total, abs=1e-9)
    assert result.tokens == count
    assert result.characters == sum(map(len, LINES)) + len(LINES)


@pytest.mark.parametrize(
    ("specification", "fragment"),
    [
        ("ngrm:3", "did you mean ngram?"),
        ("quantum", "models: ngram"),
        ("ngram:three", "not a number"),
        ("ngram:0", "from 1 to 64"),
        ("ngram:2:smoothing=add", "choose one of fitted, closed-form, add-k"),
        ("ngram:2:smooth=add-k", "no setting 'smooth'"),
        ("ngram:2:smoothing=add-k:k=0", "above 0"),
        ("ngram:2:smoothing=add-k:k=nan", "above 0"),
    ],
)
def test_a_specification_that_is_not_understood_is_explained(specification, fragment):
    from spellout.errors import UsageError

    with pytest.raises(UsageError, match=fragment):
        parse_specification(specification)
