"""docs/doctor.md runs and prints what it says, and its table is the table of checks."""

import re
from pathlib import Path

from spellout.doctor import PAGES

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_every_block_runs(capsys):
    namespace, shown, blocks = {}, "", re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
    for language, text in blocks:
        if language == "python":
            exec(compile(text, "docs/doctor.md", "exec"), namespace)
            shown = capsys.readouterr().out
        elif language == "output":
            assert shown == text
    assert sum(language == "output" for language, _ in blocks) == 4


def test_the_table_is_the_catalog():
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert rows == [(page.id, page.severity, page.title) for page in PAGES.values()]
