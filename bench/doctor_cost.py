"""What an examination costs: seconds for a small model, steps for a larger one, the tape on a forward pass.

python bench/doctor_cost.py
python bench/doctor_cost.py --large [NAME ...]    large nets against the limit: ten steps and two seconds
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from machine import machine
from spellout.doctor import examine
from spellout.doctor.tape import Tape


def perceptron(width: int, hidden: int, samples: int) -> tuple[nn.Module, Any, Any]:
    """A two-layer net, its loss and a batch."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    )
    return model, F.cross_entropy, (torch.randn(samples, width), torch.arange(samples) % 10)


def convolutional(width: int, samples: int) -> tuple[nn.Module, Any, Any]:
    """A small image net."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in ((3, width), (width, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10))
    return model, F.cross_entropy, (torch.randn(samples, 3, 32, 32), torch.arange(samples) % 10)


def transformer(width: int, samples: int, length: int) -> tuple[nn.Module, Any, Any]:
    """A causal language model of two layers."""
    torch.manual_seed(0)

    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.place = nn.Embedding(64, width), nn.Embedding(length, width)
            layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True, norm_first=True)
            self.net, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(width, 64)

        def forward(self, index: torch.Tensor) -> torch.Tensor:
            size = index.shape[1]
            mask = nn.Transformer.generate_square_subsequent_mask(size)
            x = 0.1 * (self.table(index) + self.place(torch.arange(size)))
            return self.out(self.net(x, mask=mask, is_causal=True))

    def loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())

    line = torch.randint(0, 64, (samples, length + 1))
    return Language(), loss, (line[:, :-1], line[:, 1:])


class Residual(nn.Module):
    """Two convolutions and what they are added to."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        same = stride == 1 and before == after
        self.past = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add, and let only what is positive through."""
        return F.relu(self.inner(x) + self.past(x))


def residual(samples: int) -> tuple[nn.Module, Any, Any]:
    """Eight residual blocks on pictures of 224 x 224: 11 million parameters."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    for before, after in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers += [Residual(before, after, after // before), Residual(after, after, 1)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    return model, F.cross_entropy, pictures(samples)


def wide_heads(samples: int, plan: str, pooled: int, normed: bool) -> tuple[nn.Module, Any, Any]:
    """Convolutions by a plan, `M` a pooling, and three wide layers, which hold nearly all of 60 to 130 million."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    width = 3
    for word in plan.split():
        if word == "M":
            layers.append(nn.MaxPool2d(3, 2) if pooled == 6 else nn.MaxPool2d(2, 2))
            continue
        after, kernel, stride, padding = map(int, word.split(","))
        layers.append(nn.Conv2d(width, after, kernel, stride, padding))
        layers += [nn.BatchNorm2d(after), nn.ReLU()] if normed else [nn.ReLU()]
        width = after
    head = [nn.Dropout(), nn.Linear(width * pooled**2, 4096), nn.ReLU()]
    head += [nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return (
        nn.Sequential(*layers, nn.AdaptiveAvgPool2d(pooled), nn.Flatten(), *head),
        F.cross_entropy,
        pictures(samples),
    )


ALEX = "64,11,4,2 M 192,5,1,2 M 384,3,1,1 256,3,1,1 256,3,1,1 M"
"""Krizhevsky 2014: width, kernel, stride and padding of each convolution."""
VGG = "64,3,1,1 M 128,3,1,1 M 256,3,1,1 256,3,1,1 M 512,3,1,1 512,3,1,1 M 512,3,1,1 512,3,1,1 M"
"""Simonyan & Zisserman 2015, the eleven layers."""


def pictures(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of 224 x 224, and classes."""
    return torch.randn(samples, 3, 224, 224), torch.arange(samples) % 1000


def seconds(call: Callable[[], Any], rounds: int) -> float:
    """The median of the processor's seconds of some rounds, after one that warms up."""
    call()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return median(times)


def cost(model: nn.Module, loss: Any, batch: Any, rounds: int) -> dict[str, float]:
    """Seconds of a training step, of the examination without and with the overfit check, and of the tape."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        loss(model(batch[0]), batch[1]).backward()
        optimizer.step()

    def evaluate() -> None:
        model.eval()
        with torch.no_grad():
            loss(model(batch[0]), batch[1])

    def examined(budget: float) -> None:
        examine(model, loss, batch, optimizer=optimizer, step=step, evaluate=evaluate, overfit_seconds=budget)

    def taped() -> None:
        with Tape():
            model(batch[0])

    steps, wholes, plain, recorded = [], [], [], []
    for _ in range(rounds):  # interleaved, so that a busy machine slows both
        steps.append(seconds(step, 5))
        wholes.append(seconds(lambda: examined(0), 1))
    one, whole = median(steps), median(wholes)
    for _ in range(5):
        plain.append(seconds(lambda: model(batch[0]), 2))
        recorded.append(seconds(taped, 3))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "step": round(one, 5),
        "examination": round(whole, 3),
        "in steps": round(median(both / alone for both, alone in zip(wholes, steps, strict=True)), 1),
        "with overfitting": round(seconds(lambda: examined(4.0), 1), 3),
        "forward": round(min(plain), 5),
        "tape": round(min(recorded) / min(plain) - 1, 3),
    }


def against_limit(model: nn.Module, loss: Any, batch: Any) -> dict[str, Any]:
    """Is an examination of a large net done within ten of its own steps and two seconds? One round: it is long."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss(model(batch[0]), batch[1]).backward()
        optimizer.step()

    one = seconds(step, 3)
    begin = time.process_time()
    report = examine(model, loss, batch, optimizer=optimizer, step=step)
    whole = time.process_time() - begin
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "step": round(one, 3),
        "limit": round(10 * one + 2, 2),
        "examination": round(whole, 2),
        "within": whole <= 10 * one + 2,
        "found": [finding.id for finding in report.findings],
        "left out": list(report.not_examined),
    }


LARGE = {
    "residual": lambda: residual(4),
    "alex": lambda: wide_heads(4, ALEX, 6, False),
    "vgg": lambda: wide_heads(2, VGG, 7, True),
}


def main() -> None:
    """Print a table, and one JSON object."""
    if sys.argv[1:2] == ["--large"]:
        large = {name: against_limit(*LARGE[name]()) for name in sys.argv[2:] or LARGE}
        print(json.dumps({"large": large, "threads": torch.get_num_threads(), **machine()}))
        return
    cases = {
        "perceptron": (perceptron(64, 256, 64), 5),
        "transformer": (transformer(64, 16, 32), 5),
        "convolutional": (convolutional(16, 16), 3),
        "large transformer": (transformer(192, 16, 64), 5),
        "large convolutional": (convolutional(32, 16), 5),
        "larger convolutional": (convolutional(64, 16), 3),
        "larger transformer": (transformer(384, 16, 64), 3),
    }
    rows = {}
    for name, (case, rounds) in cases.items():
        rows[name] = cost(*case, rounds)
        print(name, rows[name], flush=True)
    print(json.dumps({"cost": rows, "torch": torch.__version__, "threads": torch.get_num_threads(), **machine()}))


if __name__ == "__main__":
    main()
