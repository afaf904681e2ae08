"""Which machine a figure was measured on, and how a child process is timed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def machine() -> dict[str, str | int | None]:
    """Processor, cores this process may use, and the versions that matter."""
    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": processor,
        "cores": cores,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


_LAUNCH = """
import json, os, sys, time
begin = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
found = time.perf_counter() - begin, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)
open(sys.argv[1], "w").write(json.dumps(found))
"""
"""Starts a command from a process that is small: its peak counts for the child's, and ours may be large."""


def measured(command: list[str], **options: object) -> tuple[float, float, int]:
    """Run a command to its end: wall seconds, the peak memory of its process in MB, and its exit code."""
    with tempfile.TemporaryDirectory() as place:
        told = Path(place, "told")
        subprocess.run([sys.executable, "-ISc", _LAUNCH, str(told), *command], check=True, **options)  # type: ignore[call-overload]
        seconds, memory, code = json.loads(told.read_text("utf-8"))
    return seconds, memory, code


def timed(command: list[str], **options: object) -> tuple[float, float]:
    """Run a command to its end: wall seconds, and the peak memory of its process in MB. It must not fail."""
    seconds, memory, code = measured(command, **options)
    if code:
        raise SystemExit(f"{command[0]} failed with exit code {code}")
    return seconds, memory
