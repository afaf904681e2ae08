"""Lines cut at the length limit are not passed off as whole ones, and lists with a few long lines are continued."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import unique_and_novel
from spellout.generation.sampling import cost_of_cut, sample
from spellout.models.ngram.config import NgramConfig
from spellout.training.runs.run import save_run
from spellout.training.streaming import train_streaming

LIMIT = 12
"""Of `short`: twice the usual length and ten more."""


@pytest.fixture(scope="module")
def short():
    """A run of lines of one letter."""
    return train(Prepared.of(Lines.of(["a", "b"] * 10), DataConfig(split="none")), "ngram:1:smoothing=add-k").run


@pytest.fixture
def folder(short, tmp_path, monkeypatch):
    """Where that run seems to be, with a model that ends a line with a chance of one in ten."""
    chances = np.array([0.1, 0.45, 0.45])
    monkeypatch.setattr(short.model, "_distributions", lambda contexts: np.tile(chances, (len(contexts[0]), 1)))
    monkeypatch.setattr("spellout.training.runs.run.read_run", lambda path, models: short)
    return tmp_path


class Endless:
    """Never ends a line."""

    vocabulary_size, context, parameters = 3, 1, 0

    def reader(self, lines):
        return self

    def read(self, tokens):
        return np.log(np.tile([1e-300, 0.5, 0.5], (len(tokens), 1)))

    def keep(self, rows):
        pass


def test_cut_lines_are_left_out_and_others_are_made(folder, short, command):
    assert short.length_limit == LIMIT
    code, out, err = command("sample", folder, "-n", 200, "--as-it-is")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 200)
    candidates = list(zip(range(5000), sample(short.model, short.vocabulary, SamplingConfig()), strict=False))
    whole = [one.text for _, one in candidates if len(one.text) <= LIMIT][:200]
    assert lines == whole
    last = [number for number, one in candidates if len(one.text) <= LIMIT][199]
    assert f"left out {last + 1 - 200:,} lines that did not end within 12 characters, made others" in err
    assert 50 < last + 1 - 200 < 200


def test_a_limit_that_was_asked_for_marks_what_it_cut(folder, command, monkeypatch):
    code, out, err = command("sample", folder, "-n", 50, "--max-length", 5, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    cut = [row for row in rows if not row["complete"]]
    assert code == 0
    assert 0 < len(cut) < 50
    assert all(len(row["line"]) == 5 for row in cut)
    assert any(len(row["line"]) == 5 for row in rows if row["complete"])  # and there it ended
    assert f"cut at 5 characters: {len(cut)} of 50 lines, which --json marks" in err
    near = command("sample", folder, "-n", 50, "--max-length", 5, "--nearest")[1].splitlines()
    assert [line.split("\t")[0] for line in near] == [row["line"] for row in rows]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = command("sample", folder, "-n", 50, "--max-length", 5)[1].splitlines()
    assert [line.endswith("…") for line in shown] == [not row["complete"] for row in rows]


def test_a_model_that_never_ends_a_line_is_explained(folder, short, command, monkeypatch):
    monkeypatch.setattr("spellout.training.runs.run.read_run", lambda path, models: replace(short, model=Endless()))
    code, out, err = command("sample", folder)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(
        "spellout: stopped after 0 of 10 lines: of the last tries, 10,000 did not end within 12 char"
    )
    code, out, _ = command("sample", folder, "-n", 3, "--max-length", 4)
    assert [len(line) for line in out.splitlines()] == [4, 4, 4]
    code, out, err = command("sample", folder, "--greedy")
    assert (code, out.splitlines()) == (0, ["a" * LIMIT])  # the likeliest line, as far as the limit
    assert "cut at 12 characters: 1 of 1 lines" in err
    assert unique_and_novel(Endless(), short.vocabulary, ["a", "b"]) == (0.0, 0.0)


def test_a_refused_line_is_refused_for_its_length_first_and_long_ones_tire_sooner():
    vocabulary = Prepared.of(Lines.of(["a", "b"]), DataConfig()).vocabulary
    for limit, tries in [(10, 1000), (400, 334), (2000, 91)]:
        seen = []

        def cut(one, seen=seen):
            seen.append(one)
            return False

        config = SamplingConfig(max_length=limit)
        assert list(sample(Endless(), vocabulary, config, cut=cut, accept=lambda line: 1 / 0, patience=1000)) == []
        assert len(seen) == tries == -(-1000 // cost_of_cut(limit))


def test_a_list_with_a_few_very_long_lines_can_be_continued(tmp_path, command):
    """One line in 200 is fifty times as long as the others: so is about one in 200 of those made."""
    lines = [f"{letter}{other}" for letter in "abcdefghij" for other in "klmnopqrst"] * 2
    lines += ["z" + "yx" * 60]
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    run = train(Prepared.of(Lines.of(lines), DataConfig(split="none")), "ngram:4").run
    assert (run.usual_length, run.length_limit) == (2, 121)
    save_run(run, tmp_path / "run")
    code, out, _ = command("sample", tmp_path / "run", "-n", 2000)
    made = out.splitlines()
    assert code == 0
    assert any(len(line) > 60 for line in made)  # cut at 14 characters, there were none
    streamed = train_streaming(path, NgramConfig(order=4)).run
    assert (streamed.usual_length, streamed.length_limit) == (2, 121)


def test_a_long_prefix_has_room_for_an_ending(tmp_path, command):
    path = tmp_path / "lines.txt"
    path.write_text("ab\nba\naba\nbab\n" * 5)
    code, out, _ = command("make", path, "--model", "ngram", "--prefix", "ab" * 20, "-n", 3)
    assert (code, [line[:40] for line in out.splitlines()]) == (0, ["ab" * 20] * 3)


def test_lines_longer_than_any_that_is_made_unasked_are_warned_of(tmp_path, command, monkeypatch):
    monkeypatch.setattr("spellout.inference.wanted.LONGEST_MADE", 20)
    path, run = tmp_path / "long.txt", tmp_path / "run"
    path.write_text("".join(f"{'ab' * 11}{first}{second}\n" for first in "abcd" for second in "abcd"))
    said = "the lines are of up to 24 characters, and what does not end within 20 is left out"
    made = command("make", path, "--model", "ngram:3", "--as-it-is", "-n", 1, "--out", run)
    for _, _, err in (made, command("sample", run, "--as-it-is", "-n", 1)):
        assert said in err
    for more in (["--max-length", 30], ["--greedy"]):
        assert said not in command("sample", run, "--as-it-is", "-n", 1, *more)[2]
    path.write_text("".join(f"a{first}{second}\n" for first in "abcd" for second in "abcd"))
    assert "the lines are of up to" not in command("make", path, "--model", "ngram:3", "--as-it-is", "-n", 1)[2]
