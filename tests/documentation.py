"""Pages whose code blocks are run, as a reader would: what several tests share."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def run_blocks(page: Path, capsys, others: frozenset[str] = frozenset()):
    """Run a page's python blocks in their order; each output block is what the one before it printed.

    Blocks in `others` are passed over, any other language is a failure. Returns the names that the blocks defined,
    and the languages of all blocks.
    """
    blocks = re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    namespace: dict[str, object] = {}
    shown = ""
    for language, text in blocks:
        if language == "python":
            exec(compile(text, str(page), "exec"), namespace)
            shown = capsys.readouterr().out
        elif language not in others:
            assert language == "output"
            assert shown == text
    return namespace, [language for language, _ in blocks]
