"""The code blocks of docs/autograd.md run in order, and print what the page says they print."""

import re
from pathlib import Path

import pytest

from spellout import draw
from spellout.autograd import ops

PAGE = Path(__file__).parents[2] / "docs" / "autograd.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.usefixtures("_table_restored")
def test_every_block_runs(capsys):
    namespace = {}
    shown = ""
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), namespace)
            shown = capsys.readouterr().out
        else:
            assert language == "output"
            assert shown == text
    assert draw(namespace["o"]).svg() == (PAGE.parent / "neuron.svg").read_text(encoding="utf-8")
    assert sum(language == "python" for language, _ in BLOCKS) > 12


def test_every_operation_is_listed():
    section = PAGE.read_text(encoding="utf-8").split("## The operations")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= ops.BUILT_IN
