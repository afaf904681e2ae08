"""Where a network is trained, and what makes its training the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ...errors import UsageError
from ..contract import Callback

_BACKENDS: Any = torch.backends  # the stubs of 2.13 lack what follows
_PRECISIONS: dict[str, list[tuple[Any, str]]] = {
    "cpu": [(_BACKENDS, "none"), (_BACKENDS.mkldnn.matmul, "ieee"), (_BACKENDS.mkldnn.rnn, "ieee")],
    "cuda": [
        (_BACKENDS, "none"),
        (_BACKENDS.cudnn, "none"),
        (_BACKENDS.cuda.matmul, "ieee"),
        (_BACKENDS.cudnn.rnn, "ieee"),
    ],
}
"""How each device multiplies float32 in training. What others inherit from comes first: while it is none, the
others show what they have of their own, and get it back."""


def chosen_device(asked: str, threads: int, callback: Callback) -> torch.device:
    """The device asked for; with auto the fastest there is. The event `device` says which one and why.

    `UsageError` if it is not there.
    """
    there = check_device(asked)
    name = there[0] if asked == "auto" else asked
    why = "as asked" if asked != "auto" else "the fastest there is" if name != "cpu" else "PyTorch finds no GPU"
    used = threads if name == "cpu" else None
    callback({"event": "device", "device": name, "why": why, "threads": used, "torch": torch.__version__})
    return torch.device(name)


def check_device(asked: str) -> list[str]:
    """The devices that are there, the fastest first. `UsageError` if the one asked for is not among them."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [name for name, is_there in found.items() if is_there]
    if asked not in ("auto", *there):
        raise UsageError(
            f"--device {asked}: PyTorch {torch.__version__} finds none here; it finds: {', '.join(there)}"
        )
    return there


@contextmanager
def reproducible(device: torch.device, threads: int) -> Iterator[None]:
    """Work in float32, with so many threads, on every machine and whatever the program around has set.

    PyTorch may round the factors of products: cuDNN's to tf32 unless told otherwise, all to bfloat16 or tf32 where
    `torch.set_float32_matmul_precision`, `torch.backends` or `torch.autocast` say so. And it sums in another order
    for every number of threads, by default one for each core. Afterwards all is set as it was. What this costs:
    docs/processors.md.
    """
    before: list[tuple[Any, str]] = []
    for backend, precision in _PRECISIONS.get(device.type, []):
        before.append((backend, backend.fp32_precision))
        backend.fp32_precision = precision
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in reversed(before):
            backend.fp32_precision = precision
        torch.set_num_threads(threads_before)
