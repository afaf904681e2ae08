"""Puts the page together, and takes the model out of it again.

No script but the page's own may run in it, and nothing may be loaded: the policy in its head names the hashes of
its own style and scripts. Most of its script is compressed, too, so that there is more room for the model. Whatever
comes from the lines stands in the packed model, and reaches the page as text.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

from ...errors import DataError
from ..packing.whole import pack, unpack
from ..portable import Portable
from .seven import bytes_of, text_of

RUNTIME = ("unpacking.js", "packed.js", "steps.js", "drawing.js")
"""What runs a model, in Node, too; beside it `page.js` shows it."""
_START = ("unpacking.js", "start.js")
_ENDS = "</script>"
_LARGEST = 1 << 30


def written(portable: Portable) -> bytes:
    """Give the page of a model."""
    style, start = _part("page.css"), "".join(map(_part, _START))
    code = "".join(map(_part, (*RUNTIME[1:], "page.js")))
    parts = {
        "POLICY": _policy(style, start, code),
        "TITLE": escape(f"{portable.name}: more of them"),
        "NAME": escape(f"More of {portable.name}"),
        "STYLE": style,
        "MODEL": _packed("model", pack(portable)),
        "CODE": _packed("code", zlib.compress(code.encode(), 9)),
        "START": start,
    }
    return re.sub("«([A-Z]+)»", lambda found: parts[found[1]], _part("page.html")).encode()


def _begin(name: str) -> str:
    return f'<script type="text/plain" id="{name}">'


def _packed(name: str, data: bytes) -> str:
    """Bytes as an element of the page that does nothing by itself."""
    return f"{_begin(name)}{text_of(data)}{_ENDS}"


def read_html(path: str | Path) -> Portable:
    """Read the model of a page that `written` made. `DataError` if there is none, or it is damaged."""
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f"{path}: too large for a page that spellout wrote")
        page = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    start = page.find(_begin("model")) + len(_begin("model"))
    end = page.find(_ENDS, start)
    if start < len(_begin("model")) or end < 0:
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


def _policy(style: str, *scripts: str) -> str:
    """Nothing may be loaded, and only these may run."""
    digests = [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (style, *scripts)]
    allowed = f"script-src {' '.join(digests[1:])}; style-src {digests[0]}"
    return f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; {allowed}"
