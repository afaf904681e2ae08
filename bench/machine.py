"""Which machine a figure was measured on, and how a child process is timed."""

from __future__ import annotations

import os
import platform
import subprocess
import time
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


def timed(command: list[str], **options: object) -> tuple[float, float]:
    """Run a command to its end: wall seconds, and the peak memory of its process in MB."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {process.returncode}")
    return seconds, usage.ru_maxrss / 1024
