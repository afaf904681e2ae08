"""Lines with labels: their tokens, their splits, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.config import DataConfig
from spellout.data.labels import Labelled, first_tokens, labelled, parted
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.splits import split_lines
from spellout.data.vocabulary.building import build_vocabulary
from spellout.data.vocabulary.stored import vocabulary_from_json
from spellout.errors import DataError, UsageError
from strategies import clean_line

some_lines = st.lists(
    st.tuples(st.sampled_from(["f", "m", "x y"]), clean_line.filter(lambda line: "\t" not in line)),
    min_size=1,
    max_size=12,
)


def vocabulary_for(rows, unit="char"):
    return labelled(
        [f"{label}\t{text}" for label, text in rows], build_vocabulary([text for _, text in rows], unit)
    )


@pytest.mark.parametrize("unit", ["char", "byte", "word"])
@given(rows=some_lines)
def test_lines_with_labels_come_back_from_their_tokens(rows, unit):
    rows = [(label, " ".join(text.split())) for label, text in rows]
    vocabulary = vocabulary_for(rows, unit)
    lines = [f"{label}\t{text}" for label, text in rows]
    stream = vocabulary.encode(lines)
    assert vocabulary.decode(stream) == lines
    assert vocabulary.decode(stream[1:]) == lines
    # a token more a line than without labels, and it is the first
    without = vocabulary.plain.encode([text for _, text in rows])
    assert len(stream) == len(without) + len(lines)
    assert [vocabulary.symbol(int(token)) for token in first_tokens(stream)] == [label for label, _ in rows]
    assert np.array_equal(stream[stream < vocabulary.plain.size], without)
    again = vocabulary_from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again.labels == vocabulary.labels
    assert np.array_equal(again.encode(lines), stream)


def test_what_no_line_is_decodes_to_nothing():
    vocabulary = vocabulary_for([("f", "anna"), ("m", "bob")])
    f, m = (vocabulary.plain.size + vocabulary.labels.index(label) for label in "fm")
    a, n = vocabulary.plain.encode(["an"])[1:-1].tolist()
    stream = np.array([0, f, a, n, 0, f, 0, a, 0, m, a, f, 0, m, n, 0])
    assert vocabulary.decode(stream) == ["f\tan", None, None, None, "m\tn"]


def test_new_characters_stand_where_they_stand_behind_the_label():
    vocabulary = vocabulary_for([("f", "anna"), ("m", "bob")])
    reading = vocabulary.read(["m\tnub"])
    assert (reading.pieces, reading.positions.tolist()) == (["u"], [2])
    assert np.array_equal(reading.stream, vocabulary.encode(["m\tnb"]))


def test_a_new_label_and_a_missing_one_are_a_sentence():
    vocabulary = vocabulary_for([("f", "anna"), ("m", "bob"), ("m", "cy")])
    with pytest.raises(DataError, match=r"the label 'x' of 'anna' is new.*its labels are m, f"):
        vocabulary.encode(["x\tanna"])
    with pytest.raises(DataError, match="'anna' has no label"):
        vocabulary.encode(["anna"])
    with pytest.raises(UsageError, match="--label x: no line the model learned from has it; its labels are m, f"):
        vocabulary.given("x")
    assert vocabulary.given("f").shares.tolist() == [0.0, 1.0]
    assert vocabulary.shares.tolist() == [2 / 3, 1 / 3]


def test_a_column_of_another_kind_is_no_label():
    with pytest.raises(DataError, match="there are 1,001 different labels"):
        vocabulary_for([(f"id {number}", "anna") for number in range(1001)])


@pytest.mark.parametrize(
    "labels", [[], {}, {"f": 0}, {"f": True}, {"f\t": 1}, {"": 1}, {"f": "1"}, {"a\nb": 3}], ids=str
)
def test_damaged_labels_of_a_run_are_noticed(labels):
    stored = vocabulary_for([("f", "anna")]).to_json() | {"labels": labels}
    with pytest.raises((ValueError, TypeError, KeyError)):
        vocabulary_from_json(stored)


def test_a_line_with_two_labels_is_in_one_part():
    lines = Lines.of([f"{label}\tname {number}" for number in range(200) for label in "fm"])
    split = split_lines(lines, labelled=True)
    texts = [{parted(line)[1] for line in part} for part in (split.train, split.dev, split.test)]
    assert list(map(len, texts)) == [160, 20, 20]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
    assert sorted(split.known) == sorted(lines.distinct)


@pytest.mark.parametrize("seed", range(5))
def test_a_label_that_is_seen_once_is_learned_from(seed):
    rows = [f"{'fm'[number % 2]}\tname {number}" for number in range(60)]
    lines = Lines.of([*rows, *(f"rare {number}\tname {100 + number}" for number in range(20))])
    split = split_lines(lines, seed=seed, labelled=True)
    assert sorted(split.known) == sorted(lines.distinct)
    assert split.dev
    assert split.test
    assert {parted(line)[0] for line in split.dev + split.test} <= set("fm")
    Prepared.of(lines, DataConfig(label="1", split_seed=seed)).vocabulary.encode(split.known)


def test_labels_of_which_none_comes_again_are_a_sentence_with_the_cure():
    lines = Lines.of([f"{number}.99\tname {number}" for number in range(40)])
    with pytest.raises(DataError, match=r"hardly any two lines share a label.*another column.*--split none"):
        Prepared.of(lines, DataConfig(label="1"))
    assert not Prepared.of(lines, DataConfig(label="1", split="none")).split.dev
    dev = Lines.of(["f\tanna", "x\totto"])
    with pytest.raises(DataError, match=r"the label 'x' of 'otto' is only among the dev lines.*--split none"):
        Prepared.of(Lines.of(["f\teva", "f\tida"]), DataConfig(label="1"), dev=dev)


def test_prepared_lines_know_their_labels():
    lines = Lines.of([f"{label}\t{name}" for label, name in zip("fmm" * 4, "abcdefghijkl", strict=True)])
    prepared = Prepared.of(lines, DataConfig(label="1"))
    assert isinstance(prepared.vocabulary, Labelled)
    assert "\t" not in prepared.vocabulary.plain.characters
    assert len(prepared.stream) == 1 + 3 * len(prepared.split.train)
