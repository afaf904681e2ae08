"""Things of several lines by words: a line end is a word by itself, and one letter of what is asked or judged."""

import json

import pytest

from spellout.data.sources.config import line_ends_apart, line_ends_close
from spellout.data.vocabulary.building import build_vocabulary
from spellout.errors import SpelloutError
from spellout.generation.asked.config import Asked
from spellout.generation.asked.wish import Wish

THINGS = [
    "a frog\nleaps in\nthe dark",
    "the frog\nis in\na day",
    "a day\nis over\nthe frog",
    "the day\nleaps\nin dark",
]


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "things.txt").write_text("\n\n".join(THINGS) + "\n", encoding="utf-8")
    arguments = ["--separator", "blank", "--unit", "word", "--model", "ngram:2:shape=no", "--split", "none"]
    assert command("train", "things.txt", "-o", "run", *arguments)[0] == 0
    return "run"


def rows(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_line_end_is_a_word_whatever_stands_around_it():
    vocabulary = build_vocabulary(["a frog ␤ leaps"], "word")
    for line in ("a frog␤leaps", "a frog ␤ leaps", "a frog␤ leaps"):
        assert vocabulary.pieces(line) == ["a", "frog", "␤", "leaps"]
        assert (line_ends_apart(line, " "), line_ends_close(line, " ")) == ("a frog ␤ leaps", "a frog␤leaps")
        assert line_ends_apart(line, "") == line_ends_close(line, "") == line


def test_given_lines_are_read_as_training_lines_were(command, run):
    code, out, err = command("score", run, "things.txt", "--separator", "blank", "--json")
    assert code == 0, err
    assert all(row["known"] and not row["unknown"] and row["symbols"].count("␤") == 2 for row in rows(out))
    steps = rows(command("why", run, "a frog␤leaps in␤the dark", "--json")[1])
    assert [step["symbol"] for step in steps] == ["a", "frog", "␤", "leaps", "in", "␤", "the", "dark", "¶"]
    assert all(step["known"] and not step["new"] for step in steps)
    made = rows(command("sample", run, "-n", 5, "--prefix", "a frog␤leaps", "--json")[1])
    assert [row["line"].startswith("a frog\nleaps") for row in made] == [True] * 5


@pytest.mark.parametrize(
    ("wishes", "so"),
    [
        (("--contains", "frog␤is"), lambda line: "frog\nis" in line),
        (("--contains", "frog ␤ is"), lambda line: "frog\nis" in line),
        (("--ends", "␤the day"), lambda line: line.endswith("\nthe day")),
        (("--length", "20"), lambda line: len(line) == 20),
        (("--matches", r"\w+ \w+␤.*"), lambda line: "\n" in line and line.split("\n")[0].count(" ") == 1),
    ],
)
def test_what_is_asked_is_of_what_is_printed(command, run, wishes, so):
    code, out, err = command("sample", run, "-n", 10, "--json", *wishes)
    assert code == 0, err
    assert [so(row["line"]) for row in rows(out)] == [True] * 10


@pytest.mark.parametrize(
    "wishes", [{"length": "3-5"}, {"contains": "b␤a"}, {"ends": "␤a"}, {"matches": "(a|a ␤|b␤)*b?"}]
)
def test_the_automaton_of_words_takes_what_is_so_and_nothing_else(wishes):
    vocabulary = build_vocabulary(["a ␤ b", "b a ␤ ␤ a"], "word")
    lines = [[]]
    for _ in range(4):
        lines += [[*line, word] for line in lines for word in "ab␤"]
    lines = {" ".join(line) for line in lines if line}
    try:
        wish = Wish.of(Asked(**wishes), vocabulary, [])
    except SpelloutError as error:
        pytest.fail(str(error))
    taken = {line for line in lines if wish.automaton.accepts[wish.automaton.walk(vocabulary.encode([line])[1:-1])]}
    assert taken == {line for line in lines if wish.is_so(line)}
    assert taken


def test_judges_and_the_nearest_line_are_as_by_characters(command, run, tmp_path):
    (tmp_path / "judge_of_things.py").write_text(
        "def ok(line):\n    return ' ␤' not in line and '␤ ' not in line\n"
    )
    code, out, err = command(
        "sample", run, "-n", 30, "--json", "--nearest", "--as-it-is", "--valid", "judge_of_things:ok"
    )
    assert code == 0, err
    *made, last = rows(out)
    assert "of the list are not valid" not in err
    assert last["shares"]["valid"] == 1
    assert {row["nearest"] for row in made} <= set(THINGS)
    from rapidfuzz.distance import Levenshtein

    assert all(row["distance"] == Levenshtein.distance(row["line"], row["nearest"]) for row in made)
