"""From the bytes of a file to its lines: every distinct one once, and the order in which they stood.

Text is read block by block, so that memory does not grow with the file, and cleaned: decoded (a byte order mark is
accepted), line ends are "\\n" whatever they were, white space around a line is trimmed, blank lines are dropped,
and characters are in Unicode's composed form (NFC), so that "é" is one character however it was typed.

Lists of names repeat themselves (the course's list has 32,033 lines, 29,494 of them distinct), and a repeated line
in both training and test lines makes a model look better than it is. So repetition is counted when a file is
read, and the splits decide by distinct line.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import io
import sys
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import DataError, UsageError
from ..files import shown, told

BUNDLED = "the bundled names"
GIVEN = "the given lines"
BLOCK_BYTES = 1 << 23
FIRST_BYTES = 1 << 20
LONGEST_LINE = 1 << 24  # characters; a longer "line" is some other format, and would not fit in memory


@dataclass(frozen=True)
class Lines:
    """The clean lines of one source.

    `distinct` holds each different line once, in order of first appearance; `order` (int32, one entry per line
    of the file) says which distinct line stood there. `fingerprint` is the SHA-256 of the clean text.
    """

    distinct: list[str]
    order: np.ndarray
    name: str
    fingerprint: str

    @classmethod
    def read(
        cls, path: str | Path, encoding: str | None = None, advance: Callable[[int], None] = lambda read: None
    ) -> Lines:
        """Read a text file with one thing per line; `-` is standard input. `DataError` if it holds none.

        `advance` is told the number of bytes of each block read.
        """
        return cls._collect(read_blocks(path, encoding, advance=advance), source_name(path))

    @classmethod
    def bundled(cls) -> Lines:
        """The 29,910 different first names given in the United States in 2017 (see `data/names.md`)."""
        with resources.as_file(resources.files(__package__) / "names.txt") as path:
            return cls._collect(read_blocks(path), BUNDLED)

    @classmethod
    def of(cls, texts: Iterable[str], name: str = GIVEN) -> Lines:
        """Lines from strings in memory, taken as they are: not trimmed, not normalised.

        `DataError` for one string, whose letters would each be a line.
        """
        if isinstance(texts, str):
            raise DataError(f"{texts[:40]!r} is one string; give a list of lines, such as text.splitlines()")
        return cls._collect((_one_line(text) + "\n" for text in texts), name)

    @classmethod
    def _collect(cls, blocks: Iterable[str], name: str) -> Lines:
        known: dict[str, int] = {}
        order = array("i")
        digest = hashlib.sha256()
        for block in blocks:
            # of the clean text: the same lines in another encoding are the same data
            digest.update(block.encode())
            # a dictionary keeps the order in which its keys came, so the number of a line is its place in it
            order.extend(known.setdefault(line, len(known)) for line in block[:-1].split("\n"))
        if not known:
            hold = "hold" if name == GIVEN else "holds"
            raise DataError(f"{name} {hold} no lines; give a text file with one thing per line")
        return cls(list(known), np.frombuffer(order, np.int32), name, digest.hexdigest())

    def __len__(self) -> int:
        return len(self.order)

    @property
    def counts(self) -> np.ndarray:
        """How often each distinct line stands in the file, int64, aligned with `distinct`."""
        return np.bincount(self.order, minlength=len(self.distinct))

    def repeated(self, most: int = 10) -> list[tuple[str, int]]:
        """The most repeated lines and how often each stands in the file, only those that stand twice or more."""
        counts = self.counts
        leaders = np.argsort(-counts, kind="stable")[:most]
        return [(self.distinct[i], int(counts[i])) for i in leaders if counts[i] > 1]

    def in_file_order(self) -> list[str]:
        """Every line of the file, repeated ones as often as they stand there."""
        return [self.distinct[i] for i in self.order]


def _one_line(text: str) -> str:
    if not text or "\n" in text:
        raise DataError(f"{text!r} is not one line: it must hold at least one character and no line end")
    return text


def read_blocks(
    path: str | Path,
    encoding: str | None = None,
    block_bytes: int = BLOCK_BYTES,
    advance: Callable[[int], None] = lambda read: None,
) -> Iterator[str]:
    """Yield the clean text of a file (`-`: standard input) in blocks of whole lines, about `block_bytes` each.

    `advance` is told the number of bytes of each block read.

    Raises `DataError` if the file is missing, binary, wrongly encoded, or has a line over 16 million characters.
    """
    encoding = encoding or "utf-8"
    check_encoding(encoding)
    name = source_name(path)
    with told(name, "read", DataError):
        try:
            # standard input is not ours to close
            with nullcontext(sys.stdin.buffer) if str(path) == "-" else open(path, "rb") as file:
                yield from _blocks(file, name, encoding, block_bytes, advance)
        except FileNotFoundError:
            raise DataError(f"{shown(path)}: no such file{_nearest_name(Path(path))}") from None
        except IsADirectoryError:
            raise DataError(f"{shown(path)} is a folder; name a text file with one thing per line") from None


def check_encoding(encoding: str) -> None:
    """`UsageError` if no text is written so."""
    try:
        known = codecs.lookup(encoding)._is_text_encoding  # those that are not turn bytes into bytes, such as hex
    except (LookupError, ValueError):
        known = False
    if not known:
        raise UsageError(f"--encoding {encoding}: no such encoding; examples: utf-8, cp1252, utf-16")


def first_lines(path: str | Path, encoding: str | None = None, most_bytes: int = FIRST_BYTES) -> list[str]:
    """The first lines of a file, as reading the whole file would give them, without reading on: what can be shown
    before a large file is read.

    They are whole lines of about `most_bytes`, or the first line if that is longer. Of standard input it is what
    has come so far, in UTF-8, and nothing is taken away; of a pipe it is nothing. Raises what `read_blocks` raises.
    """
    encoding = encoding or "utf-8"
    if str(path) == "-":
        known = encoding.lower() in ("utf-8", "utf8", "ascii")  # in others, line ends are not to be told from bytes
        if not known or not isinstance(sys.stdin.buffer, io.BufferedReader):
            return []
        here = sys.stdin.buffer.peek()
        file = io.BytesIO(here[: here.rfind(b"\n") + 1])
        text = "".join(_blocks(file, source_name(path), encoding, most_bytes, lambda read: None))
    elif Path(path).exists() and not Path(path).is_file():
        return []  # reading from a pipe would take the lines away
    else:
        text = next(read_blocks(path, encoding, most_bytes), "")
    return text.split("\n")[:-1]


def source_name(path: str | Path) -> str:
    """How messages call a file, or `-`."""
    return "standard input" if str(path) == "-" else str(path)


def _blocks(
    file: BinaryIO, name: str, encoding: str, block_bytes: int, advance: Callable[[int], None]
) -> Iterator[str]:
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
        line_number += text.count("\n")
        if len(rest) > LONGEST_LINE:
            raise DataError(
                f"{name}, line {line_number}: longer than {LONGEST_LINE:,} characters; "
                "give a text file with one thing per line"
            )
        if clean := _clean(text):
            yield clean
        if not raw:
            return


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


def _clean(text: str) -> str:
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


def _nearest_name(path: Path) -> str:
    """A hint with the file of the most similar name in the same folder, or nothing."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except FileNotFoundError:
        return f"; the folder {shown(path.parent)} does not exist either"
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
