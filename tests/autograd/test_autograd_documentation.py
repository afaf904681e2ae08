"""The code blocks of docs/autograd.md run in order, and print what the page says they print."""

import re

import pytest

from documentation import DOCS, run_blocks
from spellout import draw
from spellout.autograd import ops

PAGE = DOCS / "autograd.md"


@pytest.mark.usefixtures("_table_restored")
def test_every_block_runs(capsys):
    namespace, languages = run_blocks(PAGE, capsys)
    assert draw(namespace["o"]).svg() == (PAGE.parent / "neuron.svg").read_text(encoding="utf-8")
    assert languages.count("python") > 12


def test_every_operation_is_listed():
    section = PAGE.read_text(encoding="utf-8").split("## The operations")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= ops.BUILT_IN
