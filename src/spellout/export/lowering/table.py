"""Which lowering is whose. A new model of the table of models gets its row here; a test goes over both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ExportError
from ...models.arrays.learner import MlpModel
from ...models.arrays.recurrent.model import GruModel as NumpyGruModel
from ...models.contract import LanguageModel
from ...models.counts.model import CountsModel
from ...models.ensembles.ensemble import Ensemble
from ...models.ngram.model import NgramModel
from ...models.pytorch.bow import BowModel
from ...models.pytorch.mlp_bn import MlpBnModel
from ...models.pytorch.recurrent import GruModel, LstmModel, RnnModel
from ...models.pytorch.transformer import TransformerModel
from ...models.pytorch.wavenet import WavenetModel
from ...models.scalars.bigram import BigramModel
from ...models.scalars.gpt import GptModel
from ..step import Step
from . import attention, combined, counted, lines, windows
from .builder import Builder

LOWERINGS: dict[type[Any], Callable[[Builder, Any], int]] = {
    NgramModel: counted.ngram,
    CountsModel: counted.counts,
    BigramModel: windows.bigram,
    MlpModel: windows.mlp,
    NumpyGruModel: lines.gru_numpy,
    GptModel: attention.gpt,
    MlpBnModel: windows.mlp_bn,
    WavenetModel: windows.wavenet,
    RnnModel: lines.recurrent,
    GruModel: lines.recurrent,
    LstmModel: lines.recurrent,
    BowModel: lines.bow,
    TransformerModel: attention.transformer,
}


def lowered(model: LanguageModel) -> Step:
    """Make a model a step, of the same log-probabilities. `ExportError` for a model that cannot become one."""
    builder = Builder(model.vocabulary_size)
    builder.last(_lowered(builder, model))
    return builder.step()


def _lowered(builder: Builder, model: LanguageModel) -> int:
    if isinstance(model, Ensemble):
        members = zip(model.members, model.weights, strict=True)
        said = [_lowered(builder, member) for member, weight in members if weight]
        return combined.combined(builder, model, said)
    if type(model) not in LOWERINGS:
        raise ExportError(f"a {type(model).__name__} cannot be exported: it is no model of a run by itself")
    return LOWERINGS[type(model)](builder, model)
