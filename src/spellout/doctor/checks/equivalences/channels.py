"""What a checkpoint's numbers say by themselves: units that are dead, twins, or not finite (family 31)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ...patient import Patient
from ...report import Finding, Page

BROKEN = Page(
    id="checkpoint-not-finite",
    number=31,
    title="the checkpoint holds numbers that are not finite",
    why="Every output that they have a part in is not a number.",
    evidence="How many numbers of which tensors are NaN or infinite.",
    legitimate="Masks of minus infinity among the buffers.",
    cure="Go back to an earlier checkpoint; find where the loss became NaN before training on.",
)
DEAD = Page(
    id="dead-units-in-checkpoint",
    number=31,
    severity="warning",
    title="units of the checkpoint are dead",
    why="Units with weights of zero, channels with a gain of zero, twins of the same weights: "
    "they compute nothing new.",
    evidence="Rows of a weight that are all zero or equal to another one, gains of a norm next to zero.",
    legitimate="Pruned networks; layers that start at zero; a row of an embedding for padding.",
    cure="Look where they died: a learning rate too high before ReLU, weight decay on gains, equal initialisation.",
)
PAGES = (BROKEN, DEAD)
_SHARE = 0.1
"""Below that part of a layer's units it is only told."""
_LARGE = 2_000_000_000


def check(patient: Patient) -> Iterator[Finding]:
    """The files that were saved or read, as they lie on the disk."""
    states = patient.recording.states
    files = [*states.saved, *states.read] if states is not None else []
    seen: set[str] = set()
    for file in reversed(files):
        if file.path is None or file.path in seen or not file.contents.weights:
            continue
        seen.add(file.path)
        try:
            weights = read(file.path)
        except (OSError, ValueError) as error:
            patient.missing.append(f"the numbers of {file.path}: {error}")
            continue
        yield from look(weights, file.where)


def read(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a file of torch's or of safetensors, by name. `ValueError` or `OSError` says why not."""
    if os.path.getsize(path) > _LARGE:
        raise ValueError("larger than 2 GB")
    if path.endswith(".safetensors"):
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"not a safetensors file ({error})") from None
    try:
        return dict(_tensors("", torch.load(path, map_location="cpu", weights_only=True)))
    except OSError:
        raise
    except Exception as error:  # the unpickler raises whatever it meets
        first = (str(error).splitlines() or [""])[0][:120]
        raise ValueError(f"not a file of weights alone ({first})") from None


def _tensors(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        if "param_groups" in value:  # an optimizer's moments may be zero
            return
        for key, one in value.items():
            yield from _tensors(f"{name}.{key}" if name else str(key), one)


def look(weights: Mapping[str, torch.Tensor], where: str | None = None) -> Iterator[Finding]:
    """What these tensors show."""
    dense = {name: one for name, one in weights.items() if one.is_floating_point() and one.layout == torch.strided}
    broken = {name: int((~torch.isfinite(one)).sum()) for name, one in dense.items()}
    broken = {name: count for name, count in broken.items() if count}
    if broken:
        named = ", ".join(f"{name} ({count} of {dense[name].numel()})" for name, count in list(broken.items())[:3])
        yield BROKEN.found(f"{len(broken)} of {len(dense)} tensors: {named}", where)
    told: list[tuple[float, str]] = []
    for name, one in dense.items():
        if name not in broken:
            told += _dead_in(name, one.detach().float(), dense)
    if told:
        told.sort(reverse=True)
        lines = "; ".join(line for _, line in told[:3]) + (f"; {len(told) - 3} more" if len(told) > 3 else "")
        yield DEAD.found(lines, where, "warning" if told[0][0] >= _SHARE else "note")


def _dead_in(name: str, one: torch.Tensor, dense: Mapping[str, torch.Tensor]) -> Iterator[tuple[float, str]]:
    """The share of the units, and a sentence."""
    path = name.rpartition(".")[0]
    if one.ndim == 1 and f"{path}.running_var" in dense and name.endswith("weight") and one.numel() > 1:
        count = int((one.abs() <= 1e-4 * one.abs().max()).sum()) if bool(one.any()) else one.numel()
        if count:
            yield count / one.numel(), f"{count} of {one.numel()} channels of {path} have a gain of zero"
    if one.ndim < 2 or one.shape[0] < 2 or one[0].numel() < 2:
        return
    rows = one.reshape(one.shape[0], -1)
    zero = int((~rows.any(1)).sum())
    if zero > 1:  # one may be an embedding's padding
        # A layer that is zero as a whole was begun so.
        share = zero / len(rows) if zero < len(rows) else 0.0
        yield share, f"{zero} of {len(rows)} rows of {name} are zero"
    live = rows[rows.any(1)]
    twins = len(live) - len(torch.unique(live, dim=0)) if 1 < len(live) <= 20_000 else 0
    if twins and bool((live != live[0, 0]).any()):
        yield twins / len(rows), f"{twins} of {len(rows)} rows of {name} are copies of others"
