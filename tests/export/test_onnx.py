"""ONNX files, run by onnxruntime, beside the reference on the same stored weights."""

import numpy as np
import pytest

from spellout.api import export, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.export import onnx as target
from spellout.export.lowering.table import lowered
from spellout.export.portable import Portable
from spellout.export.reference import Reference
from spellout.export.storing import stored
from spellout.training.config import TrainingConfig

from .test_lowering import SPECIFICATIONS

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def portable_of(model, weights: str) -> Portable:
    step = stored(lowered(model), weights)
    texts = ("", *(chr(96 + number) for number in range(1, step.vocabulary_size)))
    return Portable(name="a few", step=step, texts=texts, about={"weights": weights})


class Session:
    """Reads lines with a file, as a user of onnxruntime would."""

    def __init__(self, file: bytes) -> None:
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.states = {one.name: one for one in self.session.get_inputs() if one.name != "token"}

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        types = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        state = {
            name: np.zeros(
                (len(tokens), *(0 if isinstance(size, str) else size for size in one.shape[1:])), types[one.type]
            )
            for name, one in self.states.items()
        }
        rows = []
        for column in tokens.T:
            row, *after = self.session.run(None, {"token": column, **state})
            state = dict(zip(state, after, strict=True))
            rows.append(row)
        return np.stack(rows, axis=1)


def lines(size: int, length: int) -> np.ndarray:
    drawn = np.random.default_rng(length).integers(1, size, (5, length - 1))
    return np.concatenate([np.zeros((5, 1), np.int64), drawn], axis=1)


@pytest.mark.parametrize("family", SPECIFICATIONS)
def test_onnxruntime_says_what_the_reference_says(family, names):
    few = Prepared.of(Lines.of(names.distinct[:200]), DataConfig())
    for place, specification in enumerate(SPECIFICATIONS[family]):
        model = train(few, specification, training=TrainingConfig(steps=4, patience=0, evaluate_every=4)).run.model
        portable = portable_of(model, ("float32", "float16", "int8")[place % 3])
        session = Session(target.written(portable))
        for length in (2, 19):
            tokens = lines(portable.step.vocabulary_size, length)
            wanted = Reference(portable.step).log_probabilities(tokens)
            np.testing.assert_allclose(session.log_probabilities(tokens), wanted, rtol=0, atol=1e-5)


def test_a_step_has_no_place_for_lines(names, tmp_path):
    few_run = train(Prepared.of(Lines.of(names.distinct[:50]), DataConfig()), "ngram:2").run
    with pytest.raises(UsageError, match="has no place for lines"):
        export(few_run, tmp_path / "x.onnx", with_lines=True)
