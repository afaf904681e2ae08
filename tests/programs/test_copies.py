"""Copies and pickles of programs and trainers go on with the same numbers, bit for bit."""

import copy
import functools
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from spellout import MLP, Module, Recorded, Trainer, Value, record
from spellout.errors import InterpretedWarning, RecordingError
from spellout.nn.schedules import Linear
from spellout.programs.lanes import Lanes
from spellout.programs.machine.machine_code import MachineCode
from spellout.programs.optimizers import SGD, AdamW


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


CLONES = pytest.mark.parametrize("clone", [copy.deepcopy, pickled], ids=["copy", "pickle"])


def moons(count=40):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(count, 2))
    return points, np.sign(points[:, 0] * points[:, 1])


def demo():
    return MLP(2, [6, 1], "tanh", rng=random.Random(5))


@CLONES
@pytest.mark.parametrize("compiled", [False, True], ids=["interpreted", "compiled"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), AdamW(Linear(0.02, 30))], ids=["sgd", "adamw"])
def test_a_trainer_goes_on_bit_for_bit(clone, compiled, dtype, optimizer):
    points, labels = moons()
    model = demo()
    program = record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0)
    trainer = Trainer(program, optimizer, dtype, threads=1, compiled=compiled)
    for _ in range(7):
        trainer.step(points, labels)
    other, twin = clone((model, trainer))
    assert twin.compiled is compiled
    assert twin.weights.dtype == dtype
    expected = [trainer.step(points[:n], labels[:n]) for n in (40, 40, 7)]
    assert [twin.step(points[:n], labels[:n]) for n in (40, 40, 7)] == expected
    assert twin.weights.tobytes() == trainer.weights.tobytes()
    assert {name: numbers.tobytes() for name, numbers in twin.memory.items()} == {
        name: numbers.tobytes() for name, numbers in trainer.memory.items()
    }
    twin.step(points, labels)  # and they share nothing
    assert twin.weights.tobytes() != trainer.weights.tobytes()
    twin.write_back()
    assert [p.data for p in other.parameters()] == twin.weights.tolist()
    assert [p.data for p in model.parameters()] != twin.weights.tolist()


@CLONES
def test_a_trainer_that_has_used_threads(clone):
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(60_000, 2)), rng.choice([-1.0, 1.0], 60_000)
    model = MLP(2, [16, 16, 1], rng=random.Random(0))
    program = record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0)
    trainer = Trainer(program, AdamW(lr=0.01), threads=2)
    trainer.step(points, labels)
    twin = clone(trainer)
    assert twin.step(points, labels) == trainer.step(points, labels)
    assert twin.weights.tobytes() == trainer.weights.tobytes()


def test_a_trainer_goes_on_in_another_process():
    points, labels = moons()
    model = demo()
    program = record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0)
    trainer = Trainer(program, AdamW(lr=0.01), compiled=True)
    trainer.step(points, labels)
    code = (
        "import pickle, sys; trainer, batch = pickle.load(sys.stdin.buffer);"
        "print(trainer.compiled, trainer.step(*batch).hex(), trainer.weights.tobytes().hex())"
    )
    sent = pickle.dumps((trainer, (points, labels)))
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    loss = trainer.step(points, labels)
    assert done.stdout.decode().split() == ["True", loss.hex(), trainer.weights.tobytes().hex()]


def test_where_machine_code_cannot_be_made_a_pickle_is_interpreted(monkeypatch):
    from spellout.programs.machine import machine_code

    w = Value(1.0)
    trainer = Trainer(record(lambda x: (w * x - 2) ** 2, 1.0), SGD(lr=0.1), compiled=True)
    sent = pickle.dumps(trainer)
    monkeypatch.setattr(machine_code, "available", lambda: False)
    with pytest.warns(InterpretedWarning, match="the program is interpreted: functions of the C library") as caught:
        twin = pickle.loads(sent)
    assert caught[0].filename == __file__
    assert not twin.compiled
    assert "C library" in twin.obstacle
    assert twin.step([1.0, 3.0]) == pytest.approx(trainer.step([1.0, 3.0]), rel=1e-12)


@CLONES
def test_programs_lanes_and_machine_code(clone):
    points, labels = moons()
    model = demo()
    program = record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0)
    before = program(points, labels)
    value, gradient = program.gradient(points, labels)
    twin = clone(program)
    assert str(twin) == str(program)
    assert twin(points, labels).tobytes() == before.tobytes()
    assert twin.gradient(points, labels)[1].tobytes() == gradient.tobytes()
    twin.parameters[0].data += 1.0  # the twin's Values are its own
    assert twin.gradient(points, labels)[0] != value
    assert program.gradient(points, labels)[0] == value
    lanes = Lanes(program, np.float32)
    lanes.weights[:] = 0.125
    assert clone(lanes).weights.tolist() == [0.125] * len(program.parameters)
    code = MachineCode(program, np.linspace(-1, 1, len(program.parameters)))
    results = []
    for one in (code, clone(code)):
        one.load(*Lanes(program).arrange(points, labels))
        total, slope = one.run(1.0)
        results.append((total, slope.tobytes()))
    assert results[0] == results[1]


# Recorded -------------------------------------------------------------------------------------------------------

W = Value(2.0)


def line_loss(line):
    """A plain function: Python pickles its name."""
    return sum(x * W for x in line)


class Model(Module):
    """A model whose method is recorded."""

    def __init__(self):
        self.w = Value(2.0)

    def loss(self, line):
        """The sum of a line's numbers times w."""
        return sum(x * self.w for x in line)


def free_loss(model, line):
    """For functools.partial."""
    return model.loss(line)


@CLONES
@pytest.mark.parametrize(
    "wrap", [lambda m: m.loss, lambda m: functools.partial(free_loss, m)], ids=["method", "partial"]
)
@pytest.mark.parametrize("named", [False, True])
def test_a_recorded_model_is_copied_with_its_values(clone, wrap, named):
    model = Model()
    recorded = Recorded(wrap(model), model.parameters() if named else None, at_most=2)
    assert recorded(np.ones((1, 3))).tolist() == [6.0]
    other, twin = clone((model, recorded))
    other.w.data = 5.0
    assert twin(np.ones((1, 3))).tolist() == [15.0]
    assert twin.gradient(np.ones((1, 4))) == (20.0, [4.0])  # recorded by the twin: it learns the twin's Value
    assert len(twin.programs) == 2
    assert recorded(np.ones((1, 3))).tolist() == [6.0]
    assert len(recorded.programs) == 1
    with pytest.raises(RecordingError, match="at most 2"):
        twin(np.ones((1, 5)))


def test_a_copy_of_a_recorded_plain_function_shares_its_values():
    recorded = Recorded(line_loss, [W])
    recorded(np.ones((1, 3)))
    twin = copy.deepcopy(recorded)
    assert twin.gradient(np.ones((1, 4))) == (8.0, [4.0])
    assert next(iter(twin.programs.values())).parameters == (W,)


def test_a_pickled_plain_function_is_not_mixed_with_other_values():
    """Its module's Values are not those of the pickle: a new recording would freeze them without a word."""
    for parameters in (None, [W]):
        recorded = Recorded(line_loss, parameters)
        recorded(np.ones((1, 3)))
        twin = pickled(recorded)
        assert twin.gradient(np.ones((2, 3))) == (6.0, [3.0])
        with pytest.raises(RecordingError, match=r"other Values than the programs .* functools\.partial"):
            twin.gradient(np.ones((1, 4)))
