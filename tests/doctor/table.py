"""The table of pairs: programs with one mistake, and programs that look like it and are right.

A program is a function that returns what `examine` takes. Registered by decorators, run by `test_pairs.py` and by
`bench/doctor_tools.py`.
"""

from collections.abc import Callable
from typing import Any

Program = Callable[[], dict[str, Any]]
FAULTY: list[tuple[str, Program]] = []
"""The id that must be found, and the program."""
HEALTHY: list[tuple[str, Program]] = []
"""The id that the program could be mistaken for, and the program."""


def faulty(name: str) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        FAULTY.append((name, program))
        return program

    return register


def healthy(name: str) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        HEALTHY.append((name, program))
        return program

    return register


def trained(model, loss, batch, optimizer, evaluate=True, **more):
    """A case whose step and evaluation are written as they should be."""
    import torch

    x, y = batch

    def step():
        model.train()
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    def check():
        model.eval()
        with torch.no_grad():
            return float(loss(model(x), y))

    case = {"model": model, "loss": loss, "batch": batch, "optimizer": optimizer, "step": step, **more}
    return {**case, "evaluate": check} if evaluate else case
