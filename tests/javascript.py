"""A page's model run by Node, for comparison with Python's."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from spellout.export.html.page import runtime, written
from spellout.export.portable import Portable

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed: apt-get install nodejs")
_ASKED = """
const fs = require("fs"), asked = JSON.parse(fs.readFileSync(0, "utf8"));
const page = fs.readFileSync(asked.page, "utf8"), start = page.indexOf('id="model">') + 11;
const rowsAfter = (model, tokens) => {
  const reader = new Reader(model);
  return tokens.map(token => Array.from(reader.read(token)));
};
const made = (model, { count, ...options }) => {
  const found = [];
  for (const one of lines(model, options)) {
    if (one) found.push([one.candidate, one.line]);
    if (found.length >= count) break;
  }
  return found;
};
readModel(page.slice(start, page.indexOf("</script>", start))).then(model => console.log(JSON.stringify({
  rows: asked.tokens.map(one => rowsAfter(model, one)),
  lines: asked.lines.map(one => made(model, one)),
  known: asked.known.map(one => isKnown(model, one)),
  cut: asked.cut.map(one => model.cut(one)),
  about: model.about,
})));
"""


def evaluated(script: str, stdin: str = "") -> str:
    """What Node prints when it has run a script after the page's."""
    assert NODE is not None
    done = subprocess.run([NODE, "-e", script], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


class Page:
    """The page of a model, in a file."""

    def __init__(self, portable: Portable, path: Path) -> None:
        self.path = path
        path.write_bytes(written(portable))

    def asked(self, tokens=(), lines=(), known=(), cut=()):
        """Rows (T, V) after tokens, [candidate, line] of samplings, what is known, and the tokens of texts."""
        asked = {"page": str(self.path), "tokens": list(tokens), "lines": list(lines), "known": list(known)}
        # the scripts are too long for a command line with whatever is asked
        script = self.path.with_suffix(".js")
        script.write_text(runtime() + _ASKED, "utf-8")
        start = f"require({json.dumps(str(script))})"
        return json.loads(evaluated(start, json.dumps(asked | {"cut": list(cut)})))
