"""A step from elsewhere is refused in one sentence if it cannot run."""

from dataclasses import replace

import numpy as np
import pytest

from spellout.export.checking import checked
from spellout.export.step import Instruction, Shape, Step, Table

TABLE = Table(
    ("c1",),
    np.zeros(0, np.int64),
    keys=(np.array([0], np.uint64), np.array([1], np.uint64)),
    offsets=(np.array([0, 2]), np.array([0, 1])),
    tokens=(np.array([0, 1], np.uint8), np.array([2], np.uint8)),
    counts=(np.array([2, 1]), np.array([1])),
    discounts=np.array([[0, 0.5, 0.5, 0.5]] * 2),
    concentrations=np.ones(2),
)
SHAPE = Shape(np.array([0, 1, 1]), np.array([[0, 1], [0, 1]], np.int32), np.zeros((2, 2), np.float32))
GOOD = Step(
    3,
    (
        Instruction("row", (), ("w", "c1")),
        Instruction("recall", (), ("m",), 4.0),
        Instruction("add", (0, 1)),
        Instruction("remember", (2,), ("m",)),
        Instruction("linear", (3,), ("v", "b")),
        Instruction("counts", (), ("t",)),
        Instruction("shape", (), ("s",)),
        Instruction("add", (4, 5)),
        Instruction("add", (7, 6)),
        Instruction("log_softmax", (8,)),
    ),
    {"w": np.zeros((3, 4), np.float32), "v": np.zeros((3, 4), np.int8), "b": np.zeros(3)},
    {"t": TABLE},
    {"s": SHAPE},
)


def test_a_step_that_can_run_is_given_back():
    assert checked(GOOD) is GOOD


def with_one(place: int, instruction: Instruction) -> Step:
    instructions = list(GOOD.instructions)
    instructions[place] = instruction
    return replace(GOOD, instructions=tuple(instructions))


BAD = {
    "no vocabulary": replace(GOOD, vocabulary_size=0),
    "another vocabulary": replace(GOOD, vocabulary_size=4),
    "nothing": replace(GOOD, instructions=()),
    "an unknown operation": with_one(9, Instruction("softmax", (8,))),
    "a later vector": with_one(2, Instruction("add", (0, 2))),
    "a vector before all": with_one(2, Instruction("add", (0, -1))),
    "no such tensor": with_one(4, Instruction("linear", (3,), ("x",))),
    "no such table": with_one(5, Instruction("counts", (), ("s",))),
    "no such column": with_one(0, Instruction("row", (), ("w", "c13"))),
    "a class's row": with_one(0, Instruction("row", (), ("w", "k1"))),
    "a vector too long": with_one(4, Instruction("linear", (5,), ("v", "b"))),
    "three tensors": with_one(4, Instruction("linear", (3,), ("v", "b", "b"))),
    "no tensor": with_one(4, Instruction("linear", (3,))),
    "a tensor of one axis": with_one(4, Instruction("linear", (3,), ("b",))),
    "heads that do not fit": with_one(3, Instruction("attend", (2, 2, 2), ("n",), 3.0)),
    "half a head": with_one(3, Instruction("attend", (2, 2, 2), ("n",), 0.5)),
    "a memory of another length": with_one(1, Instruction("recall", (), ("m",), 5.0)),
    "a memory of nothing": with_one(1, Instruction("recall", (), ("m",), 0.0)),
    "a memory kept by another": with_one(3, Instruction("average", (2,), ("m",))),
    "a memory kept twice": with_one(2, Instruction("remember", (0,), ("m",))),
    "nan": with_one(9, Instruction("scale", (8,), (), float("nan"))),
    "a part beyond the end": with_one(3, Instruction("part", (2,), (), float((1 << 24) + 4))),
    "numbers that are not finite": replace(GOOD, tensors={**GOOD.tensors, "b": np.array([0, np.inf, 0])}),
    "texts": replace(GOOD, tensors={**GOOD.tensors, "b": np.array(["a", "b", "c"])}),
    "keys beyond the shorter": replace(
        GOOD, tables={"t": replace(TABLE, keys=(TABLE.keys[0], np.array([3], np.uint64)))}
    ),
    "tokens beyond the last": replace(
        GOOD, tables={"t": replace(TABLE, tokens=(TABLE.tokens[0], np.array([3], np.uint8)))}
    ),
    "a level too few": replace(GOOD, tables={"t": replace(TABLE, keys=TABLE.keys[:1])}),
    "a column of classes without any": replace(GOOD, tables={"t": replace(TABLE, columns=("k1",))}),
    "no discounts": replace(
        GOOD, tables={"t": replace(TABLE, discounts=np.zeros((2, 4)), concentrations=np.zeros(2))}
    ),
    "a state beyond the last": replace(
        GOOD, shapes={"s": replace(SHAPE, following=np.array([[0, 2], [0, 1]], np.int32))}
    ),
}


@pytest.mark.parametrize("step", BAD.values(), ids=BAD)
def test_what_cannot_run_is_refused_with_a_sentence(step):
    with pytest.raises(ValueError, match=r"^(no step has|the) [^\n]+$"):
        checked(step)
