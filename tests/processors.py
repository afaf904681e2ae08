"""Older processors, as far as this one can play them: instruction sets that libraries are told not to use.

Each library has its own variable, read when it starts, so what is to be tried runs in a process of its own. glibc's
matters too: its exp and log have versions with and without fused products, which differ in the last bit.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEVELS = ("sse", "avx2", "native")
"""What an x86-64 processor of about 2009 can do, one of about 2013, and this one."""

_SSE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NUMBA_CPU_FEATURES": "",
    "NUMBA_CPU_NAME": "x86-64-v2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NUMBA_CPU_FEATURES": "",
    "NUMBA_CPU_NAME": "x86-64-v3",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
_GLIBC_NEWER = {"sse": ["AVX", "AVX2", "FMA", "FMA4"], "avx2": []}
_NUMPY_KEPT = {"sse": set(), "avx2": {"AVX", "F16C", "FMA3", "AVX2", "X86_V3"}}
"""What NumPy may use beyond its baseline."""


def is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def has_avx2() -> bool:
    return _numpy_features().get("AVX2", False)


def held_down(level: str) -> dict[str, str]:
    """The environment of a process that uses no instructions beyond a level's."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if level == "native":
        return environment
    newer = [*_GLIBC_NEWER[level], "AVX512F", "AVX512VL", "AVX512BW", "AVX512DQ", "AVX512CD"]
    return environment | {
        **(_SSE if level == "sse" else _AVX2),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join(f"-{name}" for name in newer),
        "NPY_DISABLE_CPU_FEATURES": ",".join(_numpy_disabled(level)),
    }


def run_held_down(level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, in such a process."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=held_down(level), cwd=ROOT, capture_output=True, text=True)


def _numpy_features() -> dict[str, bool]:
    """Names that the installed NumPy knows, and whether this processor has each."""
    from numpy._core._multiarray_umath import __cpu_features__

    return __cpu_features__


def _numpy_disabled(level: str) -> list[str]:
    """What NumPy dispatches to here; it warns of other names, and refuses its baseline."""
    from numpy._core._multiarray_umath import __cpu_dispatch__

    there = _numpy_features()
    return [name for name in __cpu_dispatch__ if there.get(name) and name not in _NUMPY_KEPT[level]]
