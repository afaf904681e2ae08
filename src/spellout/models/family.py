"""What a row of the table of models is, and what a specification such as `mlp:128+ngram:5` means.

A model is asked for as `name`, `name:number` or `name:number:field=value`, for example `ngram:5` or
`ngram:2:smoothing=add-k:k=0.5`: the number sets the family's main dial, the fields are those of its config. After a
plus, a network may name the counts that it starts from. `MODEL & MODEL` is an ensemble of both, `4*MODEL` one of
four that differ by their seeds. A specification is understood once, and the value travels.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..errors import UsageError
from .candidates import MANY_TOKENS
from .contract import LanguageModel
from .counts.config import HIGHEST_ORDER, CountsConfig, PriorConfig
from .counts.views import OF_THE_FIRST
from .learner import Learner
from .ngram.config import NgramConfig
from .stored import name_of_today

ENSEMBLE = "ensemble"
"""The name of the family of ensembles, which no specification names alone."""
MOST_MEMBERS = 64


@dataclass(frozen=True)
class Family:
    """Is one row of the table: it says what the model is, and how to configure, train and restore it."""

    name: str
    sentence: str
    paper: str
    dial: str
    """The config field that a bare number in a specification sets."""
    config: type[Any]
    model: type[LanguageModel]
    count: Callable[..., tuple[LanguageModel, float | None]] | None = None
    """For models that learn in one go: from a stream, the vocabulary's size, a config, a callback and, by name, the
    `classes` of the tokens to a model and its nats per held-out training token (None if none was held out)."""
    learner: Callable[..., Learner] | None = None
    """For models that learn in steps: from a stream, the vocabulary's size, a config, the counts to start from (or
    None) and a seed to a learner; with `torch`, also from a device, a number of threads and a callback. A `student`
    is given `soft_targets`, too, by name."""
    torch: bool = False
    """Whether it needs PyTorch."""
    shaped: bool = False
    """Whether its learner takes the `classes` of the tokens, too, by name, and fits the shapes of lines itself."""
    student: bool = False
    """Whether it can learn what a teacher says at each position, instead of the token that came."""
    compiled: bool = False
    """Whether it runs as a program, whose kernels are compiled once after an installation."""
    with_labels: Family | None = None
    """What is trained in its place where lines have labels."""

    @property
    def in_steps(self) -> bool:
        """Say whether it learns in steps, or has members that may. It counts otherwise."""
        return self.count is None


@dataclass(frozen=True)
class Specification:
    """Holds what was understood of a model that was asked for.

    Attributes:
        text: the specification as it was written.
        prior: the counts that a network starts from (Neubig & Dyer 2016, "Generalizing and Hybridizing Count-based
            and Neural Language Models"); None for models that start from nothing.
        members: those of an ensemble; none of any other model.
    """

    text: str
    family: Family
    config: Any
    prior: PriorConfig | None = None
    members: tuple[Specification, ...] = ()

    @property
    def alone(self) -> tuple[Specification, ...]:
        """List what is to be trained by itself: the members of an ensemble, or this model."""
        return self.members or (self,)


def parse(text: str, models: Mapping[str, Family], prior: str | None = None) -> Specification:
    """Understand MODEL, MODEL+COUNTS, or several with `&` between them. `prior` is of networks that name none.

    `UsageError` says what is not understood.
    """
    if "&" in text or "*" in text or text.strip() == ENSEMBLE:
        members = _members(text, models, prior)
        if len(members) > 1:
            return Specification(text.strip(), models[ENSEMBLE], None, members=members)
        return members[0]
    name, plus, start = text.partition("+")
    if "+" in start:
        raise UsageError(f"model {text!r}: a network starts from one model that counts; leave out all but one +")
    family, config = _alone(name, models)
    if not family.in_steps:
        if plus:
            raise UsageError(f"model {text!r}: {family.name} counts and starts from nothing; leave out +{start}")
        return Specification(text, family, config)
    wanted = start if plus else prior
    if wanted is None:
        return Specification(text, family, config)
    other, counted = _alone(wanted, models)
    if not isinstance(counted, (NgramConfig, CountsConfig)):
        where = f"model {text!r}" if plus else f"--prior {prior}"
        raise UsageError(f"{where}: a network starts from counts, not from {other.name}; use ngram or counts")
    return Specification(text, family, config, counted)


def _members(text: str, models: Mapping[str, Family], prior: str | None) -> tuple[Specification, ...]:
    """Understand the members of an ensemble; `4*MODEL` are four of them."""
    how = 'name its members, as in "gru+ngram & mlp+ngram" or "4*gru+ngram"'
    if "(" in text or ")" in text:
        raise UsageError(f"model {text!r}: the members of an ensemble are models, not ensembles; {how}")
    members: list[Specification] = []
    for part in text.split("&"):
        times, star, one = part.rpartition("*")
        if not one.strip() or one.strip() == ENSEMBLE:
            raise UsageError(f"model {text!r}: an ensemble has a model on each side of &; {how}")
        if star and not (times.strip().isascii() and times.strip().isdecimal()):
            raise UsageError(f"model {text!r}: before the * stands how many, as in 4*{one.strip()}")
        many = int(times[-9:]) if star else 1
        if not 1 <= many <= MOST_MEMBERS - len(members):
            raise UsageError(f"model {text!r}: an ensemble has from 1 to {MOST_MEMBERS} members")
        members += [parse(one.strip(), models, prior)] * many
    return tuple(members)


def _alone(text: str, models: Mapping[str, Family]) -> tuple[Family, Any]:
    """Understand a specification without a plus: its family and its config."""
    name, *parts = text.strip().split(":")
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        hint = f"did you mean {near[0]}?" if near else f"models: {', '.join(models)}"
        raise UsageError(f"model {name!r}: no such model; {hint}")
    family = models[name]
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


def keeping_first(specification: Specification, vocabulary_size: int) -> Specification:
    """Give the same for lines whose first token says much of all that follows, as a label does.

    Networks that read whole lines know it anyway. An n-gram becomes one of several counts that are mixed, others of
    which keep that token in view; of many different tokens too much would have to be mixed.
    """
    if specification.members:
        members = tuple(keeping_first(one, vocabulary_size) for one in specification.members)
        return replace(specification, members=members)
    family, config, prior = specification.family, specification.config, specification.prior
    few = vocabulary_size <= MANY_TOKENS
    if isinstance(config, NgramConfig) and few:
        assert family.with_labels is not None
        if config.smoothing == "add-k":
            raise UsageError(f"--model {specification.text}: add-k mixes nothing and knows no labels; leave it out")
        family, config = family.with_labels, _with_first(config)
    elif hasattr(config, "first"):
        config = replace(config, first="yes")
    return replace(
        specification, family=family, config=config, prior=_with_first(prior) if prior and few else prior
    )


def _with_first(config: PriorConfig) -> CountsConfig:
    if isinstance(config, CountsConfig):
        return replace(config, first="yes")
    order = None if config.order is None else min(config.order, HIGHEST_ORDER)
    return CountsConfig(views=1 + len(OF_THE_FIRST), order=order, first="yes")
