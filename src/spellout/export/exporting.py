"""A model and its vocabulary become what targets write: stored, pruned where it has to be small, and described."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from ..data.labels import Labelled, plain
from ..data.vocabulary.characters import Characters
from ..data.vocabulary.protocol import Vocabulary
from ..errors import ExportError
from ..generation.config import SamplingConfig
from ..generation.evaluation import evaluate
from ..generation.sampling import sample
from ..models.contract import LanguageModel
from ..models.ensembles.ensemble import Ensemble
from ..models.neural import NeuralModel
from ..models.scalars.gpt import GptModel
from .bloom import bloom_of
from .lowering.table import lowered
from .portable import Bloom, Portable
from .pruning.whole import pruned
from .reference import Reference, parameters_of
from .step import Step
from .storing import stored
from .targets import Weights

MOST_BYTES = 230_000
"""With the page, and as text, they are 300 kB."""
FEWEST_BYTES = 50_000
COMPARED = 2000
"""So many lines that the model makes tell by how much storing changes its loss,"""
COMPARED_CHARACTERS = 60_000
"""or as many as have so many characters."""


def portable(
    model: LanguageModel,
    vocabulary: Vocabulary,
    *,
    name: str,
    max_length: int,
    longest: int = 0,
    lines: Sequence[str] | None = None,
    weights: Weights = "float16",
    with_lines: bool = False,
    about: Mapping[str, Any] | None = None,
    saying: Callable[[str], None] = lambda what: None,
) -> Portable:
    """Make a model ready for any target. `ExportError` for one that cannot be exported.

    Args:
        model: a model of the table; files hold the plain one, which knows nothing of the lines it has learned from.
        vocabulary: its own.
        name: what it is about.
        max_length: the most tokens of a line when nothing else is asked.
        longest: of so many tokens is the longest training line, if that is known.
        lines: the training lines, with labels if they have some; None if they were not kept.
        weights: how they are stored.
        with_lines: whether the training lines themselves go with it.
        about: what else a reader should know; `nats` is the dev loss of the model, in nats per character, and
            `held_out` how many lines judged it, which are in no run and so not in the filter.
        saying: told what is done now, for a bar of progress.
    """
    most, known = most_tokens(model, longest), bloom_of(lines) if lines else None
    smaller = model
    if weights != "float32" and lines:
        saying("leaving out counts that say little")
        smaller = pruned(model, vocabulary.encode(lines), room(model, known, weights))
    step = stored(lowered(smaller), weights)
    labels = vocabulary if isinstance(vocabulary, Labelled) else None
    told = {"unit": vocabulary.noun, "nats": None, **(about or {}), "weights": weights}
    saying("measuring what storing changes")
    told["change"] = change(model, step, vocabulary, max_length)
    told["nats_here"] = None if told["nats"] is None else told["nats"] + told["change"]
    told["parameters"] = model.parameters
    told["parameters_here"] = parameters_of(step)
    return Portable(
        name=name,
        step=step,
        texts=texts_of(vocabulary),
        between=vocabulary.between,
        labels=() if labels is None else tuple(labels.labels),
        shares=() if labels is None else tuple(labels.shares.tolist()),
        never=(*vocabulary.never_sampled, *range(plain(vocabulary).size, vocabulary.size)),
        known=known,
        lines=tuple(lines or ()) if with_lines else (),
        max_length=max_length if most is None else min(max_length, most),
        about=told,
    )


def room(model: LanguageModel, known: Bloom | None, weights: Weights) -> int:
    """Say how many bytes the counts may take, beside the network's weights and the filter."""
    network = [one for one in _networks(model) if isinstance(one, NeuralModel)]
    numbers = sum(array.size for one in network for array in one.weights.values())
    others = numbers * (1 if weights == "int8" else 2) + (0 if known is None else len(known.bits))
    return max(FEWEST_BYTES, MOST_BYTES - others)


def _networks(model: LanguageModel) -> list[LanguageModel]:
    return list(model.members) if isinstance(model, Ensemble) else [model]


def texts_of(vocabulary: Vocabulary) -> tuple[str, ...]:
    """List what each token of a vocabulary writes (see `Portable.texts`)."""
    if isinstance(vocabulary, Labelled):
        return (*texts_of(vocabulary.plain), *[""] * len(vocabulary.labels))
    if isinstance(vocabulary, Characters):
        encoded = [bytes([byte]).decode(errors="surrogateescape") for byte in vocabulary.bytes]
        return ("", *vocabulary.characters, *encoded)
    return ("", *map(vocabulary.symbol, range(1, vocabulary.size)))


def change(model: LanguageModel, step: Step, vocabulary: Vocabulary, max_length: int) -> float:
    """Estimate by how many nats per character a step is worse than its model, from lines that the model makes.

    The lines that judged it are not kept with a run. On lines of its own it is Kullback & Leibler's divergence,
    which is not below 0 but for chance.
    """
    batch = max(1, min(COMPARED, COMPARED_CHARACTERS // max(1, max_length)))  # of long lines no more than are read
    lines: list[str] = []
    characters = 0
    for one in islice(sample(model, vocabulary, SamplingConfig(max_length=max_length), batch=batch), COMPARED):
        if lines and characters + len(one.line) > COMPARED_CHARACTERS:
            break
        lines.append(one.line)
        characters += len(one.line)
    if not lines:
        raise ExportError("the model makes no lines, so there is nothing that could be exported; train it longer")
    before, after = (evaluate(one, vocabulary, lines) for one in (model, Reference(step)))
    return (after.nats - before.nats) / before.characters


def most_tokens(model: LanguageModel, longest: int) -> int | None:
    """Say how many tokens a line of the exported model can have; None if any number.

    A gpt gives its places anew to the last tokens where a line is longer than its context, which a step that goes
    on from what it remembers cannot do. `ExportError` if it learned from such lines.
    """
    if isinstance(model, Ensemble):
        every = [most_tokens(member, longest) for member in model.members]
        return min([one for one in every if one is not None], default=None)
    if not isinstance(model, GptModel):
        return None
    most: int = model.config.context - 1
    if longest > most:
        raise ExportError(
            f"this gpt sees {most + 1} tokens, and a training line has {longest}: exported, it reads whole lines; "
            f"train it with context={longest + 1}"
        )
    return most
