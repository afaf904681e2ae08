"""Bytes as text that an HTML page in UTF-8 can hold: seven bits in each character, most of which are one byte.

That is a sixth more than the bytes, where base64 needs a third. The few characters that a page could not hold as
they are (what is rewritten or could end a script, NUL, and what terminals obey) stand 128 further on, in two bytes.
"""

from __future__ import annotations

import numpy as np

_MOVED = b"\0\r\x1b<"


def text_of(data: bytes) -> str:
    """Write bytes as text."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    whole = np.concatenate([bits, np.zeros(-len(bits) % 7, np.uint8)]).reshape(-1, 7)
    codes = np.packbits(whole, axis=1)[:, 0].astype("<u2") >> 1
    codes[np.isin(codes, np.frombuffer(_MOVED, np.uint8))] += 128
    return codes.tobytes().decode("utf-16-le")


def bytes_of(text: str) -> bytes:
    """Invert `text_of`. ValueError for other characters."""
    codes = np.frombuffer(text.encode("utf-16-le"), "<u2")
    if (codes > 255).any():
        raise ValueError("strange characters in it")
    bits = np.unpackbits((codes & 127).astype(np.uint8)[:, None], axis=1)[:, 1:].reshape(-1)
    return np.packbits(bits[: len(bits) // 8 * 8]).tobytes()
