"""Of a list that is too large for the seconds, `make` learns from a part, and says so."""

import json
import re
from pathlib import Path

import pytest

from spellout.api import load_run, train
from spellout.app.commands import make
from spellout.generation import judge
from spellout.generation.judge import Judge


@pytest.fixture
def small(monkeypatch):
    """A budget that is too small for five hundred names."""
    monkeypatch.setattr(make, "TOKENS_A_SECOND", 100)
    monkeypatch.setattr(make, "FEWEST_TOKENS", 1000)


@pytest.mark.usefixtures("small")
def test_a_part_is_learned_from_and_no_line_of_the_file_made(command, names_file, tmp_path):
    code, out, err = command("make", names_file, "--seconds", 3, "-n", 200, "-o", tmp_path / "run")
    assert code == 0
    part = re.search(r"a part of the lines, (\d+) of 400, is what can be learned from in 3 seconds", err)
    assert part is not None
    assert 100 <= int(part[1]) < 200
    assert not set(out.split()) & set(Path(names_file).read_text("utf-8").split())
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert config["split"]["train"] == int(part[1])
    assert len(load_run(tmp_path / "run").lines) == int(part[1])
    code, out, err = command("make", names_file, "--model", "ngram:3", "--seconds", 3)
    assert "a part of the lines" not in err  # counting all takes no longer than that


def test_where_some_lines_stand_for_all_no_trie_of_all_is_built(prepared, monkeypatch):
    monkeypatch.setattr(judge, "MEANWHILE", 1 << 18)
    model = train(prepared, "ngram:3").run.model
    here, held = Judge(prepared), prepared.split.dev[:50]
    monkeypatch.setattr(Judge, "_trie", property(lambda self: pytest.fail("the trie of all lines")))
    judged = here.meanwhile(model, here.held_out(held))
    assert 0 < judged.new.mass < 1
