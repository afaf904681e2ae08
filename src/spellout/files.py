"""Why a file or a folder cannot be used, in plain words: the one place where an `OSError` becomes a sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from .errors import RunError, SpelloutError

LONGEST_SHOWN = 120
"""Characters of a path that a sentence shows; of a longer one it shows the beginning and the end."""
_REASONS = {
    errno.EACCES: "permission denied",
    errno.EBADF: "it is closed",
    errno.EDQUOT: "your share of the disk is full",
    errno.EEXIST: "a file stands where a folder should be",
    errno.EIO: "the device reports an error",
    errno.EISDIR: "it is a folder",
    errno.ELOOP: "its symbolic links go round in a circle",
    errno.EMFILE: "too many files are open",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOENT: "no such file or folder",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "its path leads through something that is not a folder",
    errno.EPERM: "permission denied",
    errno.EROFS: "nothing can be written on that disk",
    errno.ETXTBSY: "a program in it is running",
}


def reason(error: OSError) -> str:
    """What stood in the way, as the end of a sentence."""
    return _REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__


def shown(path: str | os.PathLike[str]) -> str:
    """A path as sentences show it: cut in the middle if it is very long."""
    text = str(path)
    half = LONGEST_SHOWN // 2
    return text if len(text) <= LONGEST_SHOWN else f"{text[:half]}…{text[-half:]}"


@contextmanager
def told(
    path: str | os.PathLike[str],
    done: Literal["read", "written"],
    kind: type[SpelloutError] = RunError,
    remedy: str = "",
) -> Iterator[None]:
    """Turn an `OSError` about a path into an error of `kind`: what cannot be done with it, why, and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = f"; {remedy}" if remedy else ""
        raise kind(f"{shown(path)} cannot be {done}: {reason(error)}{remedy}") from None


def unforeseen(error: OSError) -> str | None:
    """The sentence for an `OSError` that nobody turned into one; None if it names no file, and may be a bug."""
    return None if error.filename is None else f"{shown(str(error.filename))} cannot be used: {reason(error)}"
