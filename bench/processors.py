"""Which results are the same on every processor, and to how many digits the others agree.

    python bench/processors.py

Every result is worked out in processes whose libraries may use SSE only, AVX2, or all that this processor has
(tests/processors.py), and then natively with two threads. Told is, for each result and each of these, whether all
its bits are those of the native process with one thread, and if not, the largest difference from it, as a part of
the largest number. The last line is one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from machine import machine
from spellout import MLP, Trainer, Value, record
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram
from spellout.models.table import MODELS, parse_specification
from spellout.programs.optimizers import AdamW
from spellout.training.config import TrainingConfig
from spellout.training.train import learner_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import golden_losses
from processors import held_down

CASES = {"sse": ("sse", 1), "avx2": ("avx2", 1), "native": ("native", 1), "two threads": ("native", 2)}
STEPS = 30
Result = dict[str, list[float] | list[str]]


def counting(prepared: Prepared, threads: int) -> Result:
    """What is counted, its smoothing in closed form and fitted, and lines made with it."""
    size, stream = prepared.vocabulary.size, prepared.stream
    found: Result = {}
    for name, config in [
        ("closed form", NgramConfig(order=5, smoothing="closed-form")),
        ("fitted", NgramConfig(order=5)),
    ]:
        model, _ = train_ngram(stream, size, config, lambda event: None)
        arrays = model.arrays()
        if name == "fitted":
            counts = [array.ravel() for array in arrays.values() if array.dtype.kind in "iu"]
            found["n-gram: counts"] = np.concatenate(counts).tolist()
        found[f"n-gram, {name}: log-probabilities"] = model.log_probabilities(stream[None, :2000]).ravel().tolist()
        lines = islice(sample(model, prepared.vocabulary, SamplingConfig(seed=1)), 2000)
        found[f"n-gram, {name}: 2,000 lines made"] = [line.text for line in lines]
    return found


def scalars(prepared: Prepared, threads: int) -> Result:
    """One loss on Values, eager, recorded and compiled: 100 points, and the weights after some steps."""
    random = np.random.default_rng(0)
    points = random.normal(size=(100, 2))
    labels = np.sign(points[:, 0] * points[:, 1])
    weights = random.normal(size=49)
    found: Result = {}

    def model() -> MLP:
        made = MLP(2, [8, 2, 1], activation="tanh")
        for parameter, number in zip(made.parameters(), weights, strict=False):
            parameter.data = float(number)
        return made

    def loss(net: MLP, x: object, y: object) -> Value:
        return (1 - y * net(x)).relu() + (net(x).exp() + 1).log()

    eager = model()
    total = sum(loss(eager, [float(a), float(b)], float(y)) for (a, b), y in zip(points, labels, strict=True))
    total.backward()
    found["Values: loss and gradients"] = [total.data, *(p.grad for p in eager.parameters())]
    for dtype in (np.float64, np.float32):
        for compiled in (False, True):
            net = model()
            program = record(lambda x, y, net=net: loss(net, x, y), [0.0, 0.0], 0.0)
            trainer = Trainer(program, AdamW(lr=0.01), dtype, threads=threads, compiled=compiled)
            for _ in range(STEPS):
                last = trainer.step(points, labels)
            trainer.write_back()
            way = "compiled" if compiled else "recorded"
            name = f"{way}, {np.dtype(dtype).name}: weights after {STEPS} steps"
            found[name] = [float(last), *(p.data for p in net.parameters())]
    return found


def networks(prepared: Prepared, threads: int) -> Result:
    """Networks in steps: the weights, and what a model with given weights says and makes."""
    found: Result = {}
    size = prepared.vocabulary.size
    training = TrainingConfig(device="cpu", threads=threads)
    for specification in golden_losses.SPECIFICATIONS:
        asked = parse_specification(specification)
        learner = learner_of(asked, prepared.stream, size, training)
        batches = np.random.default_rng(5).integers(0, learner.examples, (STEPS, 64))
        losses = [learner.step(batch, learner.lr) for batch in batches]
        found[f"{specification}: losses of {STEPS} steps"] = losses
    for specification in ("mlp:16", "gpt:8", "gru:32", "transformer:32"):
        asked = parse_specification(specification)
        start = learner_of(asked, prepared.stream, size, training).model()
        random = np.random.default_rng(3)
        arrays = {name: random.normal(size=a.shape) / 4 for name, a in start.arrays().items()}
        model = MODELS[asked.family.name].model.restore(
            start.settings(), {name: a.astype(start.arrays()[name].dtype) for name, a in arrays.items()}
        )
        found[f"{specification}: log-probabilities"] = model.log_probabilities(prepared.stream[None, :400]).ravel()
        found[f"{specification}: log-probabilities"] = list(
            map(float, found[f"{specification}: log-probabilities"])
        )
        lines = islice(sample(model, prepared.vocabulary, SamplingConfig(seed=1, max_length=20)), 500)
        found[f"{specification}: 500 lines made"] = [line.text for line in lines]
    return found


PARTS: list[Callable[[Prepared, int], Result]] = [counting, scalars, networks]


def work_out(threads: int) -> None:
    """All results of this process, as one line of JSON; a float in Python's shortest form keeps all its bits."""
    import torch

    torch.set_num_threads(threads)
    prepared = Prepared.of(Lines.of(Lines.bundled().distinct[:1000]), DataConfig())
    results: Result = {}
    for part in PARTS:
        results |= part(prepared, threads)
    print(json.dumps(results))


def difference(ours: list, theirs: list) -> float | str:
    """0 if all bits agree; else the largest difference by the largest number, or how many lines differ."""
    if ours == theirs:
        return 0
    if isinstance(ours[0], str):
        return f"{sum(a != b for a, b in zip(ours, theirs, strict=True))} of {len(ours)} lines"
    a, b = np.array(ours), np.array(theirs)
    return float(f"{np.abs(a - b).max() / np.abs(b).max():.1e}")


def main() -> None:
    """Work everything out and compare."""
    if sys.argv[1:2] == ["--here"]:
        work_out(int(sys.argv[2]))
        return
    found = {}
    for case, (level, threads) in CASES.items():
        environment = held_down(level) | {"OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, __file__, "--here", str(threads)]
        found[case] = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
        print(f"{case}: done", flush=True)
    rows = {
        name: {case: difference(found[case][name], theirs) for case in CASES if case != "native"}
        for name, theirs in found["native"].items()
    }
    for name, row in rows.items():
        print(
            f"{name:55}", *(f"{case}: {'same' if value == 0 else value}" for case, value in row.items()), sep="  "
        )
    print(json.dumps({"bench": "processors", "machine": machine(), "differences": rows}))


if __name__ == "__main__":
    main()
