"""Puts the page together, and takes the model out of it again.

No script but the page's own may run in it, and nothing may be loaded: the policy in its head names the hashes of
its own style and script. Whatever comes from the lines stands in the packed model, and reaches the page as text.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

from ...errors import DataError
from ..packing.whole import pack, unpack
from ..portable import Portable
from .seven import bytes_of, text_of

RUNTIME = ("packed.js", "steps.js", "drawing.js")
"""What runs a model, in Node, too; beside it `page.js` shows it."""
_BEGINS, _ENDS = '<script type="text/plain" id="model">', "</script>"
_LARGEST = 1 << 30


def written(portable: Portable) -> bytes:
    """Give the page of a model."""
    style, script = _part("page.css"), runtime() + _part("page.js")
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; {_allowed(script, style)}"
    page = _part("page.html")
    for name, text in (
        ("POLICY", policy),
        ("TITLE", escape(f"{portable.name}: more of them")),
        ("NAME", escape(f"More of {portable.name}")),
        ("STYLE", style),
        ("MODEL", f"{_BEGINS}{text_of(pack(portable))}{_ENDS}"),
        ("SCRIPT", script),
    ):
        page = page.replace(f"«{name}»", text)
    return page.encode()


def read_html(path: str | Path) -> Portable:
    """Read the model of a page that `written` made. `DataError` if there is none, or it is damaged."""
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f"{path}: too large for a page that spellout wrote")
        page = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    start = page.find(_BEGINS) + len(_BEGINS)
    end = page.find(_ENDS, start)
    if start < len(_BEGINS) or end < 0:
        raise DataError(f"{path}: no page that spellout wrote, or only part of one")
    try:
        return unpack(bytes_of(page[start:end]))
    except (DataError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None


def runtime() -> str:
    """Give the script that runs a model."""
    return "".join(map(_part, RUNTIME))


def _part(name: str) -> str:
    """Give one of the files beside this one, of scripts and styles without comments and indentation."""
    text = files(__package__).joinpath(name).read_text("utf-8")
    if name.endswith(".html"):
        return text
    text = re.sub(r"^ *//.*\n|(?<=[;{},)]) +// .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"^ +|\n(?=\n)", "", text, flags=re.MULTILINE)


def _allowed(script: str, style: str) -> str:
    digests = [b64encode(sha256(text.encode()).digest()).decode() for text in (script, style)]
    return f"script-src 'sha256-{digests[0]}'; style-src 'sha256-{digests[1]}'"
