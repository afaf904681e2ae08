"""General compressors as predictors: what the lines that judge cost after the training lines.

Whoever predicts well compresses well (Shannon 1948), so a compressor's code length is a loss: that of the training
lines with the lines that judge behind them, less that of the training lines alone, in nats per character, line ends
counted. That is on the same lines as the losses of models, and compares with those of models as they are, with some
care:

* A compressor goes on learning while it codes the lines that judge, which models do not: an advantage, of at most
  0.005 nats on names.
* It knows no lines, so the order in which these stand counts for it, which split and seed have shuffled.
* `zlib` remembers 32,768 bytes, `bz2` sorts blocks of 900,000: of longer lists they use the end.
* Code lengths are whole bytes: with a hundred lines to judge, that is 0.01 nats.

The order of PPMd is the one that codes the training lines best, so no line that judges has chosen it (Cleary &
Witten 1984, "Data compression using adaptive coding and partial string matching"; Shkarin 2002, "PPM: one step to
practicality"). Of zpaq, which is asked where it is installed, the strongest method (Mahoney 2016).
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import log
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Literal

from ...data.prepared import Prepared
from ...errors import UsageError
from ...files import reason
from ...optional import missing
from ..judging import judging
from .results import CompressorResult

PPMD_ORDERS = 2, 3, 4, 5, 6, 8, 12, 16
PPMD_MEMORY = 1 << 24, 1 << 30
"""Bytes of memory at least and at most; between these, sixteen for each byte to code."""
_LEAST_DICTIONARY = 1 << 12
_NATS_PER_BYTE = 8 * log(2)


@dataclass(frozen=True)
class Compressor:
    """One compressor, set for one text.

    Attributes:
        name: what people call it, with its settings.
        size: the bytes of a compressed text.
        memory: bytes that it works with, as its settings and its format say; None if that is not known.
    """

    name: str
    size: Callable[[bytes], int]
    memory: int | None


def judge_compressors(
    prepared: Prepared, part: Literal["dev", "test"] = "dev", miss: Callable[[str], None] = lambda sentence: None
) -> Iterator[CompressorResult]:
    """Judge every compressor that is there on `dev` or `test` lines. `miss` hears a sentence for others."""
    lines = judging(prepared, part)
    training, both = text_of(prepared.split.train), text_of([*prepared.split.train, *lines])
    characters = sum(map(len, lines)) + len(lines)
    for make in (_zlib, _bz2, _xz, _zstd, _ppmd, _zpaq):
        start = perf_counter()
        compressor = make(training, len(both), miss)
        if compressor is None:
            continue
        nats = _NATS_PER_BYTE * (compressor.size(both) - compressor.size(training)) / characters
        seconds = perf_counter() - start
        yield CompressorResult(
            compressor.name, part, prepared.split.name, nats, nats / log(2), seconds, compressor.memory, len(lines)
        )


def text_of(lines: Sequence[str]) -> bytes:
    """Write lines as a file holds them; if some have line ends in them, a zero ends each."""
    end = "\0" if any("\n" in line for line in lines) else "\n"
    return "".join(line + end for line in lines).encode()


def _zlib(training: bytes, size: int, miss: Callable[[str], None]) -> Compressor:
    # 4 bytes for each of the 2^15 of the window and 512 for each of memory level 9's 2^9 (zlib's manual)
    memory = (1 << 17) + (1 << 18)
    return Compressor("zlib -9", lambda text: len(_deflate(text)), memory)


def _deflate(text: bytes) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, -15, 9)  # without header and checksum
    return coder.compress(text) + coder.flush()


def _bz2(training: bytes, size: int, miss: Callable[[str], None]) -> Compressor:
    return Compressor("bz2 -9", lambda text: len(bz2.compress(text, 9)), 7_600_000)  # as its manual says


def _xz(training: bytes, size: int, miss: Callable[[str], None]) -> Compressor:
    """A dictionary of the whole text codes as well as a larger one, and takes eleven times its size."""
    dictionary = max(_LEAST_DICTIONARY, 1 << (size - 1).bit_length())
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": min(dictionary, 1 << 30)}]

    def coded(text: bytes) -> int:
        return len(lzma.compress(text, lzma.FORMAT_RAW, filters=chain))

    return Compressor("xz -9e", coded, 11 * dictionary)


def _zstd(training: bytes, size: int, miss: Callable[[str], None]) -> Compressor | None:
    """Python 3.14 has it; before, the package `zstandard` has."""
    ours, theirs = _there("compression.zstd"), _there("zstandard")
    if ours is not None:
        return Compressor("zstd -19", lambda text: len(ours.compress(text, 19)), None)
    if theirs is not None:
        return Compressor("zstd -19", lambda text: len(theirs.ZstdCompressor(level=19).compress(text)), None)
    return None


def _there(module: str) -> ModuleType | None:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        return None


def _ppmd(training: bytes, size: int, miss: Callable[[str], None]) -> Compressor | None:
    """The variant H, PPMd7, is the one of 7-Zip."""
    sentence = missing("pyppmd", "the row of PPMd")
    if sentence is not None:
        miss(sentence)
        return None
    compress: Callable[..., bytes] = import_module("pyppmd").compress
    memory = min(max(PPMD_MEMORY[0], 16 * size), PPMD_MEMORY[1])

    def coded(text: bytes, order: int) -> int:
        return len(compress(text, max_order=order, mem_size=memory, variant="H"))

    best = min(PPMD_ORDERS, key=lambda order: coded(training, order))
    return Compressor(f"PPMd, order {best}", lambda text: coded(text, best), memory)


def _zpaq(training: bytes, size: int, miss: Callable[[str], None]) -> Compressor | None:
    if shutil.which("zpaq") is None:
        miss("there is no row of zpaq, which is not installed (mattmahoney.net/zpaq, or your system's package)")
        return None
    return Compressor("zpaq -m5", _zpaq_size, None)


def _zpaq_size(text: bytes) -> int:
    """Have an archive of one file made, on one thread, so that it is one block."""
    with tempfile.TemporaryDirectory() as place:
        Path(place, "lines").write_bytes(text)
        try:
            done = subprocess.run(
                ["zpaq", "a", "lines.zpaq", "lines", "-m5", "-t1"], cwd=place, capture_output=True, check=False
            )
        except OSError as error:
            raise UsageError(f"--against compressors: zpaq cannot be run: {reason(error)}") from None
        archive = Path(place, "lines.zpaq")
        if done.returncode or not archive.exists():
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise UsageError(f"--against compressors: zpaq failed: {said[-1] if said else 'it says nothing'}")
        return archive.stat().st_size
