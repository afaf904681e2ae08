"""docs/doctor.md runs and prints what it says, and its table is the table of checks."""

import re

from documentation import DOCS, run_blocks
from spellout.doctor import PAGES

PAGE = DOCS / "doctor.md"


def test_every_block_runs(capsys):
    _, languages = run_blocks(PAGE, capsys, others=frozenset(["sh"]))
    assert languages.count("output") == 4


def test_the_table_is_the_catalog():
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(page.id, page.severity, page.title) for page in PAGES.values()]
