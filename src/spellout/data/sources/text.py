"""From the bytes of a file to text: decoded block by block, in whole lines, and cleaned.

A byte order mark is accepted, line ends are "\\n" whatever they were, white space around a line is trimmed, blank
lines are dropped, and characters are in Unicode's composed form (NFC), so that "é" is one character however it was
typed.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from ...errors import DataError, UsageError

LONGEST_LINE = 1 << 24  # characters; a longer "line" is some other format, and would not fit in memory


def check_encoding(encoding: str) -> None:
    """`UsageError` if no text is written so."""
    try:
        known = codecs.lookup(encoding)._is_text_encoding  # those that are not turn bytes into bytes, such as hex
    except (LookupError, ValueError):
        known = False
    if not known:
        raise UsageError(f"--encoding {encoding}: no such encoding; examples: utf-8, cp1252, utf-16")


def decoded(
    file: BinaryIO, name: str, encoding: str, block_bytes: int, advance: Callable[[int], None]
) -> Iterator[tuple[int, str]]:
    """Yield the text of a file as it is, in blocks of whole lines, each with the number of its first line.

    `DataError` if it is binary, wrongly encoded, or has a line over 16 million characters.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line_number, rest, at_start = 1, "", True
    while True:
        raw = file.read(block_bytes)
        advance(len(raw))
        decoded = _decode(decoder, raw, name, encoding, line_number, rest)
        # the byte order mark, which the codec of UTF-8 leaves in the text
        if at_start and decoded:
            decoded, at_start = decoded.removeprefix("\ufeff"), False
        text = rest + decoded
        cut = text.rfind("\n") + 1 if raw else len(text)  # the last line of a file may lack its end
        text, rest = text[:cut], text[cut:]
        if len(rest) > LONGEST_LINE:
            raise DataError(
                f"{name}, line {line_number + text.count(chr(10))}: longer than {LONGEST_LINE:,} characters; "
                "give a text file with one thing per line"
            )
        if text:
            yield line_number, text
        line_number += text.count("\n")
        if not raw:
            return


def clean(text: str) -> str:
    """Trim every line, drop the blank ones, normalise line ends and characters."""
    if not text:
        return ""
    if text.isascii():
        space = np.frombuffer(text.encode("ascii"), np.uint8) <= 32
        if not (space[0] or (space[1:] & space[:-1]).any()) and text[-1] == "\n" and "\r" not in text:
            return text  # no white space meets a line end: already clean
    else:
        text = unicodedata.normalize("NFC", text)
    lines = text.replace("\r", "\n").split("\n")
    kept = [line for line in map(str.strip, lines) if line]
    return "\n".join(kept) + "\n" if kept else ""


def with_ends(text: str) -> list[str]:
    """Give the lines of a block, each with its end, which is "\\n" whatever it was; blank ones too."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def _decode(
    decoder: codecs.IncrementalDecoder, raw: bytes, name: str, encoding: str, line_number: int, rest: str
) -> str:
    """Decode one block; a failure tells the line, the byte in it and the likely encoding."""
    waiting = decoder.getstate()[0]  # the bytes of a character cut by the end of the last block
    try:
        text = decoder.decode(raw, final=not raw)
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = line_number + before.count(b"\n")
        byte = error.start - before.rfind(b"\n")
        byte += 0 if b"\n" in before else len(rest.encode(encoding))
        value = error.object[error.start]
        hint = _hint(waiting + raw, otherwise="is it a text file?")
        if codecs.lookup(encoding).name != "utf-8" and _is_utf_8(waiting + raw):
            hint = "it looks like UTF-8: leave out --encoding"
        label = "UTF-8" if encoding == "utf-8" else encoding
        raise DataError(f"{name} is not {label}: line {line}, byte {byte} is 0x{value:02X}; {hint}") from None
    except UnicodeError as error:  # such as a UTF-16 stream without its mark
        raise DataError(f"{name} is not {encoding}: {error}") from None
    # UTF-8 refuses them by itself; UTF-7 lets them through, and nothing could write them again
    if encoding != "utf-8" and any("\ud800" <= character <= "\udfff" for character in set(text)):
        raise DataError(f"{name} is not {encoding}: it holds halves of characters; is it another encoding?")
    if "\0" in text:
        hint = _hint(waiting + raw, otherwise="give a text file, one thing per line")
        raise DataError(
            f"{name}, line {line_number + text[: text.index(chr(0))].count(chr(10))}: "
            f"a zero byte, so this is a binary file; {hint}"
        )
    return text


def _hint(raw: bytes, otherwise: str) -> str:
    guess = _likely_encoding(raw)
    return f"it looks like {guess}: try --encoding {guess}" if guess else otherwise


def _is_utf_8(raw: bytes) -> bool:
    """Say whether a block is UTF-8 with more than ASCII in it, but for characters that its ends cut."""
    if raw.isascii():
        return False
    begin = next((place for place, byte in enumerate(raw[:4]) if byte & 0xC0 != 0x80), 0)
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(raw[begin:])
    except UnicodeDecodeError:
        return False
    return True


def _likely_encoding(raw: bytes) -> str | None:
    """The encoding that a block which is not UTF-8 probably has; None if it does not look like text."""
    head = raw[:4096]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding, high_bytes in ("utf-16-le", head[1::2]), ("utf-16-be", head[0::2]):
        if len(head) >= 4 and high_bytes.count(0) > 0.4 * len(head):  # most letters are below U+0100
            return encoding
    # text has line ends and tabs, but hardly any other control character
    control = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    if control > 0.02 * len(head):
        return None
    return "latin-1" if set(head) & set(b"\x81\x8d\x8f\x90\x9d") else "cp1252"  # which leaves these five out
