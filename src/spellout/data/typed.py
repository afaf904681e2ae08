"""One line that someone typed, as reading a file would give it."""

from __future__ import annotations

import os
import unicodedata

from ..errors import UsageError


def typed_line(text: str, what: str) -> str:
    """The line in composed characters. `UsageError` if it is not one line of text; `what` is typed there.

    Python reads the command line in the encoding of the locale; what it cannot read there is read as UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            text = os.fsencode(text).decode()
        except UnicodeError:
            raise UsageError(f"{what} {text!r}: not text in UTF-8; type it again") from None
    if any(end in text for end in "\n\r\0"):
        raise UsageError(f"{what} {text!r}: must be one line, without line ends in it")
    return unicodedata.normalize("NFC", text)
