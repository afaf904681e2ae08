"""A snapshot puts back whatever it reaches: any mixture of state, bit for bit, and also after an exception."""

import argparse
import array
import collections
import io
import itertools
import os
import random
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from spellout.doctor import examine
from spellout.doctor.snapshot import borrowed


class Slotted:
    __slots__ = ("filled", "late")

    def __init__(self):
        self.filled = [1]


class Counting:
    """What many programs have: a counter and a registry in the class."""

    count = 0
    registry: list = []  # noqa: RUF012

    def __init__(self):
        type(self).count += 1
        self.registry.append(self)


class Mapping(dict):
    """A dictionary with attributes of its own."""


COUNTER = 0
LATE_NAME = "not_there_before"


def overlapping():
    return torch.arange(6.0).unfold(0, 3, 1)


def strided():
    return torch.arange(24.0).reshape(4, 6)[:, ::2]


def with_special_numbers():
    return torch.tensor([float("nan"), -0.0, 0.0, float("inf")])


def sparse():
    return torch.sparse_coo_tensor([[0, 1], [1, 2]], [1.0, 2.0], (3, 3), check_invariants=True)


def quantized():
    return torch.quantize_per_tensor(torch.arange(4.0), 0.1, 0, torch.qint8)


def write(tensor):
    """Write, in the ways in which one may."""
    if tensor.layout != torch.strided:
        tensor.mul_(3)
    elif tensor.is_inference():
        with torch.inference_mode():
            tensor.zero_()
    elif tensor.is_quantized:
        tensor.copy_(torch.zeros(4))
    else:
        tensor.as_strided((1,), (1,)).fill_(7)


def fields(thing):
    """Slots that are filled, by name."""
    return {name: getattr(thing, name) for name in thing.__slots__ if hasattr(thing, name)}


def objects_in(values):
    filled = np.empty(len(values), dtype=object)
    filled[:] = values
    return filled


# Each kind of state: how it is made, how it is spoilt, and what of it can be compared.
STATE = {
    "slots": (Slotted, lambda one: (one.filled.append(2), setattr(one, "late", 3)), fields),
    "namespace": (lambda: types.SimpleNamespace(n=1), lambda one: vars(one).update(n=2, m=3), vars),
    "arguments": (lambda: argparse.Namespace(lr=0.1), lambda one: setattr(one, "lr", 1), vars),
    "ordered": (lambda: collections.OrderedDict(a=[1], b=2), lambda one: one.move_to_end("a"), lambda one: [*one]),
    "default": (lambda: collections.defaultdict(list), lambda one: one["new"].append(1), dict),
    "deque": (lambda: collections.deque([1, 2], maxlen=2), lambda one: one.append(3), list),
    "mapping": (lambda: Mapping(a=1), lambda one: (one.clear(), setattr(one, "b", 1)), lambda o: (o, vars(o))),
    "long list": (lambda: [*range(30_000), [1]], lambda one: (one[-1].append(2), one.pop(0)), repr),
    "objects": (lambda: objects_in([[1], {2: 3}]), lambda one: (one[0].append(9), one.__setitem__(1, [0])), list),
    "masked": (lambda: np.ma.masked_less(np.arange(4.0), 2), lambda one: one.__setitem__(0, 8), repr),
    "array": (lambda: array.array("d", [1, 2]), lambda one: one.append(5), list),
    "bytes": (lambda: bytearray(b"ab"), lambda one: one.extend(b"c"), bytes),
    "stream": (lambda: io.StringIO("a\nb\n"), lambda one: (one.readline(), one.write("xyz")), io.StringIO.getvalue),
    "generator": (lambda: torch.Generator().manual_seed(1), lambda one: torch.rand(3, generator=one), None),
    "random": (lambda: random.Random(1), lambda one: one.random(), random.Random.getstate),
    "numpy's": (lambda: np.random.default_rng(1), lambda one: one.random(), lambda o: repr(o.bit_generator.state)),
    "overlapping": (overlapping, write, None),
    "expanded": (lambda: torch.zeros(1).expand(3), write, None),
    "strided": (strided, write, None),
    "special": (with_special_numbers, lambda one: one.fill_(0.0), None),
    "sparse": (sparse, write, torch.Tensor.to_dense),
    "compressed": (lambda: torch.eye(3).to_sparse_csc(), write, torch.Tensor.to_dense),
    "inference": (torch.inference_mode()(lambda: torch.ones(3)), write, None),
    "quantized": (quantized, write, torch.Tensor.int_repr),
    "half": (lambda: torch.ones(2, 3, dtype=torch.bfloat16).t(), write, None),
    "complex": (lambda: torch.ones(2, dtype=torch.complex64).conj(), lambda one: one.mul_(2j),
                torch.Tensor.resolve_conj),
}  # fmt: skip


def comparable(name, value):
    _, _, look = STATE[name]
    seen = look(value) if look is not None else value
    if isinstance(seen, torch.Generator):
        return seen.get_state().numpy().tobytes()
    if isinstance(seen, torch.Tensor):
        return seen.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return repr(seen)


@given(names=st.lists(st.sampled_from(sorted(STATE)), min_size=1, max_size=6, unique=True), fails=st.booleans(),
       nested=st.booleans())  # fmt: skip
@settings(max_examples=40)
@pytest.mark.filterwarnings("ignore:.*(beta state|quantize).*")
def test_any_mixture_of_state_is_put_back(names, fails, nested):
    things = {name: STATE[name][0]() for name in names}
    before = {name: comparable(name, thing) for name, thing in things.items()}

    def step():
        for name in names:
            STATE[name][1](things[name])

    try:
        with borrowed(step):
            step()
            assert all(comparable(name, things[name]) != before[name] for name in names)
            if nested:
                inside = {name: comparable(name, thing) for name, thing in things.items()}
                with borrowed(step):
                    step()
                assert {name: comparable(name, thing) for name, thing in things.items()} == inside
            if fails:
                raise ValueError("stop")
    except ValueError:
        assert fails
    assert {name: comparable(name, thing) for name, thing in things.items()} == before


ITERATORS = {
    "list": lambda: iter([1, 2, 3, 4, 5, 6]),
    "count": lambda: itertools.count(3, 2),
    "cycle": lambda: itertools.cycle("abc"),
    "cycle of a loader": lambda: itertools.cycle(DataLoader(list(range(4)), shuffle=True)),
    "zip": lambda: zip(itertools.count(), iter("abcdefgh"), strict=False),
    "map": lambda: map(abs, itertools.count(-3)),
    "enumerate": lambda: enumerate(itertools.cycle([7, 8])),
    "slice": lambda: itertools.islice(itertools.count(), 1, 20, 2),
    "chain": lambda: itertools.chain(iter([1, 2]), iter(range(9))),
    "dictionary": lambda: iter(dict.fromkeys(range(9))),
    "reversed": lambda: reversed([1, 2, 3, 4, 5, 6, 7]),
    "tee": lambda: itertools.tee(iter(range(9)))[0],
    "called": lambda: iter(collections.deque(range(9)).popleft, 50),
    "loader": lambda: iter(DataLoader(TensorDataset(torch.arange(20.0)), batch_size=2, shuffle=True)),
}


@pytest.mark.parametrize("name", ITERATORS)
@pytest.mark.parametrize("place", ["variable", "attribute", "list", "slot"])
@pytest.mark.parametrize("begun", [0, 2])
def test_iterators_give_again_what_they_gave(name, place, begun):
    def made():
        torch.manual_seed(5)
        iterator = ITERATORS[name]()
        taken = [next(iterator) for _ in range(begun)]
        return iterator, taken

    iterator, _ = made()
    expected = [repr(next(iterator)) for _ in range(4)] + [torch.rand(1)]
    iterator, _ = made()
    holder = [iterator] if place == "list" else Slotted() if place == "slot" else types.SimpleNamespace()
    if place in ("slot", "attribute"):
        holder.filled = iterator

    def step():
        if place == "variable":
            return next(iterator)
        return next(holder[0] if place == "list" else holder.filled)

    with borrowed(step):
        first = [repr(step()) for _ in range(3)]
    with borrowed(step):
        step()
    assert first == expected[:3]
    assert [repr(step()) for _ in range(4)] + [torch.rand(1)] == expected


def test_two_iterators_over_one_stay_so():
    source = iter(range(20))
    pairs = zip(source, source, strict=False)

    def step():
        return next(pairs), next(source)

    with borrowed(step):
        assert step() == ((0, 1), 2)
    assert step() == ((0, 1), 2)


def test_an_iterator_of_a_loader_with_workers_is_left_alone():
    loader = DataLoader(TensorDataset(torch.arange(12)), batch_size=2, num_workers=1)
    batches = iter(loader)
    with borrowed(lambda: batches):
        assert next(batches)[0].tolist() == [0, 1]
    assert [batch[0].tolist() for batch in batches] == [[2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]


def test_classes_modules_functions_and_globals():
    module = types.ModuleType("settings_of_mine")
    module.rate, module.history = 0.1, []
    before = Counting.count, list(Counting.registry), set(vars(Counting))

    def step():
        global COUNTER, not_there_before
        COUNTER += 1
        not_there_before = 1
        Counting()
        Counting.more = 2
        module.rate /= 2
        module.history.append(module.rate)
        step.calls = getattr(step, "calls", 0) + 1

    with borrowed(step):
        step()
    assert (Counting.count, Counting.registry, set(vars(Counting))) == before
    assert (module.rate, module.history, vars(step), COUNTER) == (0.1, [], {}, 0)
    assert LATE_NAME not in globals()


class Registering(nn.Module):
    """Its forward changes what only its class and the file name."""

    seen = 0

    def forward(self, x):
        global COUNTER
        COUNTER += 1
        Registering.seen += 1
        return x


def test_what_the_methods_of_a_class_name():
    model = Registering()
    with borrowed(model):
        model(torch.ones(1))
    assert (COUNTER, Registering.seen) == (0, 0)


def settings_now():
    return {
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn": torch.is_deterministic_algorithms_warn_only_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "matmul on CUDA": torch.backends.cuda.matmul.allow_tf32,
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "mkldnn": torch.backends.mkldnn.enabled,
        "attention": torch.backends.cuda.flash_sdp_enabled(),
        "anomaly": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "grad": torch.is_grad_enabled(),
        "printing": repr(torch.tensor(1 / 3)),
        "numpy": (np.geterr(), repr(np.array(1 / 3))),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }


def change_settings(tmp_path):
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    torch._C._set_deterministic_algorithms(True, warn_only=True)  # the public function loads the compiler
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic
    torch.backends.mkldnn.enabled = not torch.backends.mkldnn.enabled
    torch.backends.cuda.enable_flash_sdp(not torch.backends.cuda.flash_sdp_enabled())
    torch.autograd.set_detect_anomaly(True, check_nan=False)
    torch.set_grad_enabled(False)
    torch.set_printoptions(precision=1)
    np.seterr(all="raise")
    np.set_printoptions(precision=1)
    os.environ["OF_THE_STEP"] = "1"
    os.chdir(tmp_path)


def test_settings_are_put_back_after_an_exception_too(tmp_path):
    before = settings_now()
    with pytest.raises(ZeroDivisionError), borrowed():  # noqa: PT012
        change_settings(tmp_path)
        changed = settings_now()
        raise ZeroDivisionError
    assert settings_now() == before
    assert {name for name, value in changed.items() if value == before[name]} <= {"warn"}


@pytest.mark.parametrize("norm", [False, True])
def test_a_graph_from_before_can_still_go_backward(norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(12, 4), torch.arange(12) % 3

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def gradients():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    loss = F.cross_entropy(model(x), y)
    versions = [parameter._version for parameter in model.parameters()]
    examine(model, F.cross_entropy, (x, y), optimizer=optimizer, step=step, overfit_seconds=0.05)
    assert [parameter._version for parameter in model.parameters()] == versions
    loss.backward()
    assert all(map(torch.equal, [p.grad.clone() for p in model.parameters()], gradients()))


def test_memory_that_is_mapped_for_reading_is_not_written(tmp_path):
    np.save(tmp_path / "data.npy", np.arange(8.0))
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    with pytest.warns(UserWarning, match="not writable"):
        data = torch.from_numpy(mapped)
    with borrowed(data):
        assert float(data.sum()) == 28.0


def test_one_thing_that_cannot_be_put_back_does_not_keep_the_others():
    class Stubborn(list):
        def __setitem__(self, *_):
            raise PermissionError("no")

    things = [torch.zeros(2), Stubborn([1]), [1]]
    with pytest.raises(PermissionError), borrowed(things):  # noqa: PT012
        things[0].add_(1)
        things[2].append(2)
    assert things[0].tolist() == [0, 0]
    assert things[2] == [1]


@pytest.mark.filterwarnings("ignore:.*beta state.*")
@pytest.mark.parametrize("layout", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_sparse_inputs_are_examined(layout):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Parameter(torch.randn(6, 8)), nn.Linear(8, 2)

        def forward(self, adjacency):
            return self.last(torch.tanh(torch.sparse.mm(adjacency, self.first)))

    torch.manual_seed(0)
    adjacency = layout((torch.rand(6, 6) > 0.5).float() + torch.eye(6))
    assert not examine(Model(), F.cross_entropy, (adjacency, torch.arange(6) % 2), overfit_seconds=0.05).errors
