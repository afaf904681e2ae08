"""Where a nan or an infinity came from: the first instruction that made one, and the user's line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .kernels.compiling import entry
from .program import CONSTANT, INPUT, PARAMETER, PICK, SELECT, Instruction

if TYPE_CHECKING:
    from .lanes import Lanes


@entry
def all_finite(numbers: Any) -> bool:
    """Whether none of them is nan or infinite; much faster than NumPy for a few hundred."""
    wrong = 0
    for i in range(numbers.shape[0]):
        wrong += numbers[i] - numbers[i] != 0
    return wrong == 0


def explain(lanes: Lanes, floats: np.ndarray, integers: np.ndarray) -> str:
    """One sentence or two about the first example whose result, or else whose gradient, is not finite."""
    count = max(floats.shape[1], integers.shape[1])
    for example in range(count):
        one = slice(example, example + 1)
        values, gradients = lanes.trace(floats[:, one], integers[:, one])
        for place, instruction in enumerate(lanes.program.instructions):
            if not math.isfinite(values[place]):
                return _value_sentence(lanes, example, place, instruction, values)
        for place in range(len(values) - 1, -1, -1):
            for arg in lanes.program.instructions[place].args:
                if math.isfinite(gradients[place]) and not math.isfinite(gradients[arg]):
                    return _derivative_sentence(lanes, example, place, arg, values, gradients)
    return "the mean over the examples is not finite, though the result of each is; give them a smaller scale"


def _value_sentence(lanes: Lanes, example: int, place: int, instruction: Instruction, values: np.ndarray) -> str:
    names = lanes.program.names
    if instruction.op == INPUT:
        return f"input {names[place]} of example {example} is {values[place]}; look at the data"
    if instruction.op in (PARAMETER, CONSTANT, PICK, SELECT):
        return f"{_formula(lanes, place)} is {values[place]} already; an earlier step or its start made it so"
    return (
        f"example {example} makes {_formula(lanes, place)} = {values[place]}{_given(lanes, place, values)}; "
        "nothing before it is nan or infinite"
    )


def _derivative_sentence(
    lanes: Lanes, example: int, place: int, arg: int, values: np.ndarray, gradients: np.ndarray
) -> str:
    return (
        f"the gradient of example {example} is not finite: {_formula(lanes, place)} = {values[place]:g}"
        f"{_given(lanes, place, values)} passes {gradients[arg]} on to {lanes.program.names[arg]}"
    )


def _formula(lanes: Lanes, place: int) -> str:
    line = lanes.program.instructions[place].line
    where = f"{line}: " if line else ""
    name, formula = lanes.program.names[place], lanes.program.formula(place)
    return f"{where}{name}" if name == formula else f"{where}{name} = {formula}"


def _given(lanes: Lanes, place: int, values: np.ndarray) -> str:
    """The arguments with their numbers, if they are few."""
    args = dict.fromkeys(lanes.program.instructions[place].args)
    if len(args) > 4:
        return ""
    names = lanes.program.names
    shown = [f"{names[arg]} = {values[arg]:g}" for arg in args if names[arg] != f"{values[arg]:g}"]
    return f" (with {', '.join(shown)})" if shown else ""
