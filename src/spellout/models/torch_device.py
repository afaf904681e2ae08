"""Where a network is trained, and how its matrices are multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..errors import UsageError
from .contract import Listener


def chosen_device(asked: str, threads: int | None, tell: Listener) -> torch.device:
    """The device asked for; with auto the fastest there is. The event `device` says which one and why.

    `UsageError` if it is not there. PyTorch has one number of threads for the whole process: it is set here.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    there = check_device(asked)
    name = there[0] if asked == "auto" else asked
    why = "as asked" if asked != "auto" else "the fastest there is" if name != "cpu" else "PyTorch finds no GPU"
    used = torch.get_num_threads() if name == "cpu" else None
    tell({"event": "device", "device": name, "why": why, "threads": used, "torch": torch.__version__})
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
def fast_matrices() -> Iterator[None]:
    """Let the CPU multiply float32 matrices as fast as it can, if need be with factors rounded to bfloat16.

    On processors without instructions for that, PyTorch then calls oneDNN with full precision, which on an AMD
    EPYC is twice as fast as what it calls by default (bench/torch_family.py).
    """
    backend: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # the stubs of 2.13 lack it
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before
