"""The scalar GPT: one training step on one name, and on 32 names, beside the same network in PyTorch and in Values.

    python bench/scalar_gpt.py

16 wide, 4 heads, 1 layer, context 16, 27 tokens, 4,192 parameters, Adam. The names are the bundled ones, in lower
case without accents, as many as are needed. "Step" is forward, backward and update; names of a step are grouped by
length. PyTorch works on whole sequences at once (eager, one thread, float32); the eager engine is this package's
own, in Python. Engines take turns of 25 steps on the same names. The last line is JSON: medians and quartiles in
milliseconds.
"""

from __future__ import annotations

import json
import string
from statistics import median, quantiles
from time import perf_counter

import numpy as np
import torch

from machine import machine
from spellout.autograd.value import Value
from spellout.data.lines import Lines
from spellout.models.scalars.gpt import GptConfig, GptModel
from spellout.models.scalars.network import loss_program, values_of
from spellout.models.weights import flatten
from spellout.nn.losses import cross_entropy
from spellout.programs.lanes import Lanes
from spellout.programs.optimizers import Adam

ROUNDS, TURN = 400, 25
CONFIG, V = GptConfig(), 27
SHAPES = GptModel.shapes(CONFIG, V, False)


def batches(size: int) -> list[list[np.ndarray]]:
    """`ROUNDS` steps of names as tokens, the boundary at both ends."""
    letters = [line.lower() for line in Lines.bundled().distinct]
    names = [n for n in letters if set(n) <= set(string.ascii_lowercase) and len(n) < CONFIG.context]
    order = np.random.default_rng(0).permutation(len(names))[: ROUNDS * size]
    tokens = [np.array([0, *(ord(c) - 96 for c in names[i]), 0]) for i in order]
    return [tokens[i : i + size] for i in range(0, len(tokens), size)]


def weights() -> dict[str, np.ndarray]:
    """The same first weights for every engine; the last layer is not zero, so that gradients flow everywhere."""
    random = np.random.default_rng(1)
    made = GptModel.start(CONFIG, V, random, False)
    return made | {"out": 0.08 * random.standard_normal(made["out"].shape)}


class Programs:
    """Ours: one program for each length of names."""

    def __init__(self, dtype: type, threads: int = 1) -> None:
        self.array = flatten(weights(), SHAPES).astype(dtype)
        self.lanes = {n: Lanes(loss_program(GptModel, CONFIG, V, False, n), dtype, threads) for n in range(2, 17)}
        self.adam, self.steps = Adam(lr=1e-3), 0
        self.memory = self.adam.memory(self.array)
        self.none = np.zeros((0, 0), dtype)

    def step(self, names: list[np.ndarray]) -> float:
        """One step; the mean loss before it, in nats per token."""
        lengths = np.array([len(name) - 1 for name in names])
        total, nats, tokens = np.zeros_like(self.array), 0.0, int(lengths.sum())
        for length in np.unique(lengths).tolist():
            rows = np.stack([name for name, n in zip(names, lengths, strict=True) if n == length])
            lanes = self.lanes[length]
            lanes.weights[:] = self.array
            integers = np.concatenate([rows[:, :-1].T, rows[:, 1:].T])
            results, gradient = lanes.backward(self.none, integers, 1.0 / tokens)
            total += gradient
            nats += float(results.sum())
        self.adam.move(self.array, total, self.memory, self.steps, 1e-3)
        self.steps += 1
        return nats / tokens


class Torch:
    """The same network on whole sequences, padded to the longest name of the step."""

    def __init__(self) -> None:
        self.p = {k: torch.tensor(v, dtype=torch.float32, requires_grad=True) for k, v in weights().items()}
        self.adam = torch.optim.Adam(self.p.values(), lr=1e-3)

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T, V)."""
        p, (B, T), H = self.p, tokens.shape, CONFIG.heads

        def normalized(x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.rms_norm(x, (CONFIG.width,), eps=1e-5)

        def heads(x: torch.Tensor) -> torch.Tensor:
            return x.view(B, T, H, -1).transpose(1, 2)

        x = normalized(p["token"][tokens] + p["place"][:T])
        h = normalized(x)
        q, k, v = (heads(h @ p[f"0.{name}"].T) for name in ("query", "key", "value"))
        taken = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + taken.transpose(1, 2).reshape(B, T, -1) @ p["0.mix"].T
        x = x + torch.relu(normalized(x) @ p["0.up"].T) @ p["0.down"].T
        return x @ p["out"].T

    def step(self, names: list[np.ndarray]) -> float:
        """One step; the mean loss before it."""
        width = max(map(len, names))
        rows = torch.tensor(np.stack([np.pad(name, (0, width - len(name)), constant_values=-1) for name in names]))
        targets = rows[:, 1:]
        logits = self.logits(rows[:, :-1].clamp(min=0))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return float(loss.detach())


class Eager:
    """The same formula on Values, nothing recorded. Without an update, which would not be noticed beside it."""

    def __init__(self) -> None:
        self.values, flat = values_of(SHAPES)
        for value, number in zip(flat, flatten(weights(), SHAPES).tolist(), strict=True):
            value.data = number
        self.flat = flat

    def step(self, names: list[np.ndarray]) -> float:
        """Loss and gradients."""
        total, tokens = Value(0.0), 0
        for name in names:
            logits = GptModel.formula(CONFIG, self.values, name[:-1].tolist(), None)
            for row, target in zip(logits, name[1:].tolist(), strict=True):
                total, tokens = total + cross_entropy(row, target), tokens + 1
        (total / tokens).backward()
        return total.data / tokens


def timed_steps(engines: dict[str, object], size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a step, engines taking turns; and the first losses, which must agree."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    losses = {}
    steps = batches(size)[:rounds]
    for begin in range(0, rounds, TURN):
        for name, engine in engines.items():
            for names in steps[begin : begin + TURN]:
                start_time = perf_counter()
                loss = engine.step(names)  # type: ignore[attr-defined]
                times[name].append(1e3 * (perf_counter() - start_time))
                losses.setdefault(name, loss)
    first = next(iter(losses.values()))
    assert all(abs(loss - first) < 1e-5 for loss in losses.values()), losses
    table = {}
    for name, ms in times.items():
        low, _, high = quantiles(ms[5:] if len(ms) > 10 else ms, n=4)
        table[name] = {"ms": median(ms[5:] if len(ms) > 10 else ms), "low": low, "high": high, "loss": losses[name]}
    return table


def main() -> None:
    """Measure, print a table and one JSON object."""
    torch.set_num_threads(1)
    engines: dict[str, object] = {
        "program, float64": Programs(np.float64),
        "program, float32": Programs(np.float32),
        "PyTorch, eager": Torch(),
    }
    rows = {
        "1 name": timed_steps(engines, 1, ROUNDS),
        "32 names": timed_steps(engines, 32, ROUNDS),
        "1 name, in Python": timed_steps(
            {"program, float64": Programs(np.float64), "Values, eager": Eager()}, 1, 8
        ),
    }
    for what, table in rows.items():
        for name, row in table.items():
            print(f"{what:<18} {name:<18} {row['ms']:9.3f} ms  ({row['low']:.3f} to {row['high']:.3f})")
    print(json.dumps({"machine": machine(), "parameters": sum(np.prod(s) for s in SHAPES.values()).item(), **rows}))


if __name__ == "__main__":
    main()
