"""Lines that are made are new by construction: as likely as if the known ones were refused, and none is refused."""

import json
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import _weights, sample

LETTERS, LONGEST = "ab", 4
EVERY_LINE = ["".join(line) for size in range(1, LONGEST + 1) for line in product(LETTERS, repeat=size)]
CONFIGS = [
    {},
    {"temperature": 0.4},
    {"temperature": 3.0},
    {"top_k": 2},
    {"top_p": 0.7},
    {"prefix": "ab"},
    {"greedy": True},
]


def run_of(lines, specification="ngram:3", **config):
    return train(Prepared.of(Lines.of(lines), DataConfig(split="none", **config)), specification).run


def chance(model, run, line, config=SamplingConfig()):
    """The probability with which `sample` draws a line, from the weights of its letters; blank lines never."""
    stream = run.vocabulary.encode([line])[None].astype(np.int64)
    rows = np.array(model.log_probabilities(stream[:, :-1])[0])
    rows[0, 0] = -np.inf
    weights = _weights(rows, config)
    return float((weights[range(len(rows)), stream[0, 1:]] / weights.sum(axis=1)).prod())


@given(st.lists(st.sampled_from(EVERY_LINE), min_size=2, max_size=12).filter(lambda lines: len(set(lines)) > 1))
def test_at_temperature_1_every_line_is_as_likely_as_if_known_ones_were_refused(lines):
    run = run_of(lines)
    model, known = run.new_lines(), set(lines)
    as_sharp = model.model  # as sharp as held-out lines say, of so few as it is
    accepted = 1.0 - sum(chance(as_sharp, run, line) for line in known)
    for line in {*EVERY_LINE, *(line + "abab" for line in lines)}:
        if set(line) <= set("".join(lines)):
            expected = 0.0 if line in known else chance(as_sharp, run, line) / accepted
            assert chance(model, run, line) == pytest.approx(expected, rel=1e-9)


@given(
    st.lists(st.sampled_from(EVERY_LINE), min_size=2, max_size=12).filter(lambda lines: len(set(lines)) > 1),
    st.sampled_from(CONFIGS),
    st.integers(0, 99),
)
@settings(max_examples=50)
def test_no_training_line_is_made_and_none_has_to_be_refused(lines, config, seed):
    run = run_of([*lines, "ab"])
    model, asked = run.new_lines(), []
    made = sample(
        model,
        run.vocabulary,
        SamplingConfig(seed=seed, max_length=30, **config),
        cut=lambda one: False,
        accept=lambda line: asked.append(line) is None,
        patience=200,
    )
    found = [one.text for one in islice(made, 50)]
    assert found == asked
    assert not set(found) & {*lines, "ab"}
    assert all(line.startswith(config.get("prefix", "")) for line in found)


def test_the_same_seed_gives_the_same_new_lines_whatever_the_batch(names):
    run = run_of(names.distinct, "ngram:4")
    model = run.new_lines()

    def lines(count, **more):
        made = sample(model, run.vocabulary, SamplingConfig(seed=5, max_length=20), **more)
        return [one.text for one in islice(made, count)]

    first = lines(300)
    for batch in (1, 7, 1000):
        assert lines(300, batch=batch) == first
    assert lines(20) == first[:20]
    assert not set(first) & set(names.distinct)


def test_greedy_is_the_likeliest_new_line_letter_by_letter(names):
    run = run_of(names.distinct, "ngram:5")
    model = run.new_lines()
    config = SamplingConfig(greedy=True, max_length=30)
    (line,) = [one.text for one in sample(model, run.vocabulary, config)]
    (plain,) = [one.text for one in sample(run.model, run.vocabulary, config)]
    assert plain in names.distinct  # so that there is something to leave out
    assert line not in names.distinct
    stream = run.vocabulary.encode([line])
    logs = model.log_probabilities(stream[None, :-1])[0]
    logs[0, 0] = -np.inf
    assert logs.argmax(axis=1).tolist() == stream[1:].tolist()


@pytest.fixture
def folder(command, names_file, tmp_path):
    assert command("train", names_file, "-o", tmp_path / "run", "--model", "ngram:5")[0] == 0
    return tmp_path / "run"


def test_both_commands_make_new_lines_unless_they_are_asked_not_to(command, folder, names_file):
    known, all_lines = set(load_run(folder).lines), set(Path(names_file).read_text("utf-8").split())
    code, out, err = command("sample", folder, "-n", 300)
    assert code == 0
    assert not set(out.split()) & known
    assert set(out.split()) & all_lines  # of those that judge: the model has not learned them
    assert "new lines only: as it is, the model would repeat a line it has learned" in err
    assert command("sample", folder, "-n", 300, "--novel")[1] == out
    share = float(err.split(" of the time")[0].split()[-1].removesuffix("%")) / 100
    code, out, err = command("sample", folder, "-n", 2000, "--as-it-is")
    assert (code, "new lines only" in err) == (0, False)
    assert sum(line in known for line in out.split()) / 2000 == pytest.approx(share, abs=0.05)

    make = "make", names_file, "--model", "ngram:5", "-n", 300
    code, out, err = command(*make)
    assert code == 0
    assert not set(out.split()) & all_lines
    assert "new lines only: as it is" in err
    code, out, err = command(*make, "--as-it-is")
    assert set(out.split()) & all_lines
    assert "new lines only" not in err
    assert command(*make, "--no-novel")[1] == out


def test_greedy_says_if_the_likeliest_new_line_was_kept_back_to_judge(command, tmp_path):
    path = tmp_path / "lines.txt"
    lines = [a + b for a in "abcd" for b in "abcd"]
    path.write_text("".join(f"{line}\n" for line in lines))
    code, out, err = command("make", path, "--model", "ngram:2", "--greedy")
    assert code == 0
    said = "the list holds this line too, though the model did not learn from it" in err
    assert said == (out.strip() in lines)
    assert command("make", path, "--model", "ngram:2", "--greedy", "--as-it-is")[2].count("list holds") == 0


def test_a_model_that_makes_nothing_new_is_one_sentence(command, folder, monkeypatch):
    (folder / "new.safetensors").unlink()  # what is known from the training
    monkeypatch.setattr("spellout.models.new_lines.known.Known.ratios", lambda self, ends, new: np.array([-np.inf]))
    code, out, err = command("sample", folder)
    assert (code, out) == (1, "")
    assert "the model makes no line that it has not learned from" in err
    assert "--as-it-is makes those" in err
    assert command("sample", folder, "--as-it-is")[0] == 0


def test_a_prefix_without_new_lines_is_one_sentence(command, folder, monkeypatch):
    monkeypatch.setattr("spellout.models.new_lines.model.Weighted.can_begin", lambda self, tokens: False)
    code, out, err = command("sample", folder, "--prefix", "Em")
    assert (code, out) == (1, "")
    assert "--prefix Em: every line that the model makes from there is in its list, so none is new" in err


def test_where_asking_about_the_list_is_too_much_work_lines_of_it_are_refused(
    command, folder, names_file, monkeypatch
):
    known = load_run(folder).lines
    (folder / "new.safetensors").unlink()
    monkeypatch.setattr("spellout.generation.judge.COUNTED", 0)
    code, out, err = command("sample", folder, "-n", 300)
    assert code == 0
    assert not set(out.split()) & set(known)
    assert "new lines only: as it is, the model would repeat" in err
    rows = [json.loads(line) for line in command("score", folder, names_file, "--json")[1].splitlines()]
    assert {row["known"] for row in rows} == {True, False}
    assert {row["new_log_probability"] for row in rows} == {None}
    code, out, err = command("make", names_file, "--model", "ngram:5", "--greedy")
    assert (code, len(out.split())) == (0, 1)


def test_runs_without_their_lines_say_so(command, names_file, tmp_path):
    assert command("train", names_file, "-o", tmp_path / "run", "--stream", "--order", 4)[0] == 0
    code, out, err = command("sample", tmp_path / "run")
    assert (code, len(out.splitlines())) == (0, 10)
    assert "keeps no training lines, as after --stream, so lines that it has learned come too" in err
    assert command("sample", tmp_path / "run", "--as-it-is")[:2] == (0, out)
    code, out, err = command("score", tmp_path / "run", names_file, "--json")
    assert "known" not in json.loads(out.splitlines()[0])
    assert command("score", tmp_path / "run", names_file)[1].splitlines()[0].count("as new") == 0
    assert json.loads(command("why", tmp_path / "run", "Em", "--json")[1].splitlines()[0])["known"] is None


def test_score_and_why_give_both_figures_of_new_lines_and_know_the_others(command, folder, tmp_path):
    known = load_run(folder).lines[0]
    path = tmp_path / "some.txt"
    path.write_text(f"{known}\nZenobria\n")
    rows = [json.loads(line) for line in command("score", folder, path, "--json")[1].splitlines()]
    assert [row["known"] for row in rows] == [True, False]
    assert rows[0]["new_log_probability"] is None
    assert rows[1]["new_log_probability"] > rows[1]["log_probability"]
    assert rows[1]["new_bits_per_char"] < rows[1]["bits_per_char"]
    _, out, err = command("score", folder, path)
    table = [line.split("\t") for line in out.splitlines()]
    assert table[0] == ["bits/char", "ln p", "line", "most surprising", "as new"]
    assert [row[4] for row in table[1:]] == ["in the list", f"{rows[1]['new_bits_per_char']:.3f}"]
    assert "1 of 2 lines are in the list that the model learned from" in err

    steps = [json.loads(line) for line in command("why", folder, "Zenobria", "--json")[1].splitlines()]
    assert sum(np.log(step["new_probability"]) for step in steps) == pytest.approx(rows[1]["new_log_probability"])
    assert {step["known"] for step in steps} == {False}
    _, out, err = command("why", folder, "Zenobria")
    assert out.splitlines()[0].split("\t")[:3] == ["letter", "chance", "as new"]
    assert f"as a new line {-rows[1]['new_log_probability'] / np.log(2):.2f} in all" in err
    steps = [json.loads(line) for line in command("why", folder, known, "--json")[1].splitlines()]
    assert {(step["known"], step["new_probability"]) for step in steps} == {(True, None)}
    _, out, err = command("why", folder, known)
    assert "as new" not in out
    assert "this line is in the list that the model learned from: as a new one it has no chance" in err


def test_unknown_words_and_repeats_and_other_units(command, tmp_path):
    path = tmp_path / "towns.txt"
    towns = [f"{a} {b}" for a in ("New", "Old", "Big", "Far") for b in ("York", "Delhi", "Ely", "Bow")]
    path.write_text("".join(f"{town}\n" for town in [*towns, *towns[:5], "Rare York", "Odd York"]))
    for flags in (["--unit", "word", "--min-count", 2], ["--unit", "byte"], ["--split", "none"], []):
        code, out, err = command("make", path, "--model", "ngram:2", "-n", 3, "--no-unique", *flags)
        assert (code, len(out.splitlines())) == (0, 3), err
        assert not set(out.splitlines()) & {*towns, "Rare York", "Odd York"}
        assert "<unknown>" not in out
