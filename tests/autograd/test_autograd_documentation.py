"""The code blocks of docs/autograd.md run in order, and print what the page says they print."""

import re
from pathlib import Path

import pytest

from spellout.autograd import ops

PAGE = Path(__file__).parents[2] / "docs" / "autograd.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def _no_row_survives():
    before = dict(ops.TABLE)
    yield
    ops.TABLE.clear()
    ops.TABLE.update(before)


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
    assert sum(language == "python" for language, _ in BLOCKS) > 12
