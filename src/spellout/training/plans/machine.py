"""What is there to train with: PyTorch, a GPU, processor cores. Nothing is imported to find out."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What a training can use.

    Attributes:
        torch: whether PyTorch is installed.
        gpu: whether there is a graphics processor that it knows.
        cores: how many processor cores this process may use.
    """

    torch: bool = False
    gpu: bool = False
    cores: int = 1

    @classmethod
    def here(cls) -> Machine:
        """Look at this one."""
        torch = _installed("torch")
        return cls(torch, torch and _gpu(), _cores())


def _installed(library: str) -> bool:
    try:
        return sys.modules.get(library, find_spec(library)) is not None
    except ValueError:  # it is there, but was not imported from a file
        return True


def _gpu() -> bool:
    """Look for the driver of NVIDIA, and for a processor of Apple's."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return Path("/dev/nvidiactl").exists() or (sys.platform == "darwin" and platform.machine() == "arm64")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
