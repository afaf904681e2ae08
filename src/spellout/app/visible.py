"""Characters that do not show, or that command a terminal, as signs that do: what people read cannot fool them.

A list, a file's name or a run may hold an escape sequence that changes the title of a window, clears the screen or
recolours it, and a character that turns the direction of writing makes one word look like another. On a terminal
each of them is shown: ␛ for the escape character and so on (Unicode's pictures of the control characters), `<202E>`
for what has no picture. Data that goes to a file or a program stays as it is.
"""

from __future__ import annotations

import json
import re

_INVISIBLE = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # zero width, marks of direction, line and paragraph ends
    "\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff"  # halves of pairs, which stand for bytes that are not text
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
"""Controls, and what Unicode says to ignore where it cannot be displayed. The signs that choose a variant of the
character before them (as emoji have) may pass."""
_JOINERS = "\u200c\u200d"
"""They shape the letters of Persian, Hindi and others, and join emoji: between such characters they may pass."""
_SHOWS = f"[^\\x00-\\xa0{_JOINERS}]"
_UNSEEN = re.compile(f"[{_INVISIBLE}]|(?<!{_SHOWS})[{_JOINERS}]|[{_JOINERS}](?!{_SHOWS})")


def visible(text: str, lines: bool = False) -> str:
    """Put a sign for each character that does not show or is a command; with `lines`, line ends stay."""
    return _UNSEEN.sub(lambda match: "\n" if lines and match[0] == "\n" else _sign(match[0]), text)


def visible_in_json(text: str) -> str:
    """Escape such characters in JSON as JSON does: it means the same."""
    return _UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _sign(character: str) -> str:
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    return "␡" if code == 127 else f"<{code:04X}>"
