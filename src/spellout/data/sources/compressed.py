"""Compressed files: recognised by how they begin, whatever their name, and read as what is in them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...errors import DataError, UsageError
from ...optional import require

HEAD = 1 << 12
"""So many bytes of a file are looked at to say what it is."""
_BEGIN = {"gzip": b"\x1f\x8b\x08", "xz": b"\xfd7zXZ\0", "bzip2": b"BZh", "zstd": b"\x28\xb5\x2f\xfd"}
_ENDINGS = ".gz", ".xz", ".bz2", ".zst"
_BLOCK_OF_BZIP2 = b"1AY&SY"  # what comes after the digit, so that a line such as BZha is none


def packing(begin: bytes) -> str | None:
    """Say how bytes that begin so are compressed; None if they are not."""
    for name, mark in _BEGIN.items():
        if begin.startswith(mark) and (name != "bzip2" or begin[4:10] == _BLOCK_OF_BZIP2):
            return name
    return None


def unpacked(file: BinaryIO, begin: bytes) -> BinaryIO:
    """Give the content of a file that begins so: the file itself if it is not compressed.

    `UsageError` if that takes a library which is not installed.
    """
    how = packing(begin)
    if how is None:
        return file
    if how == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if how == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(file))
    return cast(BinaryIO, lzma.LZMAFile(file)) if how == "xz" else _unpacked_zstd(file)


def _unpacked_zstd(file: BinaryIO) -> BinaryIO:
    try:  # part of Python since 3.14
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError:
        require("zstandard", "reading a file compressed by zstd")
        import zstandard

        return cast(BinaryIO, io.BufferedReader(_Frames(file, zstandard.ZstdDecompressor().decompressobj)))
    return cast(BinaryIO, zstd.ZstdFile(file))


class _Frames(io.RawIOBase):
    """What is in the frames of a zstd file, by objects of the library `zstandard` that each unpack one.

    Its own reader takes a file that was cut off for one that has ended.
    """

    def __init__(self, file: BinaryIO, begin: Callable[[], Any]) -> None:
        self._file, self._begin = file, begin
        self._frame: Any = None
        self._packed = self._ready = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, into: Any, /) -> int:
        """Fill a buffer with what comes next; 0 at the end. EOFError if that is inside a frame."""
        while not self._ready:
            self._packed = self._packed or self._file.read(HEAD * 16)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._begin()
            self._ready, self._packed = self._frame.decompress(self._packed), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        size = min(len(into), len(self._ready))
        into[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


@contextmanager
def told_if_damaged(name: str) -> Iterator[None]:
    """Turn what unpacking a damaged file raises into a `DataError`."""
    remedy = "get the file again, or unpack what is left of it yourself"
    try:
        yield
    except EOFError:
        raise DataError(f"{name}: the compressed data ends too early, as if cut off; {remedy}") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name}: the compressed data is damaged ({_first(error)}); {remedy}") from None
    except OSError as error:
        if error.errno is not None:  # bzip2's have none
            raise
        raise DataError(f"{name}: the compressed data is damaged ({_first(error)}); {remedy}") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # of a library that may not be there
            raise
        raise DataError(f"{name}: the compressed data is damaged ({_first(error)}); {remedy}") from None


def _first(error: Exception) -> str:
    return str(error).split("\n")[0][:80] or type(error).__name__


def head(path: Path) -> bytes:
    """Give the first bytes of what is in a file, unpacked; nothing if it cannot be unpacked here."""
    with open(path, "rb") as file:
        begin = file.read(HEAD)
        if packing(begin) is None:
            return begin
        file.seek(0)
        try:
            with told_if_damaged(str(path)):
                return unpacked(file, begin).read(HEAD)
        except (DataError, UsageError):  # reading it will tell
            return b""


def unpacked_name(name: str) -> str:
    """Give the name of a file without the ending that says how it is compressed."""
    return name[: name.rfind(".")] if name.lower().endswith(_ENDINGS) else name
