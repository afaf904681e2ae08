"""Files as blocks of clean lines, block by block, so that memory does not grow with them."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, cast

from ...errors import DataError
from ...files import shown, told
from .compressed import HEAD, packing, told_if_damaged, unpacked
from .config import STREAM, SourceConfig
from .files import Paths, find, listed, missing, source_name
from .json_lines import is_json_lines, lines_of_json
from .parquet import MARK, lines_of_parquet
from .tables import lines_of_table
from .text import check_encoding, clean, decoded, with_ends
from .things import Things, none_between

BLOCK_BYTES = 1 << 23
FIRST_BYTES = 1 << 20
LOOKED_AT = 1 << 16
"""So many characters of a file are kept, as they are."""


class Reading:
    """Reads files: iterate over it for blocks of whole clean lines, about `block_bytes` each.

    `advance` is told the number of bytes of each block read, packed as they are in their file.

    Raises `DataError` if a file is missing, binary, wrongly encoded, damaged, or is not what `config` says.

    Attributes:
        between: what stands between two things of several lines, as it was found; None before, and for others.
        begin: the text that the first file begins with, as it is.
    """

    def __init__(
        self,
        paths: Paths,
        encoding: str | None = None,
        config: SourceConfig = SourceConfig(),
        block_bytes: int = BLOCK_BYTES,
        advance: Callable[[int], None] = lambda read: None,
    ) -> None:
        self._encoding = encoding or "utf-8"
        check_encoding(self._encoding)
        self._paths, self._config = paths, config
        self._block_bytes, self._advance = block_bytes, advance
        self.between: str | None = None
        self.begin = ""

    def __iter__(self) -> Iterator[str]:
        """Yield the blocks."""
        files, things = find(self._paths).files, 0
        for path in files:
            for block in self._of_file(path):
                things += block.count("\n")
                yield block
        if self._config.separator is not None:
            if things == 1 and self.between is None and not self._config.table:
                raise none_between(self._config, source_name(self._paths))
            if self.between is None:  # in a table nothing stood there, nor between files of one thing each
                self.between = self._config.usual_between

    def _of_file(self, path: str) -> Iterator[str]:
        name = source_name(path)
        with told(name, "read", DataError):
            try:
                # standard input is not ours to close
                with nullcontext(sys.stdin.buffer) if path == STREAM else open(path, "rb") as file:
                    begin = _begin(file)
                    if begin.startswith(MARK):
                        self._advance(0 if path == STREAM else Path(path).stat().st_size)
                        yield from lines_of_parquet(path, file, name, self._config)
                        return
                    with told_if_damaged(name):
                        yield from self._lines(self._noted(self._text(file, begin, name)), name)
            except FileNotFoundError:
                raise missing(path) from None
            except IsADirectoryError:
                raise DataError(f"{shown(path)} is a folder; name a text file with one thing per line") from None

    def _noted(self, blocks: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        for number, text in blocks:
            if not self.begin:
                self.begin = text[:LOOKED_AT]
                self.begin = self.begin[: max(self.begin.rfind("\n"), 0)] if len(text) > LOOKED_AT else text
            yield number, text

    def _text(self, file: BinaryIO, begin: bytes, name: str) -> Iterator[tuple[int, str]]:
        if packing(begin) is None:
            return decoded(file, name, self._encoding, self._block_bytes, self._advance)
        packed = _Counted(file, self._advance)
        content = unpacked(cast(BinaryIO, io.BufferedReader(packed)), begin)
        return decoded(content, name, self._encoding, self._block_bytes, lambda read: None)

    def _lines(self, blocks: Iterator[tuple[int, str]], name: str) -> Iterator[str]:
        """Yield clean blocks of lines from blocks of text."""
        config = self._config
        if config.table:
            begun = list(islice(blocks, 1))
            of = lines_of_json if begun and is_json_lines(begun[0][1]) else lines_of_table
            # they are whole lines, but not yet in composed characters
            yield from filter(None, map(clean, of(chain(begun, blocks), name, config)))
            return
        if config.skip_header:
            blocks = _without_first(blocks)
        if config.separator is not None:
            things = Things(config, self.between)
            for _, text in things.of(blocks, name):
                self.between = things.between
                yield from self._stripped(text)
            self.between = things.between
            return
        for _, text in blocks:
            yield from self._stripped(text)

    def _stripped(self, text: str) -> Iterator[str]:
        text = clean(text)
        if text and self._config.strip is not None:
            text = clean("".join(self._config.stripped(line) + "\n" for line in text[:-1].split("\n")))
        if text:
            yield text


def _begin(file: BinaryIO) -> bytes:
    """Look at the first bytes of a file and take none away."""
    if isinstance(file, io.BufferedReader):
        return file.peek(HEAD)[:HEAD]
    begin = file.read(HEAD)
    file.seek(-len(begin), io.SEEK_CUR)
    return begin


class _Counted(io.RawIOBase):
    """A file that tells how many bytes of it were read."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, into: memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer with what comes next; 0 at the end."""
        raw = self._file.read(len(into))
        into[: len(raw)] = raw
        self._advance(len(raw))
        return len(raw)


def _without_first(blocks: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Leave the first line out."""
    for number, (first, text) in enumerate(blocks):
        if number:
            yield first, text
        else:
            yield first + 1, "".join(with_ends(text)[1:])


def read_blocks(
    paths: Paths,
    encoding: str | None = None,
    block_bytes: int = BLOCK_BYTES,
    advance: Callable[[int], None] = lambda read: None,
    config: SourceConfig = SourceConfig(),
) -> Iterator[str]:
    """Yield the clean lines of files (`-`: standard input) in blocks, as `Reading` does."""
    yield from Reading(paths, encoding, config, block_bytes, advance)


def first_lines(
    paths: Paths,
    encoding: str | None = None,
    most_bytes: int = FIRST_BYTES,
    config: SourceConfig = SourceConfig(),
) -> list[str]:
    """The first lines of a file, as reading the whole file would give them, without reading on: what can be shown
    before a large file is read.

    They are whole lines of about `most_bytes`, or the first line if that is longer. Of standard input it is what
    has come so far, in UTF-8, and nothing is taken away; of a pipe it is nothing. Raises what `read_blocks` raises.
    """
    encoding = encoding or "utf-8"
    path = listed(paths)[0]
    if path == STREAM:
        known = encoding.lower() in ("utf-8", "utf8", "ascii")  # in others, line ends are not to be told from bytes
        plain = not config.asked()
        if not (known and plain) or not isinstance(sys.stdin.buffer, io.BufferedReader):
            return []
        here = sys.stdin.buffer.peek()
        if packing(here) is not None or here.startswith(MARK):
            return []
        file = io.BytesIO(here[: here.rfind(b"\n") + 1])
        blocks = decoded(file, source_name(path), encoding, most_bytes, lambda read: None)
        text = "".join(clean(text) for _, text in blocks)
    elif Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
        return []  # reading from a pipe would take the lines away
    else:
        text = next(read_blocks(paths, encoding, most_bytes, config=config), "")
    return text.split("\n")[:-1]
