"""Compiled as written: does `torch.compile` compute what the program computes without it (family 31)?

It is asked in a forked process, with a folder of its own for what the compiler writes, so that neither the
program's compiled code nor torch's settings are touched.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import RANDOM, tensors_in
from .alike import Likeness, reached, vector

DIFFERS = Page(
    id="compiled-differs",
    number=31,
    severity="warning",
    title="compiled, the model computes something else",
    why="What was tuned and evaluated without the compiler is not what is trained with it.",
    evidence="Output and gradient of one pass, compiled and as written, from the same numbers.",
    legitimate="Half precision, which the compiler rounds less often.",
    cure="Keep what depends on Python's own state (counters, lists, hooks, `.data`) out of `forward`, "
    "or under `torch.compiler.disable`.",
)
PAGES = (DIFFERS,)
_NAME = "torch.compile beside the program as written"
_SECONDS = 120.0
_APART = 1e-2
"""Reordered sums in float32 differ by some 1e-6."""


def check(patient: Patient, backend: Any = "inductor") -> Iterator[Finding]:
    """Only of a program that compiles, and only where there is what a compiler needs."""
    devices = {p.device.type for _, p in patient.parameters()}
    reason = None
    if not patient.case.compiles:
        reason = "the program compiles nothing"
    elif not hasattr(os, "fork") or devices - {"cpu"}:
        reason = "it is done in a forked process, on a CPU only"
    elif backend == "inductor" and not shutil.which(os.environ.get("CXX", "g++")):
        reason = "there is no C++ compiler (g++)"
    if reason is not None:
        patient.missing.append(f"{_NAME}: not compared, {reason}")
        return
    answer = _in_child(lambda: _compared(patient, backend))
    if "error" in answer:
        patient.missing.append(f"{_NAME}: it could not be compiled ({answer['error']})")
        return
    output, gradient = float(answer["output"]), float(answer["gradient"])
    breaks = f"; {answer['breaks']} breaks of the graph" if answer["breaks"] else ""
    patient.facts["compiled beside as written"] = f"{output:.1g}"
    if not output <= _APART or not gradient <= _APART:
        evidence = f"the output differs by {output:.2%} of its length, the gradient by {gradient:.2%}{breaks}"
        yield DIFFERS.found(evidence)


def _compared(patient: Patient, backend: Any) -> dict[str, float]:
    """The distances, computed in the child."""
    import torch._dynamo
    import torch._inductor.config

    torch.set_num_threads(1)  # a forked process has none of the threads of before
    patient.recording.__exit__()
    # Drawn in another order, random numbers are others: then only eval mode can be compared.
    train = not any(call.name in RANDOM for call in patient.training.tape.calls)
    torch._inductor.config.fallback_random = True
    torch._inductor.config.compile_threads = 1
    patient.model._compiled_call_impl = None
    plain = _pass(patient, train)
    patient.model = torch.compile(patient.model, backend=backend)  # type: ignore[assignment]
    with torch.compiler.set_stance("default"):
        fast = _pass(patient, train)
    fast.gradients = {name.removeprefix("_orig_mod."): one for name, one in fast.gradients.items()}
    if plain.error is not None or fast.error is not None:
        raise plain.error or fast.error or RuntimeError
    one, other = (torch.cat([t.detach().double().flatten() for t in tensors_in(it.output)]) for it in (fast, plain))
    names = reached(plain, fast)
    breaks = sum(torch._dynamo.utils.counters["graph_break"].values())
    return {
        "output": Likeness.of(one, other).distance,
        "gradient": Likeness.of(vector(fast, names), vector(plain, names)).distance if names else 0.0,
        "breaks": breaks,
    }


def _pass(patient: Patient, train: bool) -> Trial:
    with patient.borrowed(train=train):
        return patient.run(patient.batch, gradients=True, taped=False)


def _in_child(work: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """What `work` returns in a forked process, or `{"error": why}`; it is killed if it takes too long."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            _answer(work, write, folder)
        os.close(write)
        try:
            said = _heard(read, time.monotonic() + _SECONDS)
        finally:
            os.close(read)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if said is None:
        return {"error": f"it took longer than {_SECONDS:g} seconds"}
    found: dict[str, Any] = json.loads(said) if said else {"error": "its process ended"}
    return found


def _answer(work: Callable[[], dict[str, float]], write: int, folder: str) -> None:
    """The child's whole life."""
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        warnings.simplefilter("ignore")  # the compiler has many
        answer: dict[str, Any] = work()
    except BaseException as error:
        first = (str(error).splitlines() or [""])[0][:160]
        answer = {"error": f"{type(error).__name__}: {first}"}
    with suppress(BaseException):
        os.write(write, json.dumps(answer).encode())
    os._exit(0)


def _heard(read: int, until: float) -> bytes | None:
    """What the child writes before it ends; None if the time was over."""
    said = b""
    while select.select([read], [], [], max(0.0, until - time.monotonic()))[0]:
        if not (part := os.read(read, 65536)):
            return said
        said += part
        if said.endswith(b"}"):  # helpers of the compiler may hold the pipe open
            return said
    return None
