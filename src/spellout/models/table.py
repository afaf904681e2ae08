"""The visible table of models. Command-line choices, the README's list and the tests' parameters come from it.

A model is asked for as `name`, `name:number` or `name:number:field=value`, for example `ngram:5` or
`ngram:2:smoothing=add-k:k=0.5`: the number is the family's main dial, the fields are those of its config.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import UsageError
from .arrays.learner import MlpLearner, MlpModel
from .arrays.mlp import MlpConfig
from .contract import Callback, LanguageModel
from .learner import Learner
from .ngram.model import NgramConfig, NgramModel
from .ngram.training import train_ngram
from .pytorch.bow import BowConfig, BowModel
from .pytorch.mlp_bn import MlpBnConfig, MlpBnModel
from .pytorch.recurrent import GruModel, LstmModel, RecurrentConfig, RnnModel
from .pytorch.transformer import TransformerConfig, TransformerModel
from .pytorch.wavenet import WavenetConfig, WavenetModel
from .scalars.bigram import BigramConfig, BigramModel, bigram_learner
from .scalars.gpt import GptConfig, GptModel, gpt_learner
from .stored import name_of_today


@dataclass(frozen=True)
class Family:
    """One row: what the model is, and how to configure, train and restore it."""

    name: str
    sentence: str
    paper: str
    dial: str
    """The config field that a bare number in a specification sets."""
    config: type[Any]
    model: type[LanguageModel]
    train: Callable[[np.ndarray, int, Any, Callback], tuple[LanguageModel, float | None]] | None = None
    """For models that learn in one go: from a stream, the vocabulary's size, a config and a listener to a model
    and its nats per held-out training token (None if none was held out)."""
    learner: Callable[[np.ndarray, int, Any, NgramModel | None, int], Learner] | None = None
    """For models that learn in steps: from a stream, the vocabulary's size, a config, the n-gram model to start
    from (or None) and a seed to a learner, in NumPy or as a compiled program."""
    torch_learner: Callable[[np.ndarray, int, Any, NgramModel | None, int, str, int, Callback], Learner] | None = (
        None
    )
    """For networks in PyTorch, instead; also given a device, a number of threads and a listener."""
    compiled: bool = False
    """Whether it runs as a program, whose kernels are compiled once after an installation."""

    @property
    def in_steps(self) -> bool:
        """Whether it learns in steps. It counts otherwise."""
        return self.train is None


MODELS = {
    family.name: family
    for family in [
        Family(
            name="ngram",
            sentence="counts what followed the last letters, smoothed by what followed fewer of them",
            paper="Chen & Goodman 1998, modified Kneser–Ney; Teh 2006 for the concentrations",
            dial="order",
            config=NgramConfig,
            model=NgramModel,
            train=train_ngram,
        ),
        Family(
            name="bigram",
            sentence="one linear layer on the last letter; learns what counting pairs knows",
            paper="Karpathy 2022, the first lecture's network",
            dial="batch",
            config=BigramConfig,
            model=BigramModel,
            learner=bigram_learner,
            compiled=True,
        ),
        Family(
            name="mlp",
            sentence="vectors of the last letters, one hidden layer; in NumPy, with gradients by hand",
            paper="Bengio et al. 2003",
            dial="hidden",
            config=MlpConfig,
            model=MlpModel,
            learner=MlpLearner,
        ),
        Family(
            name="gpt",
            sentence="a small Transformer in scalars: every letter looks at those before it",
            paper="Vaswani et al. 2017; Radford et al. 2019",
            dial="width",
            config=GptConfig,
            model=GptModel,
            learner=gpt_learner,
            compiled=True,
        ),
        Family(
            name="mlp-bn",
            sentence="an mlp whose hidden layer is normalised over the batch",
            paper="Bengio et al. 2003; Ioffe & Szegedy 2015",
            dial="hidden",
            config=MlpBnConfig,
            model=MlpBnModel,
            torch_learner=MlpBnModel.learner,
        ),
        Family(
            name="wavenet",
            sentence="fuses pairs of letters, then pairs of pairs, level by level",
            paper="van den Oord et al. 2016",
            dial="hidden",
            config=WavenetConfig,
            model=WavenetModel,
            torch_learner=WavenetModel.learner,
        ),
        Family(
            name="rnn",
            sentence="reads a line from left to right into one memory",
            paper="Mikolov et al. 2010",
            dial="hidden",
            config=RecurrentConfig,
            model=RnnModel,
            torch_learner=RnnModel.learner,
        ),
        Family(
            name="gru",
            sentence="reads a line from left to right; gates choose what of its memory is renewed",
            paper="Cho et al. 2014",
            dial="hidden",
            config=RecurrentConfig,
            model=GruModel,
            torch_learner=GruModel.learner,
        ),
        Family(
            name="lstm",
            sentence="reads a line from left to right; gates protect a second memory",
            paper="Hochreiter & Schmidhuber 1997; Graves 2014",
            dial="hidden",
            config=RecurrentConfig,
            model=LstmModel,
            torch_learner=LstmModel.learner,
        ),
        Family(
            name="bow",
            sentence="averages everything read so far, whatever the order",
            paper="Karpathy 2022, makemore",
            dial="hidden",
            config=BowConfig,
            model=BowModel,
            torch_learner=BowModel.learner,
        ),
        Family(
            name="transformer",
            sentence="lets every letter look back at all the others",
            paper="Vaswani et al. 2017; Radford et al. 2019, GPT-2",
            dial="width",
            config=TransformerConfig,
            model=TransformerModel,
            torch_learner=TransformerModel.learner,
        ),
    ]
}


def parse_specification(text: str) -> tuple[Family, Any]:
    """The family and config of a specification such as `ngram:5`. `UsageError` says what is not understood."""
    name, *parts = text.strip().split(":")
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"models: {', '.join(MODELS)}"
        raise UsageError(f"model {name!r}: no such model; {hint}")
    family = MODELS[name]
    hints = get_type_hints(family.config)
    values: dict[str, Any] = {}
    for part in parts:
        field, equals, value = part.partition("=")
        if not equals:
            field, value = family.dial, part
        field = name_of_today(family.config, field)
        if field not in hints:
            known = ", ".join(f.name for f in fields(family.config))
            raise UsageError(f"model {text!r}: {name} has no setting {field!r}; settings: {known}")
        values[field] = _convert(hints[field], value, f"model {text!r}: {field}={value}")
    return family, family.config(**values)


def _convert(hint: Any, value: str, where: str) -> Any:
    if get_origin(hint) is UnionType:
        (hint,) = (choice for choice in get_args(hint) if choice is not NoneType)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UsageError(f"{where}: choose one of {', '.join(get_args(hint))}")
        return value
    try:
        return hint(value)
    except ValueError:
        raise UsageError(f"{where}: not a number") from None
