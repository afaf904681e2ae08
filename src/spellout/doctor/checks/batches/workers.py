"""The workers of a loader draw the same random numbers (family 27)."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from ...patient import Patient
from ...report import Finding, Page
from ...snapshot import borrowed

ALIKE = Page(
    id="workers-draw-alike",
    number=27,
    severity="warning",
    title="the loader's workers draw the same random numbers",
    why="Each worker augments its samples in the same way, and does so again in every epoch.",
    evidence="`worker_init_fn` was called for two workers and left the same random state; "
    "or the data set holds a generator of its own, which every worker gets a copy of.",
    legitimate="Generators that choose the same part of a stream for each worker on purpose.",
    cure="Seed with `torch.initial_seed() % 2**32` in `worker_init_fn`, and draw from the global generators.",
)
PAGES = (ALIKE,)


def check(patient: Patient) -> Iterator[Finding]:
    """Every loader with several workers that was iterated."""
    loaders = {id(one.loader): one.loader for one in patient.recording.drawn}
    for loader in loaders.values():
        if loader.num_workers < 2:
            continue
        held = _generators(loader.dataset)
        if loader.worker_init_fn is not None and _seeds_alike(loader):
            yield ALIKE.found(f"`worker_init_fn` leaves the same random state in all {loader.num_workers} workers")
        elif held and loader.worker_init_fn is None:
            yield ALIKE.found(
                f"{loader.num_workers} workers get copies of the data set's own generator `{held[0]}`"
            )


def _seeds_alike(loader: DataLoader[Any]) -> bool:
    """Does the user's function seed a generator the same for the first worker and the second?"""
    states = []
    for worker in range(2):
        with borrowed(loader.worker_init_fn):
            # What torch does before it: seeds that differ by the worker.
            random.seed(1000 + worker)
            torch.manual_seed(1000 + worker)
            numpy = sys.modules.get("numpy")
            if numpy is not None:
                numpy.random.seed(1000 + worker)
            try:
                loader.worker_init_fn(worker)  # type: ignore[misc]
            except Exception:  # the user's, and it may need to be in a worker
                return False
            states.append((random.random(), float(numpy.random.random()) if numpy is not None else 0.0))
    return any(one == other for one, other in zip(*states, strict=True))


def _generators(dataset: Any) -> list[str]:
    """The attributes of a data set that are random generators."""
    kinds: tuple[str, ...] = ("Generator", "RandomState", "Random")
    own = getattr(dataset, "__dict__", {})
    return [name for name, value in own.items() if type(value).__name__ in kinds and not isinstance(value, type)]
