"""How the kernels are compiled: without Python's lock, with IEEE infinities instead of errors, kept on disk.

Every function is optimised again with all it calls wherever it is called, so what has one caller is pasted into it.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit

_IEEE: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_INSIDE: dict[str, Any] = _IEEE | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# called from Python
entry: Any = njit(cache=True, **_IEEE)
# called from several compiled functions
part: Any = njit(**_INSIDE)
# called from one compiled function
pasted: Any = njit(inline="always", **_INSIDE)
# a part in which a product and a sum may become one instruction, rounded once: exp then takes half the time
contracting: Any = njit(fastmath={"contract"}, **_INSIDE)
# a part that may add in another order, to use SIMD; the same order on every run
summing: Any = njit(fastmath={"reassoc", "contract", "nsz"}, **_INSIDE)


def sources_of(*names: str) -> str:
    """Return a fingerprint of some files, named from this room."""
    content = [(Path(__file__).parent / f"{name}.py").read_bytes() for name in names]
    return sha256(b"".join(content)).hexdigest()
