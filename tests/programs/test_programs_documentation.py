"""The code blocks of docs/programs.md run in order, and print what the page says they print."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "programs.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


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
    assert sum(language == "python" for language, _ in BLOCKS) >= 10


def test_the_test_that_the_page_names_exists():
    (named,) = set(re.findall(r"tests/[\w/]+\.py", PAGE.read_text(encoding="utf-8")))
    assert (PAGE.parents[1] / named).exists()
