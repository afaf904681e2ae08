"""Does bfloat16 on a CPU reach a dev loss sooner than float32?

    taskset -c 0 python bench/precision.py NAMES.txt [--steps 1500] [--only gru:192,...]

Three ways of the same training, same seed, same order of batches, one core: float32; factors of matrix products
rounded to bfloat16 inside oneDNN; and `torch.autocast`. First each way trains for all steps and is judged on dev
lines twenty times. Then steps of all are timed in interleaved rounds, medians of processor time. What is told is,
for each way, milliseconds a step, the best dev loss, and the seconds of steps until the dev loss is the worst of
these best ones, a loss that all of them reach. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.pytorch import layers
from spellout.models.pytorch import learner as torch_learner
from spellout.models.pytorch.device import reproducible
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.schedule import Order
from spellout.training.train import learner_of

SPECIFICATIONS = ["gru:192", "gru+ngram", "transformer:96:heads=6"]
ROUNDS, STEPS_A_ROUND = 15, 6
PACKED_GRU = layers.PackedGru


@contextmanager
def rounded(device: torch.device, threads: int) -> Iterator[None]:
    """Products with factors rounded to bfloat16, where the processor can; all else in float32."""
    with reproducible(device, threads):
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        yield


@contextmanager
def autocast(device: torch.device, threads: int) -> Iterator[None]:
    """Products in bfloat16, as PyTorch's documentation advises."""
    with reproducible(device, threads), torch.autocast(device.type, torch.bfloat16):
        yield


WAYS = {"float32": reproducible, "bfloat16 factors": rounded, "autocast": autocast}


def use(way: str) -> None:
    """Train so from now on. Under autocast the gru is PyTorch's, as docs/processors.md has it."""
    torch_learner.reproducible = WAYS[way]
    layers.PackedGru = torch.nn.GRU if way == "autocast" else PACKED_GRU


def curve(prepared: Prepared, specification: str, steps: int) -> list[tuple[int, float]]:
    """Steps taken, and the best dev loss after them."""
    told = []
    training = TrainingConfig(steps=steps, patience=0, device="cpu")
    train(prepared, specification, told.append, training=training)
    judged = [(event["step"], event["nats_per_char"]) for event in told if event["event"] == "evaluation"]
    return [(step, min(loss for _, loss in judged[: number + 1])) for number, (step, _) in enumerate(judged)]


def times(prepared: Prepared, specification: str) -> dict[str, float]:
    """Seconds of a step for each way."""
    learners = {}
    for way in WAYS:
        use(way)
        learners[way] = learner_of(
            parse_specification(specification),
            prepared.stream,
            prepared.vocabulary.size,
            TrainingConfig(device="cpu"),
        )
    order = Order(learners["float32"].examples, learners["float32"].batch, 0)
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS + 1):
        for way, learner in learners.items():
            use(way)
            begin = time.process_time()
            for index in range(STEPS_A_ROUND):
                learner.step(order.at(number * STEPS_A_ROUND + index), 1e-3)
            if number:
                taken[way].append((time.process_time() - begin) / STEPS_A_ROUND)
    return {way: statistics.median(rounds) for way, rounds in taken.items()}


def compared(prepared: Prepared, specification: str, steps: int) -> dict[str, object]:
    """All ways of one network."""
    curves = {}
    for way in WAYS:
        use(way)
        curves[way] = curve(prepared, specification, steps)
    target = max(losses[-1][1] for losses in curves.values())
    seconds = times(prepared, specification)
    rows = {}
    for way, losses in curves.items():
        reached = next(step for step, loss in losses if loss <= target)
        rows[way] = {
            "ms_a_step": round(seconds[way] * 1e3, 2),
            "dev": round(losses[-1][1], 4),
            "steps": reached,
            "seconds": round(reached * seconds[way], 1),
        }
    return {"target": round(target, 4), **rows}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--only", default=",".join(SPECIFICATIONS))
    arguments = parser.parse_args()
    prepared = Prepared.of(Lines.read(arguments.path), DataConfig(split="lecture"))
    result: dict[str, object] = {"bench": "precision", "machine": machine(), "torch": torch.__version__}
    for specification in arguments.only.split(","):
        result[specification] = compared(prepared, specification, arguments.steps)
        print(specification, result[specification], flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
