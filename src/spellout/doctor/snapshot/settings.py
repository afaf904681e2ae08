"""The settings of torch, NumPy and the process that a training step may change, and random generators."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import torch

Undo = Callable[[], object]
_FLAGS = {
    "_get_cudnn_enabled": "_set_cudnn_enabled",
    "_get_cudnn_benchmark": "_set_cudnn_benchmark",
    "_get_cudnn_deterministic": "_set_cudnn_deterministic",
    "_get_mkldnn_enabled": "_set_mkldnn_enabled",
    "_get_mkldnn_deterministic": "_set_mkldnn_deterministic",
    "_get_nnpack_enabled": "_set_nnpack_enabled",
    "_get_flash_sdp_enabled": "_set_sdp_use_flash",
    "_get_mem_efficient_sdp_enabled": "_set_sdp_use_mem_efficient",
    "_get_math_sdp_enabled": "_set_sdp_use_math",
    "_get_cudnn_sdp_enabled": "_set_sdp_use_cudnn",
    "_get_math_sdp_allow_fp16_bf16_reduction": "_set_math_sdp_allow_fp16_bf16_reduction",
    "_get_cublas_allow_fp16_accumulation": "_set_cublas_allow_fp16_accumulation",
    "_get_qengine": "_set_qengine",
    "_get_warnAlways": "_set_warnAlways",
    "_get_deterministic_fill_uninitialized_memory": "_set_deterministic_fill_uninitialized_memory",
    "_is_multithreading_enabled": "_set_multithreading_enabled",
    "_get_float32_matmul_precision": "_set_float32_matmul_precision",
    "get_num_threads": "set_num_threads",
    "is_autocast_cache_enabled": "set_autocast_cache_enabled",
    "get_default_dtype": "_set_default_dtype",
}
"""Getters of torch's settings and their setters, as its own context managers use them."""
_PRECISIONS = (
    ("generic", "all"), ("cuda", "all"), ("mkldnn", "all"),
    *((backend, op) for backend in ("cuda", "mkldnn") for op in ("matmul", "conv", "rnn")),
)  # fmt: skip


def keep_settings() -> Iterator[Undo]:
    """Give what puts each of them back; what was not changed is not touched."""
    for get, put in _pairs():
        with suppress(RuntimeError):  # a setting that this build of torch does not know
            yield partial(_put, get, put, get())
    yield partial(_restore_environment, dict(os.environ))
    with suppress(OSError):  # the folder is gone
        yield partial(_put, os.getcwd, os.chdir, os.getcwd())
    yield partial(sys.path.__setitem__, slice(None), list(sys.path))
    yield from _of_numpy()
    yield from _random_states()


def _put(get: Callable[[], Any], put: Callable[[Any], object], before: Any) -> None:
    try:
        changed = get() != before
    except RuntimeError:  # torch refuses to say what was set in its old and its new way
        changed = True
    if changed:
        put(before)


def _pairs() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Getters and setters; later ones win where they set the same thing, as they are put back in reverse."""
    known = torch._C
    for backend, op in _PRECISIONS:
        if hasattr(known, "_get_fp32_precision_getter"):
            get = partial(known._get_fp32_precision_getter, backend, op)
            yield get, partial(known._set_fp32_precision_setter, backend, op)
    for name, setter in _FLAGS.items():
        if hasattr(known, name) and hasattr(known, setter):
            yield getattr(known, name), getattr(known, setter)
    for device in ("cpu", "cuda"):
        yield partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)
        yield partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)
    yield _deterministic, _set_deterministic
    yield _anomaly, lambda both: torch.set_anomaly_enabled(*both)
    yield _default_device, torch.set_default_device
    yield lambda: dict(vars(torch._tensor_str.PRINT_OPTS)), vars(torch._tensor_str.PRINT_OPTS).update


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(both: tuple[bool, bool]) -> None:
    if "torch._inductor.config" in sys.modules:  # the compiler has a setting of its own, and takes seconds to load
        torch.use_deterministic_algorithms(both[0], warn_only=both[1])
    else:
        torch._C._set_deterministic_algorithms(both[0], warn_only=both[1])


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _default_device() -> torch.device | None:
    """The device that was chosen; None if there is no choice, which is cheaper than the choice of the CPU."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


def _restore_environment(before: dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in before]:
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _of_numpy() -> Iterator[Undo]:
    """NumPy is not started for this: what is not in use has no state to keep."""
    if (numpy := sys.modules.get("numpy")) is not None:
        yield partial(_put, numpy.geterr, lambda kept: numpy.seterr(**kept), numpy.geterr())
        yield partial(_put, numpy.geterrcall, numpy.seterrcall, numpy.geterrcall())
        options = numpy.get_printoptions()
        yield partial(_put, numpy.get_printoptions, lambda kept: numpy.set_printoptions(**kept), options)


def _random_states() -> Iterator[Undo]:
    yield partial(random.setstate, random.getstate())
    yield partial(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
    if (numpy := sys.modules.get("numpy")) is not None:
        yield partial(numpy.random.set_state, numpy.random.get_state())
