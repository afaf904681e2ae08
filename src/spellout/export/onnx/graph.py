"""An ONNX graph that is being written: nodes, constants, inputs and outputs, each named once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET, IR_VERSION = 18, 9
"""What runtimes since 2023 know."""
_TYPES = {"float": TensorProto.FLOAT, "int": TensorProto.INT64}
Size = int | str


@dataclass
class State:
    """What goes into a step and comes out of it renewed."""

    name: str
    kind: str
    sizes: tuple[Size, ...]


@dataclass
class Graph:
    """The nodes so far, in the order in which they run."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    renewed: dict[str, str] = field(default_factory=dict)
    """The value that each state has afterwards."""
    _numbers: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node of one output, whose name is returned."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """Write an array under its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def number(self, value: float | Sequence[int], kind: type[np.generic] = np.float32) -> str:
        """Give the name of a number, or of a few, each written once."""
        key = (kind.__name__, tuple(value) if isinstance(value, Sequence) else value)
        if key not in self._numbers:
            self._numbers[key] = self.constant(f"number{len(self._numbers)}", np.array(value, kind))
        return self._numbers[key]

    def whole(self, value: int | Sequence[int]) -> str:
        """Give the name of a whole number, or of a few."""
        return self.number(value, np.int64)

    def state(self, name: str, kind: str, *sizes: Size) -> str:
        """Ask for a state, (B, sizes...), of kind `float` or `int`."""
        if all(one.name != name for one in self.states):
            self.states.append(State(name, kind, ("batch", *sizes)))
        return name

    def renew(self, state: str, value: str) -> None:
        """Say what a state is afterwards."""
        self.renewed[state] = value

    def finished(self, row: str, vocabulary_size: int, described: dict[str, str]) -> ModelProto:
        """Give the model: `token` and the states in, `log_probabilities` and the states renewed out."""
        self.nodes.append(helper.make_node("Identity", [row], ["log_probabilities"]))
        inputs = [_info("token", "int", ("batch",))]
        outputs = [_info("log_probabilities", "float", ("batch", vocabulary_size))]
        for one in self.states:
            after = self.renewed.get(one.name, one.name)
            self.nodes.append(helper.make_node("Identity", [after], [f"new_{one.name}"]))
            inputs.append(_info(one.name, one.kind, one.sizes))
            grown = tuple(
                f"{size} + 1" if isinstance(size, str) and size != "batch" else size for size in one.sizes
            )
            outputs.append(_info(f"new_{one.name}", one.kind, grown))
        graph = helper.make_graph(self.nodes, "step", inputs, outputs, list(self.constants.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="spellout"
        )
        helper.set_model_props(model, described)
        return model


def _info(name: str, kind: str, sizes: Sequence[Size]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES[kind], list(sizes))
