"""Every model of the table in a page: Node computes the same probabilities and draws the same lines as Python."""

import json

import numpy as np
import pytest

from drawn import SETTINGS, drawn
from export.test_lowering import SPECIFICATIONS, STEPS
from javascript import Page, evaluated, needs_node
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.labels import Labelled
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.export.bloom import holds
from spellout.export.exporting import portable
from spellout.export.html.page import runtime
from spellout.export.reference import Reference

pytestmark = needs_node


def options(settings, count):
    names = {"top_k": "topK", "top_p": "topP", "max_length": "maxLength"}
    seed = str(settings["seed"])  # more than JSON's numbers hold
    return {"count": count} | {names.get(name, name): value for name, value in settings.items()} | {"seed": seed}


def compared(made, vocabulary, page, count, settings):
    asked = [options(one, count) for one in settings]
    random = np.random.default_rng(5)
    size = vocabulary.size - len(made.labels)
    tokens = np.concatenate([np.zeros((4, 1), np.int64), random.integers(1, size, (4, 14))], axis=1)
    if made.labels:
        tokens[:, 1] = random.integers(size, vocabulary.size, 4)
    found = page.asked(tokens=tokens.tolist(), lines=asked)
    wanted = np.exp(Reference(made.step).log_probabilities(tokens))
    np.testing.assert_allclose(np.exp(np.array(found["rows"])), wanted, rtol=0, atol=1e-9)
    for one, lines in zip(settings, found["lines"], strict=True):
        assert lines == drawn(made, vocabulary, one, count)


@pytest.fixture(scope="module")
def few(names) -> Prepared:
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.mark.parametrize("specification", [one for several in SPECIFICATIONS.values() for one in several])
def test_node_says_and_draws_what_python_does(specification, few, tmp_path):
    run = train(few, specification, training=STEPS).run
    made = portable(run.model, run.vocabulary, name="names", max_length=15, lines=run.lines, weights="int8")
    compared(made, run.vocabulary, Page(made, tmp_path / "x.html"), 40, SETTINGS)


@pytest.mark.parametrize("unit", ["word", "byte", "grapheme"])
def test_other_units(unit, tmp_path):
    texts = [
        "red apple",
        "green apple pie",
        "blue sky",
        "red sky at night",
        "Zoë's crème",
        "né",
        "Zoë at night",
        "crème pie",
    ]
    if unit == "grapheme":
        pytest.importorskip("regex", reason="graphemes need the library regex")
        texts += ["👩‍👩‍👦 sky", "🇩🇪🇫🇷", "नमस्ते"]
    data = Prepared.of(Lines.of(texts * 3), DataConfig(unit=unit, split="none"))
    run = train(data, "ngram:3", training=STEPS).run
    made = portable(run.model, run.vocabulary, name="things", max_length=30, lines=run.lines, weights="float16")
    page = Page(made, tmp_path / "x.html")
    compared(made, run.vocabulary, page, 60, [{"seed": 1}, {"seed": 2, "temperature": 2.5}])
    cut = page.asked(cut=texts)["cut"]
    assert cut == [run.vocabulary.encode([one])[1:-1].tolist() for one in texts]


def test_lines_with_labels(tmp_path):
    texts = ["f\tanna", "f\tanja", "m\tbob", "m\tbert", "m\tben", "f\tada", "f\teva", "m\tbill"] * 4
    data = Prepared.of(Lines.of(texts), DataConfig(split="none", label="1"))
    run = train(data, "counts:4:steps=10:first=yes", training=STEPS).run
    made = portable(run.model, run.vocabulary, name="names", max_length=9, lines=run.lines, weights="int8")
    page = Page(made, tmp_path / "x.html")
    compared(made, run.vocabulary, page, 60, [{"seed": 7}, {"seed": 8, "temperature": 1.5}])
    assert isinstance(run.vocabulary, Labelled)
    given = run.vocabulary.given("m")
    label = made.labels.index("m")
    found = page.asked(lines=[options({"seed": 9}, 30) | {"label": label}])["lines"]
    assert found == [drawn(made, given, {"seed": 9}, 30)]


def test_the_filter_and_the_lines_know_the_training_lines(few, tmp_path):
    run = train(few, "ngram:3", training=STEPS).run
    lines = [*run.lines, "Zzyzx", "Ünïcödé", "", *(f"{one}x" for one in run.lines)]
    made = portable(run.model, run.vocabulary, name="names", max_length=15, lines=run.lines, weights="int8")
    assert Page(made, tmp_path / "a.html").asked(known=lines)["known"] == holds(made.known, lines).tolist()
    both = portable(
        run.model, run.vocabulary, name="names", max_length=15, lines=run.lines, weights="int8", with_lines=True
    )
    asked = Page(both, tmp_path / "b.html").asked(known=lines, lines=[{"count": 200, "seed": "1", "fresh": True}])
    assert asked["known"] == [line in set(run.lines) for line in lines]
    made_lines = [line for _, line in asked["lines"][0]]
    every = [line for _, line in drawn(made, run.vocabulary, {"seed": 1}, 400)]
    assert made_lines == [line for line in every if line not in set(run.lines)][:200]


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5, 2**64 - 1])
def test_random_numbers_are_those_of_numpy(seed):
    counters = np.array([[0, 0, 0, 0], [8 * 12345, 3, 0, 0], [2**64 - 8, 1, 0, 0]], np.uint64)
    wanted = [
        [int(one) for one in np.random.Philox(key=seed, counter=counter).random_raw(28)] for counter in counters
    ]
    script = """
    const numbers = [%s].map(([first, page]) => {
      const found = [];
      for (let i = 1n; i < 8n; i++)
        found.push(...philox([first + i & MASK, page + (first + i >> 64n), 0n, 0n], [%sn, 0n]).map(String));
      return found;
    });
    console.log(JSON.stringify(numbers));
    """
    listed = ",".join(f"[{first}n, {page}n]" for first, page, *_ in counters)
    found = evaluated(runtime() + script % (listed, seed))
    assert [[int(one) for one in several] for several in json.loads(found)] == wanted
