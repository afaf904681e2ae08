"""Where a nan or an infinity came from: the first instruction that made one, and the user's line."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .program import CONSTANT, INPUT, PARAMETER, PICK, SELECT, Program


def explain(program: Program, examples: Iterable[tuple[np.ndarray, np.ndarray]]) -> str:
    """One sentence or two about the first example whose result, or else whose gradient, is not finite.

    `examples` are, for each, the number that every instruction made (n,) and the result's gradient for it (n,).
    """
    for example, (values, gradients) in enumerate(examples):
        # Everything after the first culprit is nan because of it, so only that is named.
        for place, value in enumerate(values):
            if not math.isfinite(value):
                return _value_sentence(program, example, place, values)
        # Gradients go from the last instruction to the first, so the first culprit is looked for in that order.
        for place in range(len(values) - 1, -1, -1):
            for arg in program.instructions[place].args:
                if math.isfinite(gradients[place]) and not math.isfinite(gradients[arg]):
                    return (
                        f"the gradient of example {example} is not finite: {_formula(program, place)} = "
                        f"{values[place]:g}{_given(program, place, values)} passes {gradients[arg]} on to "
                        f"{program.names[arg]}"
                    )
    return "the mean over the examples is not finite, though the result of each is; give them a smaller scale"


def _value_sentence(program: Program, example: int, place: int, values: np.ndarray) -> str:
    op = program.instructions[place].op
    if op == INPUT:
        return f"input {program.names[place]} of example {example} is {values[place]}; look at the data"
    if op in (PARAMETER, CONSTANT, PICK, SELECT):
        return f"{_formula(program, place)} is {values[place]} already; an earlier step or its start made it so"
    return (
        f"example {example} makes {_formula(program, place)} = {values[place]}{_given(program, place, values)}; "
        "nothing before it is nan or infinite"
    )


def _formula(program: Program, place: int) -> str:
    line = program.instructions[place].line
    where = f"{line}: " if line else ""
    name, formula = program.names[place], program.formula(place)
    return f"{where}{name}" if name == formula else f"{where}{name} = {formula}"


def _given(program: Program, place: int, values: np.ndarray) -> str:
    """The arguments with their numbers, if they are few."""
    args = dict.fromkeys(program.instructions[place].args)
    if len(args) > 4:
        return ""
    names = program.names
    # a constant's name is its number
    shown = [f"{names[arg]} = {values[arg]:g}" for arg in args if names[arg] != f"{values[arg]:g}"]
    return f" (with {', '.join(shown)})" if shown else ""
