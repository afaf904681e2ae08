"""The training lines that a run keeps, and what its model of new lines has along them: read, and checked.

Fingerprints (SHA-256) tell whether they are what was written, and of this model: that of the lines is in
`config.json`; that of a model of new lines is in its own file, and is also of the weights, the settings and the
lines. Runs of earlier versions have neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ...data.vocabulary.protocol import Vocabulary
from ...errors import DataError
from ...models.stored import DAMAGE


def as_text(lines: Sequence[str]) -> bytes:
    """Write lines as the file of them holds them."""
    return "".join(line + "\n" for line in lines).encode()


def fingerprint_of(text: bytes) -> str:
    """Tell the lines from all others."""
    return hashlib.sha256(text).hexdigest()


def read_lines(path: Path, config: dict[str, Any], vocabulary: Vocabulary) -> list[str]:
    """Read the training lines. ValueError if they are not those: a line could then be called new that is not."""
    text = path.read_text("utf-8")
    *lines, rest = text.split("\n")
    other = ValueError(f"{path.name} does not hold the lines it was trained on")
    if rest or not lines or len(lines) != config.get("split", {}).get("train", len(lines)):
        raise other
    kept = config.get("lines_fingerprint")
    if kept is not None and kept != fingerprint_of(text.encode()):
        raise other
    if kept is None:  # of an earlier version: the tokens must do
        try:
            vocabulary.encode(lines)
        except DataError:
            raise other from None
    return lines


def new_as_bytes(
    ratios: np.ndarray,
    sharpness: float | None,
    weights: bytes,
    settings: dict[str, Any],
    lines: Sequence[str],
) -> bytes:
    """Write what a model of new lines has along the lines."""
    arrays = {"ratios": ratios, "sharpness": np.array(sharpness)}
    return save(arrays | {"fingerprint": _fingerprint(arrays, weights, settings, lines)})


def read_new(path: Path, weights: bytes, settings: dict[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    """Read what `new_as_bytes` wrote; nothing if it is of another model or damaged: it can be worked out again."""
    try:
        arrays = load(path.read_bytes())
        fingerprint, ratios, sharpness = (arrays[name] for name in ("fingerprint", "ratios", "sharpness"))
        same = _fingerprint({"ratios": ratios, "sharpness": sharpness}, weights, settings, lines)
        return {"ratios": ratios, "sharpness": float(sharpness)} if np.array_equal(fingerprint, same) else {}
    except (*DAMAGE, OSError):
        return {}


def _fingerprint(
    arrays: dict[str, np.ndarray], weights: bytes, settings: dict[str, Any], lines: Sequence[str]
) -> np.ndarray:
    """Tell a model of new lines from all others, as bytes (32,)."""
    digest = hashlib.sha256()
    for part in (weights, json.dumps(settings, sort_keys=True).encode(), as_text(lines)):
        digest.update(hashlib.sha256(part).digest())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
