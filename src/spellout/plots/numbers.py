"""What can be seen of a run, as numbers: for pictures, and for anyone who wants to look.

S symbols, the most frequent ones · E numbers that stand for each · T symbols of a line
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.typed import typed_line
from ..errors import RunError, UsageError
from ..generation.scoring import score_lines
from ..models.contract import Event
from ..models.family import Family, parse
from ..models.inspection import Inside
from ..models.ngram.model import NgramModel
from ..training.runs.log import number_of
from ..training.runs.run import Run

LINES_INSPECTED = 200
"""From so many training lines activations and gradients are taken."""
MOST_SYMBOLS = 40
"""Of a larger vocabulary, the most frequent ones are shown."""


class Pairs(NamedTuple):
    """How often each of S symbols follows each: `counts` (S, S) of what follows in the row of what stands before.

    `chances` (S, S) are the model's own, if it looks at the last symbol only. Symbol 0 is the boundary.
    """

    symbols: list[str]
    counts: np.ndarray
    chances: np.ndarray | None


def inside(run: Run) -> Inside:
    """Activations and gradients on the first training lines."""
    model: Any = run.model
    return model.inspect(run.vocabulary.encode(_lines(run)[:LINES_INSPECTED]))


def attention(run: Run, line: str | None) -> tuple[list[str], np.ndarray]:
    """The symbols (T) of a line from its beginning on, and how they look at each other, (layers, heads, T, T)."""
    model: Any = run.model
    tokens = run.vocabulary.encode([chosen_line(run, line)])[:-1]
    return _symbols(run, tokens), model.attention(tokens)


def surprise(run: Run, line: str | None) -> tuple[list[str], np.ndarray]:
    """The symbols (T) of a line and its end, and the surprise of each in bits (T,)."""
    line = chosen_line(run, line)
    (score,) = score_lines(run.model, run.vocabulary, [line])
    return score.symbols(run.vocabulary), score.bits


def embedding(run: Run) -> tuple[list[str], np.ndarray]:
    """The symbols (S) and their vectors (S, E): the most frequent ones, as far as the training lines were kept."""
    model: Any = run.model
    kept = _frequent(run)
    return _symbols(run, kept), model.token_vectors()[kept]


def pairs(run: Run) -> Pairs:
    """What follows what in the training lines, and in the model if it looks at the last symbol only."""
    stream = run.vocabulary.encode(_lines(run)).astype(np.int64)
    size = run.vocabulary.size
    # a pair as one number: one call counts them all
    counts = np.bincount(stream[:-1] * size + stream[1:], minlength=size * size).reshape(size, size)
    kept = _frequent(run)
    chances = None
    model: Any = run.model
    if isinstance(model, NgramModel):  # how far a line has come is no part of a pair
        model = model.with_shape(None)
    if model.context == 1:
        # (S, 2): each token after a boundary, which such a model has forgotten by then
        rows = np.column_stack([np.zeros(size, np.int64), np.arange(size)])
        chances = np.exp(model.log_probabilities(rows)[:, 1])[np.ix_(kept, kept)]
    return Pairs(_symbols(run, kept), counts[np.ix_(kept, kept)], chances)


def updates(events: Sequence[Event]) -> tuple[list[int], dict[str, list[float]]]:
    """The measured steps, and the update:data ratio of every matrix at each of them."""
    measured = [event for event in events if event["event"] == "updates"]
    if not measured:
        raise UsageError(
            "--what updates: the log of this run holds no update:data ratios; train it again with this version"
        )
    ratios: list[Event] = [event["ratios"] for event in measured if isinstance(event.get("ratios"), dict)]
    names = list(ratios[0]) if ratios else []
    if len(ratios) < len(measured) or any(list(one) != names for one in ratios):
        raise RunError("log.jsonl is damaged: its update:data ratios are not of the same matrices; train again")
    steps = [int(number_of(event, "step")) for event in measured]
    return steps, {name: [number_of({"event": "updates", **one}, name) for one in ratios] for name in names}


def curve(events: Sequence[Event], name: str, value: str) -> tuple[list[int], list[float]]:
    """Steps, and a number that the events of one name hold."""
    chosen = [event for event in events if event["event"] == name]
    return [int(number_of(event, "step")) for event in chosen], [number_of(event, value) for event in chosen]


def of_members(run: Run, models: Mapping[str, Family]) -> dict[str, list[Event]]:
    """Give the events of the training of each member of an ensemble, by its number and its specification."""
    names = [one.text for one in parse(str(run.facts.get("specification")), models).members]
    found: dict[str, list[Event]] = {}
    for number, name in enumerate(names, 1):
        found[f"{number}. {name}"] = [event for event in run.events if event.get("member") == number]
    return {name: events for name, events in found.items() if any(one["event"] == "evaluation" for one in events)}


def dev_loss(run: Run) -> float | None:
    """Nats per character of the whole on dev lines; None where there are none, or before the training is over."""
    dev = (run.facts.get("results") or {}).get("dev")
    return number_of({"event": "trained", **dev}, "nats_per_char") if dev else None


def chosen_line(run: Run, line: str | None) -> str:
    """The line asked for, as reading a file would give it, or the first training line."""
    if line is None and not run.lines:
        raise UsageError("this run kept no training lines; say which --line to show")
    return _lines(run)[0] if line is None else typed_line(line.strip(), "--line")


def _symbols(run: Run, tokens: np.ndarray) -> list[str]:
    return [run.vocabulary.symbol(token) for token in tokens.tolist()]


def _frequent(run: Run) -> np.ndarray:
    """The tokens to show, in their order: the boundary and the most frequent ones."""
    size = run.vocabulary.size
    if size <= MOST_SYMBOLS or run.lines is None:
        return np.arange(min(size, MOST_SYMBOLS))
    often = np.bincount(run.vocabulary.encode(run.lines), minlength=size)
    return np.sort(np.argsort(-often, kind="stable")[:MOST_SYMBOLS])


def _lines(run: Run) -> list[str]:
    if not run.lines:
        raise UsageError("this run was trained with --stream and kept no lines to look at; train without --stream")
    return list(run.lines)
