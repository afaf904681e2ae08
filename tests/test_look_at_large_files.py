"""`look` at a large file reads pieces of it that are spread evenly, and says so."""

import json
import random
from pathlib import Path

import pytest

from spellout.app import excerpt as module
from spellout.app.excerpt import excerpt


@pytest.fixture
def small(monkeypatch):
    """What is large, and a piece, for small files."""
    monkeypatch.setattr(module, "LARGE", 5_000)
    monkeypatch.setattr(module, "PIECES", 4)
    monkeypatch.setattr(module, "PIECE", 500)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {number:05}é\n" for number in range(1000)), encoding="utf-8")
    return str(path)


@pytest.mark.usefixtures("small")
def test_pieces_are_whole_lines_from_everywhere(file):
    with excerpt(file, None) as some:
        lines = Path(some.path).read_text("utf-8").splitlines()
    assert 4 * 500 - 8 * 14 <= some.taken <= 4 * 500
    assert all(line in {f"line {number:05}é" for number in range(1000)} for line in lines)
    assert (lines[0], lines[-1]) == ("line 00000é", "line 00999é")
    numbers = [int(line[5:10]) for line in lines]
    assert numbers == sorted(set(numbers))
    assert [sum(number // 250 == part for number in numbers) > 20 for part in range(4)] == [True] * 4
    assert f"{some.taken / some.size:.1%}" in str(some)


@pytest.mark.usefixtures("small")
def test_what_is_small_or_no_plain_text_is_read_whole(file, tmp_path):
    for path, encoding in ((None, None), ("-", None), (str(tmp_path / "none"), None), (file, "utf-16-le")):
        with excerpt(path, encoding) as some:
            assert some is None
    (tmp_path / "packed").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "short.txt").write_text("a\nb\n")
    for name in ("packed", "short.txt"):
        with excerpt(str(tmp_path / name), None) as some:
            assert some is None


@pytest.mark.usefixtures("small")
def test_look_says_what_it_sampled(command, tmp_path):
    path, letters = tmp_path / "names.txt", random.Random(1)
    path.write_text("".join("".join(letters.choices("abcde", k=6)) + "\n" for _ in range(2000)))
    code, _, err = command("look", path)
    assert code == 0
    assert f"{path} is large: 4 pieces of the file, spread evenly" in err
    assert "all that follows is of these" in err
    row = json.loads(command("look", path, "--json")[1])
    assert row["file"] == str(path)
    assert row["sampled"]["of"] == 14_000
    assert row["characters"] + row["lines"] == row["sampled"]["bytes"]
    path.write_bytes(path.read_bytes()[:-3] + b"\xff\n")
    assert f"{path} is not UTF-8: line 2000, byte 5 is 0xFF" in command("look", path)[2]
    path.write_text("anna\nbob\n" * 20)
    assert json.loads(command("look", path, "--json")[1])["sampled"] is None
