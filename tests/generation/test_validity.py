"""Judges of lines, functions and commands; the shares valid, unique and novel, against their definition."""

import json
import re
import signal
import sys
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.api import compare
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.generation.sampling import Sample
from spellout.generation.validity import commands, functions
from spellout.generation.validity.judged import judged
from spellout.generation.validity.shares import Tally, Training, shares_of
from spellout.generation.validity.validator import TRIED, trial, validator_of

MODULE = """
import math
import sys

class Grammar:
    @staticmethod
    def short(line):
        return len(line) < 4

short = Grammar.short
seven = 7

def sorted_letters(line):
    return "".join(sorted(line)) if len(line) < 4 else None

def number(line):
    print("asked", line)
    return int(line) * 0 + 1

def careless(line):
    return line[3] != "x"

def hangs(line):
    while line == "abc":
        try:
            math.factorial(3)
        except Exception:
            pass
    return True

def leaves(line):
    sys.exit(3)

def ambiguous(line):
    class Array:
        def __bool__(self):
            raise ValueError("more than one")
    return Array()
"""
FILTER = """
import sys
for line in sys.stdin:
    line = line.rstrip("\\n")
    print({answer})
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a module of functions, whose import leaves nothing behind."""
    (tmp_path / "judges_here.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "judges_here", raising=False)
    yield tmp_path
    sys.modules.pop("judges_here", None)


def filter_of(place, answer):
    """A command whose answer to `line` is an expression of Python."""
    (place / "judge.py").write_text(FILTER.format(answer=answer), encoding="utf-8")
    return f"'{sys.executable}' judge.py"


class Told:
    """A judge that knows the verdicts beforehand, and remembers how large the batches were."""

    name = "told"

    def __init__(self, verdict):
        self.verdict, self.batches = verdict, []

    def judge(self, lines):
        self.batches.append(len(lines))
        return [self.verdict(line) for line in lines]

    def remark(self):
        return None


@pytest.mark.parametrize(
    ("asked", "lines", "verdicts"),
    [
        ("judges_here:short", ["abc", "abcd"], ["abc", None]),
        ("judges_here:Grammar.short", ["abc", "abcd"], ["abc", None]),
        ("judges_here:sorted_letters", ["cba", "abcd"], ["abc", None]),
        ("judges_here:number", ["12", "x"], ["12", None]),
        ("judges_here:careless", ["abcd", "abcx", "ab"], ["abcd", None, None]),
        ("judges_here:ambiguous", ["ab"], [None]),
        ("json:loads", ['{"a": 1}', '{"a": 1', "[2]"], ['{"a": 1}', None, "[2]"]),
        ("datetime:date.fromisoformat", ["2024-02-29", "2023-02-29"], ["2024-02-29", None]),
    ],
)
def test_a_function_judges_by_what_it_returns_or_raises(place, capsys, asked, lines, verdicts):
    validator = validator_of(asked)
    assert validator.judge(lines) == verdicts
    assert capsys.readouterr().out == ""  # what it prints is not data
    odd = validator.remark()
    assert (odd is not None) == (asked == "judges_here:careless")
    if odd:
        assert odd == (
            "judges_here:careless raised an exception for 1 line, which counts as not valid; for 'ab', IndexError: "
            "string index out of range"
        )


@pytest.mark.parametrize(
    ("asked", "fragment"),
    [
        ("no_such_module:f", "there is no module 'no_such_module' in this folder, and none is installed"),
        ("judges_here:shirt", "judges_here has no 'shirt'; there is short"),
        ("judges_here:seven", "seven is no function, but int; name a function"),
        ("needing:f", "needing needs 'no_such_module', which is not installed"),
        ("failing:f", "failing cannot be imported, ZeroDivisionError: division by zero"),
        ("no_such_program --flag", "there is no program 'no_such_program'; name a command, or a function as"),
        ("", "name a command, or a function"),
        ("'open", "cannot be read as a command, no closing quotation"),
    ],
)
def test_a_judge_that_is_not_there_is_a_sentence(place, asked, fragment):
    (place / "needing.py").write_text("import no_such_module", encoding="utf-8")
    (place / "failing.py").write_text("1 / 0", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        validator_of(asked)
    assert fragment in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_function_that_ends_the_program_is_a_sentence(place):
    with pytest.raises(UsageError, match=r"--valid judges_here:leaves: for 'ab' the function ends the program"):
        validator_of("judges_here:leaves").judge(["ab"])
    (place / "ending.py").write_text("import sys; sys.exit(3)", encoding="utf-8")
    with pytest.raises(UsageError, match="ending cannot be imported, SystemExit: 3"):
        validator_of("ending:f")


@pytest.mark.parametrize(
    ("answer", "verdicts"),
    [
        ("int(len(line) < 4)", ["abc", None, "é ü"]),
        ("len(line) < 4", ["abc", None, "é ü"]),
        ("'Valid' if len(line) < 4 else 'invalid'", ["abc", None, "é ü"]),
        ("'1' if len(line) < 4 else ''", ["abc", None, "é ü"]),
        ("'1\\t' + line.upper() if len(line) < 4 else '0'", ["ABC", None, "É Ü"]),
    ],
)
def test_a_command_answers_each_line(place, monkeypatch, answer, verdicts):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    validator = validator_of(filter_of(place, answer))
    assert validator.judge(["abc", "abcd", "é ü"]) == verdicts
    assert validator.judge([]) == []
    assert validator.judge(["abcd"]) == [None]


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        ("1, end='' if line == 'b' else '\\n'", "wrote 2 lines for 3; it must write one line for each, 1 or 0"),
        ("'1\\n1'", "wrote 6 lines for 3; it must write one line for each, 1 or 0"),
        ("'', end=''", "wrote 0 lines for 3; it must write one line for each, 1 or 0"),
        ("line", "answered 'a' to 'a'; it must write one line for each, 1 or 0"),
        ("1 / 0", "failed with exit code 1: ZeroDivisionError: division by zero"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "was killed by signal 9"),
    ],
)
def test_a_command_that_does_not_answer_is_a_sentence(place, answer, fragment):
    with pytest.raises(UsageError) as refused:
        validator_of(filter_of(place, answer)).judge(["a", "b", "c"])
    assert str(refused.value).endswith(fragment)
    assert str(refused.value).startswith("--valid ")


def test_a_command_that_hangs_is_stopped(place, monkeypatch):
    monkeypatch.setattr(commands, "PATIENCE", 0.3)
    with pytest.raises(UsageError, match=r"did not end within \d seconds; it must end when its input does"):
        validator_of(filter_of(place, "__import__('time').sleep(100)")).judge(["a"])


def test_a_line_with_a_line_end_is_not_given_to_a_command(place):
    with pytest.raises(UsageError, match="has a line end in it, which a command would take for two lines"):
        validator_of(filter_of(place, "1")).judge(["a\nb"])
    assert validator_of("judges_here:short").judge(["a\nb"]) == ["a\nb"]


def test_a_list_is_tried_on_its_own_judge():
    good, bad = ["good"] * TRIED, ["bad"] * TRIED
    judge = Told(lambda line: line if line == "good" else None)
    assert trial(judge, good + bad) is None
    assert judge.batches == [TRIED]
    said = trial(judge, good[:3] + bad[:1])
    assert said == "--valid told: 1 of the first 4 lines of the list are not valid, such as 'bad'"
    with pytest.raises(UsageError, match="none of the first 100 lines of the list is valid, such as 'bad': mend"):
        trial(judge, bad + good)


def by_definition(lines, form, training):
    """Valid of all, unique of the valid, novel of the unique (Polykovskiy et al. 2020), on canonical forms."""
    valid = [form(line) for line in lines if form(line) is not None]
    known = {form(line) for line in training if form(line) is not None} | set(training)
    novel = sum(one not in known for one in set(valid))

    def share(part, whole):
        return None if whole == 0 else part / whole

    shares = share(len(valid), len(lines)), share(len(set(valid)), len(valid)), share(novel, len(set(valid)))
    at = {f"unique@{n}": len(set(valid[:n])) / n for n in (1000, 10_000) if len(valid) >= n}
    return shares, at


LINES = st.lists(st.text("aAbB", max_size=3), max_size=30)


@given(LINES, LINES, st.booleans())
def test_shares_are_those_of_the_definition(lines, training, canonical):
    def form(line):
        return None if len(line) > 2 else line.lower() if canonical else line

    judge = Told(form)
    shares = shares_of(lines, judge, Training(judge, training))
    expected, at = by_definition(lines, form, training)
    assert shares.shares == pytest.approx(expected)
    told = shares.to_json()
    assert (told["made"], told["valid"], told["unique"], told["novel"]) == (len(lines), *shares.shares)
    assert at == {}
    assert shares_of(lines, judge, None).shares[2] is None


def test_unique_is_told_at_a_thousand_and_ten_thousand_too():
    lines = [str(number % 1500) for number in range(12_000)]
    judge = Told(lambda line: None if line.endswith("7") else line)
    shares, at = by_definition(lines, judge.verdict, [])
    told = shares_of(lines, judge, Training(judge, [])).to_json()
    assert {name: told[name] for name in at} == pytest.approx(at)
    assert told["unique"] == shares[1]
    assert list(told) == ["made", "valid", "unique", "unique@1000", "unique@10000", "novel"]


def test_training_lines_are_known_as_they_stand_and_in_their_canonical_form():
    plain = Told(lambda line: line)
    assert shares_of(["a"], plain, Training(plain, ["b"])).novel == 1
    assert plain.batches == [1, 1]
    lower = Told(str.lower)
    assert shares_of(["A"], lower, Training(lower, ["a"])).novel == 0
    assert shares_of(["a"], lower, Training(lower, ["A"])).novel == 0
    assert shares_of(["B", "a"], lower, Training(lower, ["A"])).novel == 1


@given(
    st.lists(st.booleans(), max_size=400),
    st.integers(1, 300),
    st.booleans(),
    st.integers(1, 50),
)
def test_judged_lines_are_the_first_ones_in_their_order(valid, count, only, patience):
    made = [Sample(f"{number}{'+' if one else '-'}", True, number) for number, one in enumerate(valid)]
    judge, tally = Told(lambda line: line if line.endswith("+") else None), Tally(None)
    given_out = list(judged(iter(made), judge, tally, count, only=only, patience=patience))
    wanted = [one for one in made if one.text.endswith("+")] if only else made
    assert [one for one, _ in given_out] == wanted[: len(given_out)]
    assert all(verdict == (one.text if one.text.endswith("+") else None) for one, verdict in given_out)
    assert tally.made == sum(judge.batches)
    if len(given_out) < min(count, len(wanted)):
        assert only
        assert tally.in_vain >= patience
        assert not any(valid[tally.made - patience : tally.made])
    if not only:
        assert tally.made == min(count, len(made))


def test_few_batches_are_judged_and_not_many_lines_too_much():
    judge, tally = Told(lambda line: line if int(line) % 3 == 0 else None), Tally(None)
    made = (Sample(str(number), True, number) for number in range(1_000_000))
    assert sum(1 for _ in judged(made, judge, tally, 10_000, only=True)) == 10_000
    assert len(judge.batches) <= 7
    assert 30_000 - 3 < tally.made < 1.15 * 30_000


def rows(out):
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def run(place, command):
    """A run of words of which a model makes good and bad ones; the judge takes those that begin as they end."""
    lines = [first + middle + first for first in "abc" for middle in ("", "n", "nn", "na", "an", "nan", "ana")]
    (place / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    (place / "rounds.py").write_text("def ok(line):\n    return line[0] == line[-1]\n", encoding="utf-8")
    assert command("train", "list.txt", "-o", "run", "--model", "ngram:2", "--split", "none")[0] == 0
    return lines


def test_sample_says_which_lines_are_valid(command, run):
    code, out, err = command("sample", "run", "-n", 200, "--valid", "rounds:ok", "--json")
    *made, last = rows(out)
    assert code == 0
    assert [row["valid"] for row in made] == [row["line"][0] == row["line"][-1] for row in made]
    lines = [row["line"] for row in made]
    (valid, unique, novel), _ = by_definition(lines, lambda line: line if line[0] == line[-1] else None, run)
    assert last == {"shares": {"made": 200, "valid": valid, "unique": unique, "novel": novel}}
    assert (
        f"of 200 lines made {valid:.1%} are valid, of these {unique:.1%} unique, of these {novel:.1%} novel" in err
    )
    plain = command("sample", "run", "-n", 200)[1]
    assert plain.splitlines() == lines  # a judge changes nothing
    assert command("sample", "run", "-n", 200, "--valid", "rounds:ok")[1] == plain


def test_only_valid_lines_are_made_until_there_are_enough(command, run):
    code, out, err = command("sample", "run", "-n", 150, "--valid", "rounds:ok", "--only", "valid")
    every = command("sample", "run", "-n", 2000)[1].splitlines()
    assert code == 0
    assert out.splitlines() == list(islice((line for line in every if line[0] == line[-1]), 150))
    assert "% are valid" in err
    program = f"'{sys.executable}' -c \"import sys, rounds; [print(int(rounds.ok(l[:-1]))) for l in sys.stdin]\""
    assert command("sample", "run", "-n", 150, "--valid", program, "--only", "valid")[1] == out


def test_where_none_is_valid_no_more_are_tried(command, place, monkeypatch):
    (place / "list.txt").write_text("ab\nba\nabab\nbaba\n", encoding="utf-8")
    assert command("train", "list.txt", "-o", "run", "--model", "ngram:1", "--split", "none")[0] == 0
    (place / "listed.py").write_text("ok = {'ab', 'ba', 'abab', 'baba'}.__contains__", encoding="utf-8")
    monkeypatch.setattr("spellout.inference.making.PATIENCE", 300)
    code, out, err = command("sample", "run", "--valid", "listed:ok", "--only", "valid")
    assert (code, out) == (1, "")
    refusal = (
        r"stopped after 0 of 10 lines: none of the last [\d,]+ lines made is valid; see them without --only valid"
    )
    assert re.search(refusal, err)


def test_make_judges_lines_and_tries_the_list_before_the_training(command, run, monkeypatch):
    code, out, _ = command("make", "list.txt", "--model", "ngram:2", "--valid", "rounds:ok", "-n", 5, "--json")
    assert code == 0
    assert rows(out)[-1]["shares"]["made"] == 5
    monkeypatch.setattr("spellout.app.commands.make._train", lambda *_: pytest.fail("it was trained before"))
    for arguments, code, fragment in [
        (["--valid", "json:loads"], 2, "none of the first"),
        (["--valid", "json:load"], 2, "none of the first"),
        (["--valid", "nothing:there"], 2, "there is no module 'nothing'"),
        (["--only", "valid"], 2, "--only valid: say what judges lines, with --valid"),
    ]:
        told = command("make", "list.txt", *arguments)
        assert told[0] == code
        assert fragment in told[2]


def test_models_are_compared_by_a_judge_from_python(place):
    prepared = Prepared.of(Lines.of(["aba", "abba", "bab", "baab"] * 5), DataConfig(split="lecture"))
    (row,) = compare(prepared, ["ngram:2"], valid="judges_here:short")
    assert row.validity["made"] == 1000
    assert 0 < row.validity["valid"] < 1


def test_compare_has_a_column_of_valid_lines(command, run):
    code, out, _ = command(
        "compare", "list.txt", "--models", "ngram:1:shape=no,ngram:2:shape=no", "--valid", "rounds:ok", "--json"
    )
    assert code == 0
    told = rows(out)[0]["validity"]
    assert told["made"] == 1000
    assert 0 < told["valid"] < 1
    assert rows(out)[1]["validity"]["valid"] > told["valid"]  # of a model that sees a letter
    plain = rows(command("compare", "list.txt", "--models", "ngram:1:shape=no,ngram:2:shape=no", "--json")[1])
    assert [row["validity"] for row in plain] == [None] * len(plain)
    assert [row["unique"] for row in plain] == [row["unique"] for row in rows(out)]
    _, out, err = command(
        "compare", "list.txt", "--models", "ngram:1:shape=no,ngram:2:shape=no", "--valid", "rounds:ok"
    )
    head, first, *_ = [line.split("\t") for line in out.splitlines()]
    place = head.index("valid")
    assert head[place : head.index("seconds")] == ["valid", "unique", "novel"]
    assert first[place : place + 3] == [f"{told[name]:.1%}" for name in ("valid", "unique", "novel")]
    assert "valid: of 1,000 lines that the model makes as it is" in err


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no alarm clock")
def test_a_function_that_hangs_is_stopped(place, monkeypatch):
    monkeypatch.setattr(functions, "PATIENCE", 0.2)
    hangs = validator_of("judges_here:hangs")
    with pytest.raises(UsageError, match=r"was not done with 'abc' in 0\.2 seconds"):
        hangs.judge(["ab", "abc"])
    assert hangs.judge(["ab"]) == ["ab"]
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


class Counting:
    """A judge that writes lines in small letters if it is asked to, and counts them."""

    name = "counting"

    def __init__(self, write):
        self.write, self.asked = write, 0

    def judge(self, lines):
        self.asked += len(lines)
        return [self.write(line) for line in lines]

    def remark(self):
        return None


@pytest.mark.parametrize(
    ("write", "made", "all_judged"),
    [(str, "new", False), (str.lower, "NEW", True), (str.lower, "new", True), (lambda line: None, "new", False)],
)
def test_training_lines_are_judged_where_they_may_have_other_forms(write, made, all_judged):
    training = [f"Line {number}" for number in range(5_000)]
    judge = Counting(write)
    found = shares_of([made, "line 4999"], judge, Training(judge, training))
    assert judge.asked == 2 + (5_000 if made == "NEW" else 6_000 if all_judged else 1_000)
    assert found.novel == (0 if write("a") is None else 1 if all_judged else 2)
