"""Two habits of larger networks on lists of lines: averages of weights, and a gate for each head of attention.

    python bench/averages_and_gates.py LINES.txt [--gru gru:128+ngram] [--transformer transformer:64+ngram]
        [--steps 1500] [--seed 0]

Averages: exponential ones of the weights of every step (Polyak & Juditsky 1992, "Acceleration of Stochastic
Approximation by Averaging"), over about so many last steps as the rows say, beside the weights themselves; with a
rate that falls to zero at the end, as `train` does, and with one that stays after the warm-up. Gates: what each
head of a Transformer brings is multiplied by 2σ(w·x + b), b = 0 at first (Qiu et al. 2025, "Gated Attention for
Large Language Models"). Losses of dev lines in nats per character, as it is and of new lines, as in
`new_recipes.py`; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from machine import machine
from new_recipes import Said, judged
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.pytorch import layers, transformer
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.schedule import Order, learning_rate
from spellout.training.train import learner_of

LAST = 30, 100, 300
"""Steps over which weights are averaged: the decay is 1 - 1/steps."""


def trained(prepared: Prepared, specification: str, steps: int, seed: int, decay: str) -> dict[str, Any]:
    """Train a network and judge it with its last weights, and with averages of them."""
    parsed, config = parse_specification(specification), TrainingConfig(steps=steps, train_seed=seed, threads=1)
    learner: Any = learner_of(parsed, prepared.stream, prepared.vocabulary.size, config)
    order, network = Order(learner.examples, learner.batch, seed), learner.network
    averages = {last: {name: p.detach().clone() for name, p in network.named_parameters()} for last in LAST}
    for step in range(steps):
        learner.step(order.at(step), learning_rate(learner.lr, 0.05, decay, (step + 0.5) / steps))
        for last, average in averages.items():
            with torch.no_grad():  # the first steps count less: they are averaged over those there are
                for name, p in network.named_parameters():
                    average[name].lerp_(p, max(1 / last, 1 / (step + 1)))
    lines = sorted(set(prepared.split.train))

    def judge() -> dict[str, float]:
        model = learner.model()
        said = [Said.of([model], prepared.vocabulary, part) for part in (lines, prepared.split.dev)]
        return judged([1.0], *said)

    found = {"last weights": judge()}
    for last, average in averages.items():
        with torch.no_grad():
            for name, p in network.named_parameters():
                p.copy_(average[name])
        found[f"averaged over {last}"] = judge()
    return found


@contextmanager
def gated() -> Iterator[None]:
    """Meanwhile, every block of a Transformer that is made has a gate for each of its heads."""
    plain = transformer._block

    def block(config: Any) -> Any:
        made = plain(config)
        made["gate"] = layers.linear(config.width, config.heads, 0.1)
        return made

    def through_block(net: Any, block: Any, x: Tensor, table: Any) -> Tensor:
        q, k, v = transformer._qkv(net, block, x, table)
        y = transformer.causal_self_attention(q, k, v, net.dropout).permute(2, 0, 1, 3)  # (T, B, H, D)
        y = y * (2 * torch.sigmoid(table.lay(block.gate(block.norm1(x)))))[..., None]
        x = x + net.dropout(block.attention.out(table.gather(y)))
        return x + transformer._feed_forward(net, block, x)

    with (
        mock.patch.object(transformer, "_block", block),
        mock.patch.object(transformer, "_through_block", through_block),
    ):
        yield


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--gru", default="gru:128+ngram")
    parser.add_argument("--transformer", default="transformer:64+ngram")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    prepared = Prepared.of(Lines.read(asked.path), DataConfig())
    rows: dict[str, Any] = {}

    def add(name: str, specification: str, decay: str) -> None:
        rows[name] = trained(prepared, specification, asked.steps, asked.seed, decay)
        print(name, rows[name], flush=True)

    add(asked.gru, asked.gru, "linear")
    add(f"{asked.gru}, the rate stays", asked.gru, "none")
    add(asked.transformer, asked.transformer, "linear")
    with gated():
        add(f"{asked.transformer}, gated heads", asked.transformer, "linear")
    print(json.dumps({"bench": "averages_and_gates", "machine": machine(), "steps": asked.steps, "rows": rows}))


if __name__ == "__main__":
    main()
