"""What is asked of `make` and `sample` on the command line, and what they say of it."""

import json
import re
from pathlib import Path
from statistics import linear_regression

import pytest

from spellout.generation.asked.best import choose


@pytest.fixture
def run_folder(command, names_file, tmp_path):
    folder = tmp_path / "run"
    assert command("train", names_file, "-o", folder, "--model", "ngram", "--order", 4)[0] == 0
    return folder


def test_lines_are_as_was_asked_new_and_the_same_again(command, names_file):
    arguments = (
        "make",
        names_file,
        "--model",
        "ngram:4",
        "-n",
        30,
        "--length",
        "5-7",
        "--ends",
        "a",
        "--contains",
        "l",
    )
    code, out, err = command(*arguments)
    lines = out.splitlines()
    assert code == 0, err
    assert len(set(lines)) == 30
    assert all(5 <= len(line) <= 7 and line.endswith("a") and "l" in line for line in lines)
    assert not set(lines) & set(Path(names_file).read_text("utf-8").split())
    assert re.search(r"one in [\d,]+ of the model's lines is new and so: --length 5-7 --ends a --contains l\n", err)
    assert command(*arguments[:5], 10, *arguments[6:])[1].splitlines() == lines[:10]


def test_what_cannot_be_is_said_before_anything_is_trained(command, names_file, monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("trained")

    monkeypatch.setattr("spellout.app.commands.make._train", never)
    for wishes, sentence in [
        (("--ends", "9"), "'9' is in none of the lines"),
        (("--length", "99"), "the longest line has"),
        (("--matches", "(a)\\1"), "has a group come again"),
        (("--prefix", "An", "--matches", "B.*"), "no line that begins so can be so"),
        (("--length", "7-5"), "no line is at least 7 and at most 5 long"),
        (("--avoid", "nowhere.txt"), "no such file"),
        (("--best-of", "5"), "must be more than the 10 lines"),
        (("--length", "7-", "--max-length", "5"), "--max-length 5 cuts it"),
        (("--matches", "["), "not a regular expression"),
    ]:
        code, out, err = command("make", names_file, *wishes)
        assert (code, out) == (2 if wishes[-1] != "9" and "nowhere" not in wishes[-1] else 1, "")
        assert sentence in err
        assert err.count("spellout: ") == 1


def test_lines_to_avoid_are_not_made(command, run_folder, tmp_path):
    made = command("sample", run_folder, "-n", 40, "--unique")[1].splitlines()
    file = tmp_path / "avoid.txt"
    file.write_text("".join(f" {line}\n" for line in made[::2]), encoding="utf-8")
    others = command("sample", run_folder, "-n", 20, "--unique", "--avoid", file)[1].splitlines()
    assert others == made[1::2]
    # with a pattern they are no lines of the model at all
    some = [line for line in made if len(line) == 5]
    file.write_text("\n".join(some), encoding="utf-8")
    others = command("sample", run_folder, "-n", 200, "--length", 5, "--avoid", file)[1].splitlines()
    assert len(others) == 200
    assert not set(others) & set(some)


def test_lines_are_written_as_was_asked(command, run_folder):
    made = command("sample", run_folder, "-n", 20)[1]
    assert command("sample", run_folder, "-n", 20, "--case", "upper")[1] == made.upper()
    assert (
        command("sample", run_folder, "-n", 5, "--case", "upper", "--ends", "NA", "--json")[1].count(
            'NA", "complete"'
        )
        == 5
    )
    code, out, err = command("sample", run_folder, "-n", 5, "--case", "upper", "--ends", "na")
    assert (code, out) == (1, "")
    assert "these lines know --ends NA" in err


def test_a_pattern_of_which_every_line_is_known_makes_none(command, run_folder, names_file):
    line = Path(names_file).read_text("utf-8").split()[0]
    code, out, err = command("sample", run_folder, "--matches", line)
    assert (code, out) == (1, "")
    assert "every line that is so is in the list" in err
    code, out, _ = command("sample", run_folder, "-n", 1, "--matches", line, "--as-it-is")
    assert (code, out) == (0, f"{line}\n")
    code, out, err = command("sample", run_folder, "-n", 5, "--matches", f"{line}|{line}[ae]", "--unique")
    assert (code, sorted(out.split())) == (1, [f"{line}a", f"{line}e"])
    assert "brought no other new different one that is as was asked" in err


def test_greedy_and_low_temperatures_stay_with_what_was_asked(command, run_folder):
    code, out, err = command("sample", run_folder, "--greedy", "--ends", "y", "--length", "6-")
    assert code == 0, err
    assert len(out.splitlines()) == 1
    assert re.fullmatch(r"\w{5,}y\n", out)
    lines = command("sample", run_folder, "-n", 20, "--temperature", 0.3, "--top-k", 3, "--ends", "y")[1].split()
    assert all(line.endswith("y") for line in lines)


def test_a_network_makes_what_was_asked_and_says_that_it_is_approximate(command, names_file, tmp_path):
    folder = tmp_path / "mlp"
    assert command("train", names_file, "-o", folder, "--model", "mlp:8", "--steps", 20)[0] == 0
    code, out, err = command("sample", folder, "-n", 5, "--ends", "lyn", "--length", "6-8")
    assert code == 0, err
    assert all(re.fullmatch(r"\w{3,5}lyn", line) for line in out.splitlines())
    assert "--length 6-8 --ends lyn, approximately: one in " in err
    assert re.search(r"their distribution is off by about \d\.\d%", err)
    code, out, err = command("sample", folder, "-n", 5, "--length", "3-12")  # often enough to need no help
    assert (code, len(out.splitlines())) == (0, 5)
    assert "approximately" not in err
    code, out, err = command("sample", folder, "-n", 5, "--ends", "lyn", "--temperature", 0.5)
    assert all(line.endswith("lyn") for line in out.splitlines())
    assert "approximately" in err


def test_the_best_come_first_and_are_likely_far_from_the_list_and_from_each_other(command, run_folder):
    code, out, err = command("sample", run_folder, "-n", 5, "--best-of", 60, "--json")
    assert code == 0, err
    best = [json.loads(row)["line"] for row in out.splitlines()]
    assert len(set(best)) == 5
    assert set(best) <= set(command("sample", run_folder, "-n", 60, "--unique")[1].split())
    assert command("sample", run_folder, "-n", 3, "--best-of", 60)[1].split() == best[:3]


def test_the_best_are_chosen_one_by_one_by_the_product_of_three_numbers():
    lines = ["anna", "hannah", "bobby", "annas", "zzzzz", "carola"]
    surprises = [1.0, 2.0, 3.0, 1.5, 9.0, 2.5]
    known = ["hanna", "carolas"]

    def distance(one, other):
        table = {(i, j): max(i, j) for i in range(len(one) + 1) for j in range(len(other) + 1) if not i * j}
        for i in range(1, len(one) + 1):
            for j in range(1, len(other) + 1):
                same = table[i - 1, j - 1] + (one[i - 1] != other[j - 1])
                table[i, j] = min(same, table[i - 1, j] + 1, table[i, j - 1] + 1)
        return min(1.0, 3 * table[len(one), len(other)] / max(len(one), len(other)))

    lengths = [len(line) for line in lines]
    slope = linear_regression(lengths, surprises).slope
    for_length = [surprise - slope * length for surprise, length in zip(surprises, lengths, strict=True)]
    chosen = []
    while len(chosen) < 4:
        rest = [line for line in lines if line not in chosen]
        value = {
            line: sum(for_length[lines.index(line)] <= other + 1e-9 for other in for_length)
            * min(distance(line, other) for other in known)
            * min([distance(line, other) for other in chosen], default=1.0)
            for line in rest
        }
        chosen.append(max(rest, key=value.__getitem__))
    import numpy as np

    assert [lines[place] for place in choose(lines, np.array(surprises), known, 4)] == chosen


def test_a_fragment_is_not_better_for_being_short():
    import numpy as np

    lines = [f"{number:03d}" + chr(97 + number) * (7 if number < 5 else 47) for number in range(20)]
    surprises = np.array(
        [len(line) * (2.2 if len(line) == 10 else 2 + number / 100) for number, line in enumerate(lines)]
    )
    first = choose(lines, surprises, ["unlike"], 5)
    assert all(len(lines[number]) == 50 for number in first)


@pytest.mark.parametrize("case", ["upper", "lower"])
def test_lines_are_compared_and_judged_as_they_are_written(command, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    lines = [(start + end).title() for start in ("an", "bel", "cor", "do") for end in ("na", "la", "ra", "ta")]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / f"judge_of_{case}.py").write_text(f"ok = str.is{case}", encoding="utf-8")
    model = ("--model", "ngram:5:shape=no")
    assert command("train", "list.txt", "-o", "run", "--split", "none", *model)[0] == 0
    arguments = ("--case", case, "--valid", f"judge_of_{case}:ok", "--nearest", "--json", "-n", 12)
    for start in (("sample", "run"), ("make", "list.txt", "--split", "none", *model)):
        code, out, err = command(*start, *arguments, "--as-it-is")
        assert code == 0, err
        assert "of the list are not valid" not in err
        *made, last = map(json.loads, out.splitlines())
        written = [getattr(line, case)() for line in lines]
        assert all(row["nearest"] in written and row["valid"] for row in made)
        assert [row["distance"] == 0 for row in made] == [row["line"] in written for row in made]
        different = {row["line"] for row in made}
        assert last["shares"]["novel"] == len(different - set(written)) / len(different)
        assert last["shares"]["novel"] < 1
