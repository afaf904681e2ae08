"""What is noticed in a file that is more than a list, and that the flag which is named handles it."""

import random
import re
import shlex

import pytest

from spellout.app.cli import run_command
from spellout.data.sources.config import LINE_END, SourceConfig
from spellout.data.sources.notices import notices
from spellout.data.sources.reading import Reading

SOUNDS = ["an", "bo", "cy", "da", "el", "fi", "go", "hu"]


def names(count=60, seed=1):
    """Made-up names, all different."""
    source = random.Random(seed)
    found = {"".join(source.choices(SOUNDS, k=source.randint(2, 4))).title() for _ in range(4 * count)}
    return sorted(found, key=lambda name: (len(name), name[::-1]))[:count]


PLAIN = names()
PAIRS = [f"{a}\n{b}" for a, b in zip(PLAIN[::2], PLAIN[1::2], strict=True)]
CASES = {
    "markers": [f"<|startoftext|>{name}<|endoftext|>" for name in PLAIN],
    "a prefix": [f"girl: {name}" for name in PLAIN],
    "a suffix": [f"{name} Ltd." for name in PLAIN],
    "numbers": [f"{number}. {name}" for number, name in enumerate(PLAIN, 1)],
    "numbers in brackets": [f"({number}) {name}" for number, name in enumerate(PLAIN, 1)],
    "a header": ["name", *PLAIN],
    "a table": ["id,name,size", *(f"{number},{name},{len(name)}" for number, name in enumerate(PLAIN))],
    "tabs": [f"{name}\t{number}" for number, name in enumerate(PLAIN)],
    "JSON": [f'{{"name": "{name}", "n": {number}}}' for number, name in enumerate(PLAIN)],
    "signs between": "\n%\n".join(PAIRS).split("\n"),
    "blank lines between": "\n\n".join(f"{a}\n{b}" for a, b in zip(PLAIN[::2], PLAIN[1::2], strict=True)).split(
        "\n"
    ),
}
IN_ONE_LINE = [pair.replace("\n", LINE_END) for pair in PAIRS]
WANTED = {"signs between": IN_ONE_LINE, "blank lines between": IN_ONE_LINE}


def config_of(flag):
    """The settings that a flag of a notice means, as a shell would give it to the command."""
    words = shlex.split(re.sub(r" takes.*", "", flag).replace("KEY", "name"))
    settings = {}
    while words:
        name = words.pop(0).removeprefix("--").replace("-", "_")
        settings[name] = True if name == "skip_header" else words.pop(0)
    return SourceConfig(**settings)


@pytest.mark.parametrize("case", CASES)
def test_the_flag_of_a_notice_gives_the_plain_list(tmp_path, case):
    path = tmp_path / "lines"
    path.write_text("\n".join(CASES[case]) + "\n")
    first, *_ = notices(path.read_text())
    config = config_of(first.flag)
    lines = "".join(Reading(path, config=config)).split("\n")[:-1]
    assert lines == WANTED.get(case, PLAIN)
    assert notices(path.read_text(), config) == []


def test_a_label_is_noticed_with_its_values():
    rows = [f"{name},{'fm'[len(name) % 3 == 0]},{number}.5" for number, name in enumerate(PLAIN)]
    said = [str(one) for one in notices("\n".join(["name,sex,size", *rows]))]
    assert any("column sex may be a label (" in one and one.endswith("--column name --label sex") for one in said)
    said = [str(one) for one in notices("\n".join(row.replace(",", "\t")[:-4] for row in rows))]
    assert any(one.endswith("--label 2") for one in said)


def test_a_label_before_a_colon_is_noticed(tmp_path):
    path = tmp_path / "lines"
    path.write_text("".join(f"{'girl' if name < 'D' else 'boy'}: {name}\n" for name in PLAIN))
    (flag,) = [one.flag for one in notices(path.read_text()) if "may be a label" in one.what]
    assert flag == "--label 1"
    lines = "".join(Reading(path, config=SourceConfig(label="1"))).split("\n")[:-1]
    assert [line.partition("\t")[2] for line in lines] == PLAIN
    assert {line.partition("\t")[0] for line in lines} == {"girl", "boy"}


@pytest.mark.parametrize(
    "lines",
    [
        PLAIN,
        PLAIN[:7],
        [f"{19 + len(name)}{number:02}-0{len(name)}" for number, name in enumerate(PLAIN)],
        [f"{name}, {other}" for name, other in zip(PLAIN, reversed(PLAIN), strict=True)],
        [f"{name} {other}." for name, other in zip(PLAIN, reversed(PLAIN), strict=True)],
        ["A" + name.lower() for name in PLAIN],
        [f"20{number:02}-{number:03}" for number in range(60)],
        PLAIN + PLAIN,
    ],
)
def test_plain_lists_are_not_noticed(lines):
    assert notices("\n".join(lines)) == []


def test_line_ends_and_capitals_are_mentioned_without_a_flag():
    mixed = "\n".join(PLAIN[:30]) + "\r\n" + "\r\n".join(PLAIN[30:])
    (one,) = notices(mixed)
    assert (one.what, one.flag) == ("its lines end in LF and CR LF, which are read alike", None)
    (one,) = notices("\n".join([*PLAIN, "ANBO", "DAEL"]))
    assert "2 of its first 62 lines are in capitals, such as 'ANBO'" in one.what


def test_look_says_what_it_noticed_and_train_warns(tmp_path, capsys):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(CASES["markers"]) + "\n")
    assert run_command(["look", str(path)]) == 0
    out = capsys.readouterr().out
    assert "notice" in out
    assert "--strip" in out
    for command in (
        ["make", str(path), "--seconds", "0", "-n", "2"],
        ["train", str(path), "-o", str(tmp_path / "r")],
    ):
        assert run_command(command) == 0
        warning = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
        assert "lines.txt: its lines begin with '<|startoftext|>' and end with '<|endoftext|>'" in warning
    path = tmp_path / "table.csv"
    path.write_text("name,kind\n" + "".join(f"{name},{'xy'[name < 'D']}\n" for name in PLAIN * 2))
    assert run_command(["look", str(path), "--column", "name", "--label", "kind"]) == 0
    assert re.search(r"labels +2: [xy] ×\d+, [xy] ×\d+", capsys.readouterr().out)
