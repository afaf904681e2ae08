"""Which lines look wrong: what is said of a line is what a model says that was trained without it."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documentation import DOCS, run_blocks
from spellout.data.lines import Lines
from spellout.errors import DataError
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.discounts import closed_form
from spellout.models.ngram.levels import build_levels
from spellout.models.ngram.model import NgramModel
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.ensembles import train_any
from spellout.training.suspects import alike, rarity
from spellout.training.suspects.damage import damage, excess
from spellout.training.suspects.folds import Folds
from spellout.training.suspects.lengths import odd_lengths
from spellout.training.suspects.patterns import patterns_of
from spellout.training.suspects.search import search
from spellout.training.suspects.slips import slips
from spellout.training.suspects.unseen import by_order, encoded, unseen

LISTS = st.lists(st.text("abc", min_size=1, max_size=7), min_size=2, max_size=9, unique=True)


@given(LISTS)
@settings(max_examples=60, deadline=None)
def test_a_line_is_scored_as_by_a_model_that_was_trained_without_it(lines):
    stream, size = encoded(lines)
    starts = np.flatnonzero(stream == 0)
    for order, nats in by_order(stream, size):
        said = nats()
        discounts = closed_form(build_levels(Counts.of(stream, order, size)))  # the same for all lines
        for number, (start, stop) in enumerate(pairwise(starts)):
            others = np.concatenate([stream[: start + 1], stream[stop + 1 :]])
            counts = Counts.of(others, order, size)
            model = NgramModel.of_levels(build_levels(counts), NgramConfig(), discounts)
            line = stream[start : stop + 1].astype(np.int64)[None]
            wanted = -model.score(line[:, :-1], line[:, 1:])[0]
            assert said[start:stop] == pytest.approx(wanted, abs=1e-9), (number, order)


def test_the_order_is_the_one_that_finds_unseen_lines_likeliest():
    stream, size = encoded(NAMES)
    found = unseen(stream, size)
    sums = {order: nats().sum() for order, nats in by_order(stream, size)}
    assert found.nats.sum() == pytest.approx(min(sums.values()), abs=1.0)
    assert np.array_equal(unseen(stream, size, 2).nats.sum(), sums[2])
    assert unseen(*encoded(["a", "b"]), 9).order <= 2  # no line is so long


@given(st.lists(st.lists(st.floats(0, 20), min_size=2, max_size=9), min_size=1, max_size=6))
def test_the_damaged_stretch_is_the_one_with_the_largest_sum(surprises):
    stream = np.array([0] + [one for line in surprises for one in [1] * (len(line) - 1) + [0]])
    letters = np.array([1, 3])
    found = damage(stream, np.concatenate(surprises), letters)
    noise = -np.log(0.5 * letters / 4 + 0.25)
    for number, line in enumerate(surprises):
        gains = np.array(line) - noise[[1] * (len(line) - 1) + [0]]
        sums = {(i, j): gains[i:j].sum() for i in range(len(line)) for j in range(i + 1, len(line) + 1)}
        best = max(sums.values())
        stretch = int(found.starts[number]), int(found.stops[number])
        assert sums[stretch] == pytest.approx(best, abs=1e-9)
        both = math.exp(best - math.log(len(sums))) + math.exp(gains.sum())
        assert found.nats[number] == pytest.approx(math.log(both / 2), abs=1e-9)


def test_a_line_is_compared_with_what_lines_of_its_length_cost():
    lengths = np.array([4, 6, 8, 10, 9, 5])
    nats = 2.0 * lengths + 3.0
    assert excess(nats, lengths) == pytest.approx(np.zeros(6), abs=1e-9)
    nats[2] += 4.0
    assert int(excess(nats, lengths).argmax()) == 2
    assert excess(np.array([1.0, 2.0, 9.0]), np.array([5, 5, 5])).argmax() == 2


def test_rare_values_are_surprising_and_common_ones_are_not():
    surprise = rarity.of_values(["a"] * 97 + ["b", "b", "c"])
    assert surprise[-1] == pytest.approx(-math.log(0.5 / 100))
    assert surprise[-2] == pytest.approx(-math.log(2.5 / 100))
    assert surprise[0] == pytest.approx(0, abs=0.01)
    numbers = np.array([3.0, 1.0, 2.0, 2.0])
    assert rarity.of_ranks(numbers) == pytest.approx(-np.log(np.array([0.5, 3.5, 2.5, 2.5]) / 4))


def test_a_ratio_far_beyond_the_others_is_more_surprising_than_its_rank():
    ratios = np.concatenate([-np.random.default_rng(0).exponential(1.0, 1000), [12.0]])
    surprise = rarity.of_ratios(ratios)
    assert surprise[-1] > math.log(1001) + 3
    assert surprise[:-1].max() < math.log(1001)


def test_lengths_that_no_other_line_has_are_odd_where_all_have_the_same_and_not_among_many():
    fixed = odd_lengths(np.array([22] * 200 + [21]))
    assert fixed[-1] > 3
    assert fixed[0] < 0
    spread = odd_lengths(np.concatenate([np.repeat(np.arange(3, 15), 20), [15]]))
    assert spread[-1] < 2


def test_patterns_are_classes_of_letters():
    assert patterns_of(["MK53 yyw", "é-Ω", "राम", "Я7"]) == ["AA00 aaa", "a-Ω", "lml", "Ω0"]


@given(st.lists(st.text("ab", min_size=4, max_size=7), min_size=2, max_size=12, unique=True))
def test_lines_one_edit_apart_are_found(lines):
    from rapidfuzz.distance import OSA

    codes = np.frombuffer("".join(lines).encode("utf-32-le"), np.uint32)
    found = alike.pairs_one_edit_apart(codes, np.array([len(line) for line in lines]), crowd=len(lines))
    for one, a in enumerate(lines):
        for other in range(one + 1, len(lines)):
            if OSA.distance(a, lines[other]) == 1:
                assert (one, other) in found


NAMES = [
    a + b + c
    for a in ("ma", "jo", "ka", "li", "ro", "ne")
    for b in ("ri", "na", "le", "do")
    for c in ("a", "n", "el")
]


def kinds(line, lines):
    found = {one.line: one for one in search(Lines.of([*lines, line]), len(lines) + 1).suspects}
    return found[line]


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("Marian", "beginning", ""),
        ("ANAROS", "case", "all in capitals"),
        ("мария", "script", "Cyrillic letters"),
        ("marian,", "ending", "ends with ','"),
        ("mar1an", "digits", "digits among letters"),
        ("ma-rian", "marks", "has '-'"),
        ("lirio nadoel", "words", "2 words, most have 1"),
        ("n/a", "stand-in", "reads like a placeholder"),
        ("jo&amp;na", "markup", "&amp; as in HTML"),
        ("zoÃ«nel", "encoding", "read in a wrong encoding, it may be zoënel"),
        ("marinelodonakale", "length", "16 characters, most have 5 to 6"),
        ("rlknjd", "letters", "unlike the other lines"),
    ],
)
def test_a_line_is_suspected_first_and_for_the_right_reason(line, kind, says):
    found = search(Lines.of([*NAMES, line]), 5).suspects
    assert found[0].line == line
    assert any(says in reason.phrase for reason in found[0].reasons if reason.kind == kind or not says)


def test_a_header_is_one_only_in_the_first_line():
    first = search(Lines.of(["name", *NAMES]), 1).suspects[0]
    assert first.line == "name"
    assert any(one.phrase == "reads like a header" for one in first.reasons)
    later = search(Lines.of([*NAMES, "name"]), 80).suspects
    assert not any(reason.kind == "stand-in" for one in later for reason in one.reasons)


def test_a_line_that_is_almost_another_is_suspected_and_the_other_is_not():
    lines = [f"{a} {b} and sons" for a in ("miller", "carpenter", "wainwright", "fletcher") for b in NAMES[:20]]
    found = search(Lines.of([*lines, "carpenter marin adn sons"]), 80).suspects
    assert found[0].line == "carpenter marin adn sons"
    assert "almost 'carpenter marin and sons', with nd swapped" in {one.phrase for one in found[0].reasons}
    original = next((one for one in found if one.line == "carpenter marin and sons"), None)
    assert original is None or not any(reason.kind == "almost" for reason in original.reasons)


def test_a_slip_is_told_with_what_was_meant_although_that_is_not_in_the_list():
    lines = [f"{a} {b} and sons" for a in ("miller", "carpenter", "wainwright", "fletcher") for b in NAMES]
    lines.remove("fletcher lidon and sons")
    lines.remove("miller roria and sons")
    found = {
        one.line: one
        for one in search(Lines.of([*lines, "fletcher liodn and sons", "miiller roria and sons"]), 9).suspects
    }
    phrases = {reason.phrase for one in found.values() for reason in one.reasons if reason.kind == "slip"}
    assert "likelier as 'fletcher lidon and sons', with do swapped" in phrases
    assert "likelier as 'miller roria and sons', with i doubled" in phrases
    assert all(one.letters for one in found.values() if any(reason.kind == "slip" for reason in one.reasons))


@given(LISTS)
@settings(max_examples=30, deadline=None)
def test_what_was_meant_is_a_slip_away(lines):
    stream, size = encoded(lines)
    found = slips(lines, unseen(stream, size).nats + 3.0)
    for line, meant, told, nats, (start, stop) in zip(
        lines, found.meant, found.told, found.nats, found.places, strict=True
    ):
        if told.endswith("swapped"):
            assert sorted(meant) == sorted(line)
            assert {i for i, (a, b) in enumerate(zip(meant, line, strict=True)) if a != b} == {start, start + 1}
        elif told:
            assert 1 <= len(line) - len(meant) <= 2
            assert set(line[start:stop]) == {told[5]}
            assert stop - start == len(line) - len(meant) + 1
        else:
            assert (meant, nats) == ("", -np.inf)


def test_repeated_lines_are_told_with_how_often_they_stand_and_where_first():
    found = search(Lines.of([*NAMES, NAMES[3], NAMES[3]]), len(NAMES)).suspects
    (repeated,) = (one for one in found if one.times > 1)
    assert (repeated.line, repeated.place, repeated.times) == (NAMES[3], 3, 3)
    assert "stands 3 times" in {one.phrase for one in repeated.reasons}


def test_the_odd_letters_are_marked():
    found = search(Lines.of([*NAMES, "marqzxela"]), 1).suspects[0]
    assert found.line[found.start : found.start + len(found.letters)] == found.letters
    assert "qzx" in found.letters


def test_a_long_list_is_judged_in_parts(monkeypatch):
    monkeypatch.setattr("spellout.training.suspects.search.MOST_TOGETHER", 200)
    heard = []
    found = search(Lines.of([*NAMES, "qqqqqqqqxx"]), 3, heard.append)
    assert len(heard) > 1
    assert sum(heard) == len(NAMES) + 1
    assert found.together < len(NAMES)
    assert found.suspects[0].line == "qqqqqqqqxx"


@pytest.mark.parametrize(
    "lines", [["a", "b"], ["anna", "anna", "bob"], ["x" * 3000, "yes", "no"], ["1", "2", "ab c"]]
)
def test_tiny_lists_and_long_lines_are_judged(lines):
    found = search(Lines.of(lines), 10).suspects
    assert {one.line for one in found} == set(lines)
    assert all(np.isfinite(one.nats) for one in found)


def test_one_line_cannot_be_judged():
    with pytest.raises(DataError, match="only one different line"):
        search(Lines.of(["anna", "anna"]), 10)


def test_the_command_gives_numbers_of_the_file_and_reasons(command, tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n\n".join([*NAMES, "n/a"]) + "\n", "utf-8")
    code, out, err = command("suspects", str(path), "-n", "3")
    assert code == 0
    header, first, *rest = out.splitlines()
    assert header.split("\t") == ["number", "bits", "line", "letters", "why"]
    assert first.split("\t")[0] == str(2 * len(NAMES) + 1)
    assert first.split("\t")[2] == "n/a"
    assert len(rest) == 2
    assert f"{len(NAMES) + 1} different lines, each judged by all others" in err
    code, out, err = command("suspects", str(path), "-n", "1", "--json")
    told = json.loads(out)
    assert (told["line"], told["number"], told["times"]) == ("n/a", 2 * len(NAMES) + 1, 1)
    assert told["score"] > 10
    assert {"reason", "says", "score"} == set(told["why"][0])


def test_reasons_quote_no_more_than_the_beginning_of_a_long_line():
    long = "abcdefghij" * 30
    found = search(Lines.of([*NAMES, long, long + "q", "z" * 300]), 80).suspects
    phrases = [reason.phrase for one in found for reason in one.reasons]
    assert f"almost {long[:59] + '…'!r}" in " ".join(phrases)
    assert max(map(len, phrases)) < 150


def test_labels_stand_beside_the_lines_and_are_not_judged(command, tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("name,kind\n" + "".join(f"{name},f\n" for name in [*NAMES, "marqzxela"]), "utf-8")
    asked = "suspects", str(path), "--column", "name", "--label", "kind", "-n", "3"
    code, out, err = command(*asked)
    assert code == 0, err
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == ["number", "bits", "label", "line", "letters", "why"]
    assert {len(row) for row in rows} == {6}
    assert rows[0][2:4] == ["f", "marqzxela"]
    told = json.loads(command(*asked, "--json")[1].splitlines()[0])
    assert (told["label"], told["line"]) == ("f", "marqzxela")
    assert told["line"][told["start"] :].startswith(told["letters"])
    plain = json.loads(command("suspects", str(path), "--column", "name", "-n", "1", "--json")[1])
    assert plain == {name: value for name, value in told.items() if name != "label"}


def test_the_command_says_what_is_wrong_in_a_sentence(command, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("anna\n", "utf-8")
    code, out, err = command("suspects", str(path))
    assert (code, out) == (1, "")
    assert "only one different line" in err
    assert command("suspects", str(tmp_path / "none.txt"))[0] == 1
    assert command("suspects", str(path), "-n", "0")[0] == 2


def test_a_model_judges_lines_that_it_was_not_trained_on(monkeypatch):
    trained = []

    def remembered(job):
        trained.append(set(job.prepared.lines.distinct))
        return train_any(job)

    monkeypatch.setattr("spellout.training.suspects.folds.train_any", remembered)
    lines = [*NAMES, "rlknjd"]
    told = []
    nats = Folds(parse_specification("ngram:3"), TrainingConfig(), 3, told.append)(lines)
    assert (len(trained), told) == (3, [1.0] * 3)
    assert all(sum(line not in others for others in trained) == 1 for line in lines)
    assert len(nats) == sum(len(line) + 1 for line in lines)
    found = search(Lines.of(lines), 1, judge=lambda asked: nats).suspects
    assert found[0].line == "rlknjd"
    assert found[0].reasons[0].kind == "letters"


def test_the_command_trains_models_and_refuses_what_cannot_be(command, names_file):
    code, out, err = command("suspects", names_file, "--model", "ngram:3", "--folds", "2", "-n", "2")
    assert code == 0
    assert len(out.splitlines()) == 3
    for arguments, sentence in [
        (["--folds", "3"], "--folds 3 goes with --model"),
        (["--seconds", "3"], "--seconds 3.0 goes with --model"),
        (["--model", "mlp", "--seconds", "0"], "Must be > 0"),
        (["--model", "ngram:3", "--folds", "1"], "--folds 1: at least 2"),
        (["--model", "ngran"], "did you mean ngram?"),
    ]:
        code, out, err = command("suspects", names_file, *arguments)
        assert (code, out) == (2, "")
        assert sentence in err
    code, out, err = command("suspects", names_file, "--model", "ngram:3", "--folds", "1000000")
    assert code == 1
    assert "too few for 1000000 folds" in err


def test_the_page_about_suspects_runs(capsys):
    run_blocks(DOCS / "suspects.md", capsys, frozenset({"sh"}))
