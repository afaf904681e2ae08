"""Values typed on a command line: with hyphens, with line ends, and in an encoding that Python did not expect."""

import os
import unicodedata

import numpy as np
import pytest

from processes import in_shell
from spellout.app.cli import run_command
from spellout.data.typed import typed_line
from spellout.data.vocabulary.building import build_vocabulary
from spellout.errors import DataError, UsageError
from spellout.generation.config import SamplingConfig

DASHES = ["-", "--", "ab-c", "a-b"] * 5


@pytest.fixture
def dashes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dashes.txt").write_text("".join(f"{line}\n" for line in DASHES))
    assert run_command(["train", "dashes.txt", "-o", "run", "--model", "ngram:2"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("words", [["--prefix", "-"], ["--prefix=-"], ["--prefix", "-a"], ["--prefix=--"]])
def test_a_prefix_may_begin_with_a_hyphen(dashes, command, words):
    prefix = words[-1].removeprefix("--prefix=")
    for arguments in (["make", "dashes.txt", "--model", "ngram:2", "--no-novel"], ["sample", "run"]):
        code, out, err = command(*arguments, "-n", 2, *words)
        assert code == 0, err
        assert len(out.splitlines()) == 2
        assert all(line.startswith(prefix) for line in out.splitlines())


@pytest.mark.parametrize("words", [["-"], ["-ab"], ["-a", "--top", "2"], ["--", "--"], ["--", "-a"]])
def test_a_line_may_begin_with_a_hyphen(dashes, command, words):
    line = words[0] if words[0] != "--" else words[1]
    code, out, err = command("why", "run", *words)
    assert code == 0, err
    assert "".join(row.split("\t")[0] for row in out.splitlines()[1:]) == f"{line}¶"
    assert command("plot", "run", "--what", "surprise", "--line", line, "-o", "a.svg")[0] == (
        2 if line == "--" else 0
    )


def test_only_a_file_is_standard_input(dashes, monkeypatch):
    for arguments, code, out in (
        (["look", "-"], 0, b"lines"),
        (["score", "run", "-"], 0, b"bits/char"),
        (["make", "-", "--model", "ngram:1", "-n", "1", "--no-novel"], 0, b"a"),
        (["sample", "-"], 1, b"-: no such run folder; make one with: spellout train FILE -o -"),
        (["why", "-", "a"], 1, b"-: no such run folder; make one with: spellout train FILE -o -"),
        (["doctor", "-"], 1, b"-: no such run folder; make one with: spellout train FILE -o -"),
        (["compare", "-", "--models", "-"], 2, b"model '-': no such model"),
        (["train", "-", "-o", "-"], 2, b"-o -: only FILE may be a stream; name a file or a folder to write"),
        (["make", "--out=-"], 2, b"-o -: only FILE may be a stream; name a file or a folder to write"),
        (["draw", "a", "a=1", "-o", "-"], 2, b"-o -: only FILE may be a stream; name a file or a folder to write"),
        (["look", "--encoding", "-", "-"], 2, b"--encoding -: no such encoding"),
        (["make", "-", "-"], 2, b"- can be read once only"),
        (["make", "--temperature", "-"], 2, b'unable to convert "-" into float'),
        (["look", "--lines"], 2, b"Unknown option: --lines"),
    ):
        done = in_shell(arguments, stdin=b"a\na\nb\n")
        assert done[0] == code, done
        assert out in (done[2] if code else done[1]), done
        assert b"standard input" not in done[2] or arguments[0] in {"look", "make", "score"}
        assert b"\0" not in done[2]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_end_in_a_line_is_refused(dashes, command, end):
    sentence = "must be one line, without line ends in it"
    for arguments, what in (
        (["make", "--prefix", f"Mar{end}"], "--prefix"),
        (["make", "--prefix", f"Mar{end}y"], "--prefix"),
        (["make", "dashes.txt", "--unit", "word", "--prefix", f"a-b{end}a"], "--prefix"),
        (["sample", "run", "--prefix", f"{end}-"], "--prefix"),
        (["why", "run", f"a{end}b"], "the line"),
        (["plot", "run", "--what", "surprise", "--line", f"a{end}b", "-o", "a.svg"], "--line"),
    ):
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"spellout: {what} ")
        assert sentence in err


def test_a_prefix_that_no_line_can_have_is_refused_at_once(command, monkeypatch):
    monkeypatch.setattr("spellout.app.workflows.read", lambda *arguments: pytest.fail("the file was read first"))
    for prefix, why in ((" a", "never begin with white space"), ("a\0b", "one line"), ("a\udcff", "not text")):
        code, out, err = command("make", "--prefix", prefix)
        assert (code, out) == (2, "")
        assert why in err


@pytest.mark.parametrize("unit", ["char", "byte", "word"])
def test_a_vocabulary_makes_no_two_lines_of_one(unit):
    vocabulary = build_vocabulary(["ab", "b a"], unit)
    with pytest.raises(DataError, match=r"'b.na' is not one line"):
        vocabulary.encode(["ab", "b\na"])
    assert np.count_nonzero(vocabulary.encode(["ab", "b a"]) == 0) == 3


def test_what_the_locale_could_not_read_is_read_as_utf_8():
    assert typed_line(os.fsdecode("é".encode()), "x") == "é"
    assert typed_line(unicodedata.normalize("NFD", "é"), "x") == "é"
    for bad in ("a\udcff", "\ud800"):
        with pytest.raises(UsageError, match=r"x 'a?.*not text in UTF-8"):
            typed_line(bad, "x")
    assert SamplingConfig(prefix="e\u0301").prefix == "é"
