"""Tiny lists, pooled with longer ones: the parts, the letters, the weights, and what stands in a run afterwards."""

import json
import shutil
from itertools import islice, pairwise
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.api import load_run
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import RunError, UsageError
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.models.ensembles.ensemble import Ensemble
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.discounts import closed_form, fit, fit_together
from spellout.models.ngram.levels import build_levels
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.streams import folds
from spellout.models.table import parse_specification
from spellout.training import pooled
from spellout.training.pooled import (
    POOLED_ORDER,
    Pool,
    check_pooling,
    pooled_counts,
    train_pooled,
    with_letters_of,
    written_like,
)

WOMEN = ["Adela", "Bettina", "Carla", "Dorina", "Elmira", "Fabia", "Gerda", "Hanna", "Irina", "Jolanda", "Karina"]
WOMEN += ["Leona", "Marita", "Nadia"]
WHOLE = DataConfig(split="none")


def prepared_of(lines):
    return Prepared.of(Lines.of(lines), WHOLE)


@given(st.lists(st.lists(st.integers(1, 4), max_size=4), min_size=1, max_size=12), st.integers(2, 6))
def test_every_line_is_held_out_once(lines, count):
    stream = np.array([0] + [token for line in lines for token in (*line, 0)])

    def lines_of(part):
        assert part[0] == part[-1] == 0
        ends = np.flatnonzero(part == 0)
        return [part[a + 1 : b].tolist() for a, b in pairwise(ends)]

    parts = folds(stream, count)
    assert len(parts) == min(count, len(lines))
    assert sorted(line for _, held in parts for line in lines_of(held)) == sorted(lines)
    for kept, held in parts:
        assert sorted(lines_of(kept) + lines_of(held)) == sorted(lines)


def test_discounts_of_several_parts_suit_all_of_them():
    prepared = prepared_of(WOMEN * 2 + [one[::-1] for one in WOMEN])
    size = prepared.vocabulary.size
    parts = [
        (build_levels(Counts.of(kept, 3, size)), Counts.of(held, 3, size))
        for kept, held in folds(prepared.stream, 3)
    ]
    start = closed_form(parts[0][0])

    def nats(discounts):
        return sum(NgramModel(levels, discounts).nats_per_token(held) * held.counts.sum() for levels, held in parts)

    alone = [fit(levels, held, start) for levels, held in parts]
    assert np.array_equal(fit_together(parts[:1], start).amounts, alone[0].amounts)
    assert nats(fit_together(parts, start)) < min(map(nats, [start, *alone]))


def test_other_lines_are_written_as_the_list_writes_its_own():
    assert written_like(["Zug", "Bad Ragaz", "Thun"], ["anna", "bert"]) == ["Anna", "Bert"]
    assert written_like(["ZUG", "THUN"], ["Anna", "bert"]) == ["ANNA", "BERT"]
    assert written_like(["zug"], ["Anna", "McBert"]) == ["anna", "mcbert"]
    assert written_like(["Zug", "Thun"], ["Anna", "Bert", "McOrt"]) == ["Anna", "Bert", "McOrt"]
    assert written_like(["aB", "cD"], ["Anna"]) == ["Anna"]


def test_what_holds_a_letter_that_the_list_lacks_is_not_counted():
    """By brute force: the model of the longest contexts that hold known letters alone."""
    prepared = prepared_of(["aB", "Ba"])
    size, lines = prepared.vocabulary.size, ["abba", "axba", "ba", "bbbbbbbb"]
    model = NgramModel.estimate(pooled_counts(prepared.vocabulary, prepared.split.train, lines), NgramConfig())
    tokens, seen = {"a": 2, "b": 1, "x": None}, {}
    for line in lines:
        padded = [0, *(tokens[one] for one in line), 0]
        for place in range(1, len(padded)):
            gram = tuple(padded[max(0, place + 1 - POOLED_ORDER) : place + 1])
            if None not in gram:
                seen[gram] = seen.get(gram, 0) + 1
    rows = sorted(seen)
    columns = [
        np.array([gram[-back] if back <= len(gram) else 0 for gram in rows]) for back in range(2, POOLED_ORDER + 1)
    ]
    longest = model.levels[-1]
    assert longest.counts.sum() == sum(count for gram, count in seen.items() if len(gram) == POOLED_ORDER)
    chances = np.exp(model.rows(columns))
    assert chances.shape[1] == size
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert pooled_counts(prepared.vocabulary, prepared.split.train, ["xy", "xxxxxyyyyy"]) is None


def test_the_list_gets_the_letters_of_lines_that_share_most_of_its_own():
    latin = with_letters_of(Pool.bundled(), prepared_of(WOMEN))
    assert {*"abcdefghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"} <= set(latin.vocabulary.known)
    assert latin.vocabulary.decode(latin.stream[1:-1])
    again = with_letters_of(Pool.bundled(), latin)
    assert again.vocabulary.known == latin.vocabulary.known
    greek = prepared_of(["Άννα", "Μαρία", "Ελένη"])
    assert with_letters_of(Pool.bundled(), greek) is greek


def test_a_pool_helps_where_it_can_and_is_left_out_where_it_cannot():
    prepared = with_letters_of(Pool.bundled(), prepared_of(WOMEN))
    events = []
    model, nats = train_pooled(prepared, Pool.bundled(), events.append)
    assert isinstance(model, Ensemble)
    assert nats == events[-1]["held_out_nats_per_token"] < events[-1]["alone"]
    others = ["Amalia", "Celina", "Ramona", "Sabrina", "Tamara", "Valeria"]
    own = evaluate(model.members[0], prepared.vocabulary, others).nats_per_char
    assert evaluate(model, prepared.vocabulary, others).nats_per_char < own - 0.1
    dates = prepared_of([f"20{year:02}-0{1 + year % 9}-1{year % 7}" for year in range(40)])
    assert isinstance(train_pooled(dates, Pool.bundled(), events.append)[0], NgramModel)


def test_one_line_is_no_list_to_judge_by():
    model, nats = train_pooled(prepared_of(["Anna", "Bea"]).first(1), Pool.bundled(), lambda event: None)
    assert isinstance(model, NgramModel)
    assert nats is None


@pytest.mark.parametrize("text", ["ngram:3", "ngram:smoothing=add-k", "counts", "mlp", "mlp+ngram", "2*ngram"])
def test_only_an_ngram_as_it_is_can_be_pooled(text):
    with pytest.raises(UsageError, match="--from pools an n-gram"):
        check_pooling(parse_specification(text), DataConfig())
    check_pooling(parse_specification("ngram"), DataConfig())


@pytest.mark.parametrize(
    "flags", [["--unit", "word"], ["--unit", "byte"], ["--tokens", "smiles"], ["--label", "1"]]
)
def test_only_characters_can_be_pooled(tmp_path, command, flags):
    (tmp_path / "women.txt").write_text("\n".join(WOMEN), "utf-8")
    code, _, err = command("make", str(tmp_path / "women.txt"), "--from", "names", *flags)
    assert code == 2
    assert "--from pools lines of plain characters" in err


def test_a_run_without_lines_cannot_be_pooled(few):
    class Streamed:
        lines = None

    with pytest.raises(RunError, match="keeps no training lines"):
        Pool.of_run(Streamed(), "runs/streamed")


def test_make_pools_a_tiny_list_by_itself_and_makes_new_lines(tmp_path, command):
    file, run = tmp_path / "women.txt", tmp_path / "run"
    file.write_text("\n".join(WOMEN), "utf-8")
    code, out, err = command("make", str(file), "-o", str(run), "-n", "20")
    assert code == 0, err
    made = out.splitlines()
    assert len(made) == len(set(made)) == 20
    assert not set(made) & set(WOMEN)
    told = json.loads((run / "config.json").read_text("utf-8"))
    assert told["pooled"]["from"] == "names"
    assert told["split"]["train"] == len(WOMEN)


def test_a_pooled_run_stands_alone(tmp_path, command):
    file, other, run = tmp_path / "women.txt", tmp_path / "other", tmp_path / "run"
    file.write_text("\n".join(WOMEN), "utf-8")
    assert command("train", "-o", str(other))[0] == 0
    code, _, err = command("train", str(file), "--from", str(other), "-o", str(run), "--split", "none")
    assert code == 0, err
    assert "pooled with other" in err
    shutil.rmtree(other)
    made = command("sample", str(run), "-n", "5")[1].splitlines()
    assert len(made) == 5
    assert not set(made) & set(WOMEN)
    loaded = load_run(run)
    likely, odd = (evaluate(loaded.model, loaded.vocabulary, [one]).nats_per_char for one in ("Ramona", "Xqvwzk"))
    assert likely < odd
    code, _, err = command("train", str(file), "--from", str(other), "-o", str(tmp_path / "again"))
    assert code != 0
    assert str(other) in err


@pytest.mark.parametrize("flag", [["--stream"], ["--resume"], ["--teacher", "runs/names"]])
def test_what_is_not_counted_anew_cannot_be_pooled(tmp_path, command, flag):
    code, _, err = command("train", "women.txt", "--from", "names", *flag, "-o", str(tmp_path / "run"))
    assert code == 2
    assert "--from" in err


def test_what_neither_list_nor_pool_ever_does_is_rare():
    """As a capital inside a word, which thirty lines alone leave as likely as once in all of them; but a list that
    has such words makes them."""

    def made_inside(lines):
        prepared = prepared_of(lines)
        model, _ = train_pooled(prepared, Pool.bundled(), lambda event: None)
        made = sample(model, prepared.vocabulary, SamplingConfig(seed=1, max_length=20))
        return sum(any(one.isupper() for one in line.text[1:]) for line in islice(made, 2000))

    plain = [
        first + second for first in ("Nova", "Lumo", "Teri", "Kand", "Sib") for second in ("ra", "lin", "to", "mes")
    ]
    camel = [first + second.title() for first in ("Nova", "Lumo", "Teri") for second in ("ra", "lin", "to", "mes")]
    with patch.object(pooled, "encoded_others", lambda *of_pool: None):
        before = made_inside(plain)
    assert 10 * made_inside(plain) < before
    assert made_inside(camel) > 1000
