"""The code blocks of docs/programs.md run in order, and print what the page says they print."""

import re

from documentation import DOCS, run_blocks

PAGE = DOCS / "programs.md"


def test_every_block_runs(capsys):
    _, languages = run_blocks(PAGE, capsys)
    assert languages.count("python") >= 10


def test_the_test_that_the_page_names_exists():
    (named,) = set(re.findall(r"tests/[\w/]+\.py", PAGE.read_text(encoding="utf-8")))
    assert (PAGE.parents[1] / named).exists()
