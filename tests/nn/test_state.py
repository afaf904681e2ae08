"""Parameters to a safetensors file and back."""

import random

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from spellout import MLP
from spellout.errors import RunError, ShapeError
from spellout.nn.attention import Attention
from spellout.nn.module import load_state, save_state


def test_round_trip_is_exact(tmp_path):
    file = tmp_path / "model.safetensors"
    for make in (
        lambda seed: MLP(3, [4, 1], rng=random.Random(seed)),
        lambda seed: Attention(4, rng=random.Random(seed)),
    ):
        model, other = make(0), make(1)
        save_state(model, file)
        load_state(other, file)
        assert [p.data for p in other.parameters()] == [p.data for p in model.parameters()]
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_names_and_shapes_are_readable(tmp_path):
    save_state(MLP(3, [4, 1]), tmp_path / "m")
    arrays = load_file(tmp_path / "m")
    assert arrays["layers.0.neurons.2.w"].shape == (3,)
    assert arrays["layers.1.neurons.0.b"].shape == ()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float64)}


def test_files_that_do_not_fit_change_nothing(tmp_path):
    file = tmp_path / "m"
    save_state(MLP(3, [4, 1]), file)
    model = MLP(2, [4, 1], rng=random.Random(0))
    before = [p.data for p in model.parameters()]
    with pytest.raises(ShapeError, match=r"layers\.0\.neurons\.0\.w has the shape \(2,\), the state's is \(3,\)"):
        load_state(model, file)
    with pytest.raises(ShapeError, match=r"has no 'layers\.2\.neurons\.0\.b' \(2 of 12 names are missing\)"):
        load_state(MLP(3, [4, 1, 1]), file)
    with pytest.raises(ShapeError, match="which this MLP has not"):
        load_state(MLP(3, [4]), file)
    assert [p.data for p in model.parameters()] == before


def test_missing_damaged_and_unwritable_files(tmp_path):
    model = MLP(1, [1])
    with pytest.raises(RunError, match="cannot be read"):
        load_state(model, tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"not safetensors at all")
    with pytest.raises(RunError, match="damaged"):
        load_state(model, tmp_path / "bad")
    with pytest.raises(RunError, match="cannot be written"):
        save_state(model, tmp_path / "no" / "folder")


def test_float32_of_another_program_is_read(tmp_path):
    model = MLP(1, [1])
    save_file({name: np.array(x, np.float32) for name, x in model.state_dict().items()}, tmp_path / "m")
    load_state(model, tmp_path / "m")
    assert type(model.parameters()[0].data) is float
