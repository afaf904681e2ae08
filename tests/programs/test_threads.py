"""Many threads at once: each gets its own right numbers, and nothing that one does is felt in another.

Threads meet at barriers inside what is tested, so that the calls are open at the same time on any machine, whatever
its load. Where a thread must not get in while another is inside, a barrier is given up after a moment: a slow
machine can then miss a fault, and cannot invent one.
"""

import asyncio
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spellout import MLP, Recorded, Trainer, Value, freeze, pick, record
from spellout.autograd import graph as engine
from spellout.errors import GraphError, RecordingError
from spellout.nn.losses import cross_entropy
from spellout.programs import lanes as room
from spellout.programs.lanes import Lanes
from spellout.programs.optimizers import SGD, AdamW

LONG, MOMENT = 60.0, 0.3
"""Seconds: until a barrier is given up that must be reached, and one that must not."""


def at_once(*functions):
    """What each returns, in a thread of its own."""
    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(LONG) for future in [pool.submit(function) for function in functions]]


def meets(barrier):
    """Whether the others come, too."""
    try:
        barrier.wait()
    except threading.BrokenBarrierError:
        return False
    return True


@pytest.fixture
def meeting(monkeypatch):
    """Two threads enter the kernels together and leave them together; gives the memory that each one had."""
    barrier, held, real = threading.Barrier(2, timeout=LONG), {}, room.execute

    def execute(*arguments):
        held[threading.get_ident()] = [a for a in arguments if isinstance(a, np.ndarray) and a.flags.writeable]
        barrier.wait()
        real(*arguments)
        barrier.wait()

    monkeypatch.setattr(room, "execute", execute)
    return held


def a_network(seed=0, example=([0.0, 0.0], 0)):
    model = MLP(2, [7, 3], activation="tanh", rng=random.Random(seed))
    return record(lambda x, target: cross_entropy(model(x), target), *example)


def some_examples(seed, count=50):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)), rng.integers(0, 3, count)


# One program -----------------------------------------------------------------------------------------------


def test_two_calls_of_one_program_have_memory_of_their_own(meeting):
    program = a_network()
    at_once(*[lambda seed=seed: program(*some_examples(seed)) for seed in (1, 2)])
    one, other = meeting.values()
    assert not any(np.shares_memory(a, b) for a in one for b in other)


def test_two_gradients_of_one_program_are_each_its_own(meeting, monkeypatch):
    program = a_network()
    both = at_once(*[lambda seed=seed: program.gradient(*some_examples(seed)) for seed in (1, 2)])
    monkeypatch.undo()
    for seed, (mean, gradient) in zip((1, 2), both, strict=True):
        wanted, wanted_gradient = program.gradient(*some_examples(seed))
        assert mean == wanted
        assert gradient.tolist() == wanted_gradient.tolist()


@pytest.mark.parametrize("count", [40, 30_000])  # one chunk, and several with threads of their own
def test_many_calls_from_many_threads_are_those_of_one(count):
    program = a_network()
    wanted = [
        (program(*some_examples(seed, count)), program.gradient(*some_examples(seed, count))) for seed in (1, 2)
    ]
    start = threading.Barrier(4, timeout=LONG)

    def work(which):
        examples = some_examples(1 + which, count)
        start.wait()
        for _ in range(600_000 // count // 20):
            results, (mean, gradient) = program(*examples), program.gradient(*examples)
            assert np.array_equal(results, wanted[which][0])
            assert mean == wanted[which][1][0]
            assert np.array_equal(gradient, wanted[which][1][1])

    at_once(*[lambda i=i: work(i % 2) for i in range(4)])
    assert len(program._idle) <= 4


def test_memory_is_used_again_after_a_call_and_after_an_error():
    program = a_network()
    program(*some_examples(1))
    (first,) = program._idle
    with pytest.raises(ValueError, match="argument"):
        program([1.0], [0])
    program.gradient(*some_examples(1))
    assert program._idle == [first]


def test_lanes_that_two_threads_share_are_entered_one_at_a_time(monkeypatch):
    program, barrier, met, real = a_network(), threading.Barrier(2, timeout=MOMENT), [], room.execute
    lanes = Lanes(program)
    lanes.read_values()
    wanted = [lanes.forward(*lanes.arrange(*some_examples(seed))).tolist() for seed in (1, 2)]

    def execute(*arguments):
        met.append(meets(barrier))
        real(*arguments)

    monkeypatch.setattr(room, "execute", execute)
    both = at_once(*[lambda s=s: lanes.forward(*lanes.arrange(*some_examples(s))).tolist() for s in (1, 2)])
    assert both == wanted
    assert met == [False, False]


@pytest.mark.parametrize("compiled", [False, True])
def test_two_trainers_of_one_program_train_as_one_does(compiled):
    program = a_network()
    start = threading.Barrier(3, timeout=LONG)

    def train(seed, wait=True):
        trainer = Trainer(program, AdamW(lr=0.01), compiled=compiled)
        assert trainer.compiled == compiled
        if wait:
            start.wait()
        losses = [trainer.step(*some_examples(seed)) for _ in range(300)]
        return losses, trainer.weights.tolist()

    together = at_once(lambda: train(1), lambda: train(2), lambda: train(1))
    assert together == [train(seed, wait=False) for seed in (1, 2, 1)]


def test_a_program_and_its_lanes_are_pickled_without_their_memory():
    program = pickle.loads(pickle.dumps(a_network()))
    examples = some_examples(1)
    results, size = program(*examples).tolist(), len(pickle.dumps(program))
    assert len(pickle.dumps(a_network())) == pytest.approx(size, rel=0.05)
    assert pickle.loads(pickle.dumps(program))(*examples).tolist() == results
    lanes = Lanes(program, np.float32)
    lanes.weights[:] = 0.25
    again = pickle.loads(pickle.dumps(lanes))
    assert (again.dtype, again.threads, again.weights.tolist()) == (
        lanes.dtype,
        lanes.threads,
        lanes.weights.tolist(),
    )
    assert np.array_equal(again.forward(*again.arrange(*examples)), lanes.forward(*lanes.arrange(*examples)))


# Recording -------------------------------------------------------------------------------------------------


def test_two_recordings_at_once_are_both_right():
    barrier, weights = threading.Barrier(2, timeout=LONG), [Value(2.0), Value(-3.0)]

    def function(x, w):
        barrier.wait()
        y = x * w
        barrier.wait()
        y = y + w
        barrier.wait()
        return y * x

    programs = at_once(*[lambda w=w: record(lambda x: function(x, w), 1.0) for w in weights])
    for w, program in zip(weights, programs, strict=True):
        assert program.parameters == (w,)
        assert program([1.0, 2.0]).tolist() == [w.data * x * x + w.data * x for x in (1.0, 2.0)]
    assert Value(1.0) > 0  # and nothing is recorded any more


def test_other_threads_compute_on_while_one_records():
    inside, done = threading.Event(), threading.Event()

    def function(x):
        inside.set()
        assert done.wait(LONG)
        return x * 2.0

    def compute():
        try:
            assert inside.wait(LONG)
            w = Value(3.0)
            y = w * w if w > 0 else w
            y.backward()
            w.data = w.data - 1.0
            return float(y), w.grad, w.data, f"{y:.1f}"
        finally:
            done.set()

    program, computed = at_once(lambda: record(function, 1.0), compute)
    assert computed == (9.0, 6.0, 2.0, "9.0")
    assert program([4.0]).tolist() == [8.0]
    assert program.computed == 1


def test_a_value_computed_by_another_thread_is_refused_and_not_frozen():
    def function(x):
        (y,) = at_once(lambda: x * 2.0)
        return y + 1.0

    with pytest.raises(RecordingError, match="computed before the recording"):
        record(function, 1.0)


def test_a_parameter_that_another_thread_changes_meanwhile_stays_a_parameter():
    w = Value(2.0)

    def function(x):
        at_once(lambda: setattr(w, "data", 5.0))
        return x * w

    program = record(function, 1.0)
    assert program.parameters == (w,)
    w.data = 7.0
    assert program([2.0]).tolist() == [14.0]


def test_recorded_records_once_for_all_threads():
    calls, barrier, w = [], threading.Barrier(2, timeout=MOMENT), Value(3.0)

    def function(x):
        calls.append(meets(barrier))
        return sum(x) * w

    recorded = Recorded(function, at_most=1)
    results = at_once(*[lambda k=k: recorded(np.full((2, 3), k)).tolist() for k in (1.0, 2.0)])
    assert results == [[9.0, 9.0], [18.0, 18.0]]
    assert calls == [False]
    assert len(recorded.programs) == 1


def test_a_recorded_function_may_ask_itself_for_a_shorter_example():
    recorded = Recorded(
        lambda x: sum(x) + (recorded.program(np.ones((1, len(x) - 1))).computed if len(x) > 1 else 0)
    )
    assert recorded(np.ones((1, 3))).tolist() == [3.0 + 1.0]
    assert len(recorded.programs) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, RecursionError, SystemExit])
def test_nothing_is_recorded_after_any_exception(error):
    def function(x):
        raise error

    for _ in range(2):
        with pytest.raises(error):
            record(function, 1.0)
        assert Value(1.0) > 0
        assert record(lambda x: x * 2, 1.0)([3.0]).tolist() == [6.0]


def test_a_recording_within_a_recording_ends_by_itself():
    def function(x):
        inner = record(lambda y: y * 3.0, 1.0)
        return x * float(inner([2.0])[0])

    program = record(function, 1.0)
    assert program([1.0, 2.0]).tolist() == [6.0, 12.0]
    assert Value(1.0) > 0


def test_an_integer_input_is_of_its_own_recording_only():
    kept = []
    rows = [Value(1.0), Value(2.0)]
    record(lambda i: kept.append(i) or pick(rows, i), 0)
    for use in (lambda: pick(rows, kept[0]), lambda: record(lambda j: pick(rows, j) * pick(rows, kept[0]), 1)):
        with pytest.raises(RecordingError, match="an integer input of a recording was used after it, in another"):
            use()


def test_tasks_of_a_loop_record_and_compute_beside_each_other():
    started = []

    async def later():
        return Value(2.0) > 0 and (Value(2.0) * 3.0).data

    def function(x):
        started.append(asyncio.get_running_loop().create_task(later()))  # it has a copy of the context of now
        return x * 2.0

    async def main():
        here = record(function, 1.0)
        there = await asyncio.gather(*[asyncio.to_thread(a_network, seed) for seed in (0, 1, 0)])
        return here([3.0]).tolist(), await started[0], [p(*some_examples(1)).tolist() for p in there]

    tripled, computed, losses = asyncio.run(main())
    assert (tripled, computed) == ([6.0], 6.0)
    assert losses == [a_network(seed)(*some_examples(1)).tolist() for seed in (0, 1, 0)]


# Values ----------------------------------------------------------------------------------------------------


def test_a_change_is_noticed_though_another_thread_changes_something_at_the_same_time(monkeypatch):
    """The serial of the newest change never goes back to an older one."""
    mine, yours, changed = Value(1.0), Value(1.0), threading.Event()
    number, slow = engine.next_serial, threading.Event()

    def next_serial():
        serial = number()
        if slow.is_set() and threading.current_thread() is not threading.main_thread():
            slow.clear()
            took.set()
            changed.wait(MOMENT)
        return serial

    took = threading.Event()
    monkeypatch.setattr(engine, "next_serial", next_serial)
    slow.set()
    other = threading.Thread(target=lambda: setattr(yours, "data", 2.0))
    other.start()
    assert took.wait(LONG)
    y = mine * 3.0  # newer than the other's change, which is not written down yet
    mine.data = 5.0
    changed.set()
    other.join()
    with pytest.raises(GraphError, match="was changed"):
        y.backward()


def test_training_in_two_threads_is_training_twice():
    def train(seed, meet=lambda: None):
        model = MLP(2, [3, 1], rng=random.Random(seed))
        meet()
        for _ in range(40):
            for p in model.parameters():
                p.grad = 0.0
            loss = (model([0.5, -1.0]) - 1.0) ** 2
            loss.backward()
            for p in model.parameters():
                p.data -= 0.05 * p.grad
        return loss.data

    start = threading.Barrier(3, timeout=LONG)
    assert at_once(*[lambda s=s: train(s, start.wait) for s in (1, 2, 1)]) == [train(s) for s in (1, 2, 1)]


def test_frozen_numbers_are_those_of_the_thread_that_records():
    w = Value(2.0)
    programs = at_once(*[lambda: record(lambda x: x * freeze(w), 1.0)] * 2)
    assert [p([3.0]).tolist() for p in programs] == [[6.0], [6.0]]
    trainers = [Trainer(record(lambda x: (w * x - 1.0) ** 2, 1.0), SGD(lr=0.25)) for _ in range(2)]
    assert at_once(*[lambda t=t: t.step([1.0]) for t in trainers]) == [1.0, 1.0]
