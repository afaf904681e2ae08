"""What can be seen of a run, as numbers: for pictures, and for anyone who wants to look.

`SHOWN_BY` says which models can show what; asked for something else, a sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.typed import typed_line
from ..errors import RunError, UsageError
from ..generation.scoring import score_lines
from ..models.arrays.learner import MlpModel
from ..models.contract import Event
from ..models.inspection import Inside, look_inside_mlp
from ..models.table import MODELS
from .runs.log import number_of
from .runs.run import Run

LINES_INSPECTED = 200
"""From so many training lines activations and gradients are taken."""
MOST_SYMBOLS = 40
"""Of a larger vocabulary, the most frequent ones are shown."""
IN_STEPS = tuple(family.name for family in MODELS.values() if family.in_steps)
_LAYERED = ("mlp", "mlp-bn", "wavenet", "rnn", "gru", "lstm", "bow", "transformer")
SHOWN_BY: dict[str, tuple[str, ...]] = {
    "loss": IN_STEPS,
    "bigrams": tuple(MODELS),
    "embedding": ("mlp", "gpt", *_LAYERED[1:]),
    "activations": _LAYERED,
    "gradients": _LAYERED,
    "saturation": _LAYERED[:-1],
    "updates": IN_STEPS,
    "attention": ("transformer",),
    "surprise": tuple(MODELS),
}
"""For every kind of picture the models that can show it."""


@dataclass(frozen=True)
class Pairs:
    """How often each of S symbols follows each: `counts` (S, S) of what follows in the row of what stands before.

    `chances` (S, S) are the model's own, if it looks at the last symbol only. Symbol 0 is the boundary.
    """

    symbols: list[str]
    counts: np.ndarray
    chances: np.ndarray | None


def check_shown(run: Run, what: str) -> None:
    """`UsageError` if this run's model cannot show that."""
    if run.family not in SHOWN_BY[what]:
        models = ", ".join(SHOWN_BY[what])
        raise UsageError(f"--what {what}: {run.family} has none to show; models that have: {models}")


def inside(run: Run) -> Inside:
    """Activations and gradients on the first training lines."""
    stream = run.vocabulary.encode(_lines(run)[:LINES_INSPECTED])
    if isinstance(run.model, MlpModel):
        return look_inside_mlp(run.model, stream)
    from ..models.pytorch.inspection import look_inside
    from ..models.pytorch.model import TorchModel

    assert isinstance(run.model, TorchModel)
    return look_inside(run.model, stream)


def attention(run: Run, line: str | None) -> tuple[list[str], np.ndarray]:
    """The symbols (T) of a line from its beginning on, and how they look at each other, (layers, heads, T, T)."""
    from ..models.pytorch.inspection import attention_of
    from ..models.pytorch.model import TorchModel

    assert isinstance(run.model, TorchModel)
    tokens = run.vocabulary.encode([chosen_line(run, line)])[:-1]
    return [run.vocabulary.symbol(token) for token in tokens.tolist()], attention_of(run.model, tokens)


def surprise(run: Run, line: str | None) -> tuple[list[str], np.ndarray]:
    """The symbols (T) of a line and its end, and the surprise of each in bits (T,)."""
    run.vocabulary.encode([chosen_line(run, line)])  # a character without a probability has no bar
    (score,) = score_lines(run.model, run.vocabulary, [chosen_line(run, line)])
    return score.symbols(run.vocabulary), score.bits


def embedding(run: Run) -> tuple[list[str], np.ndarray]:
    """The symbols (S) and their vectors (S, E): the most frequent ones, as far as the training lines were kept."""
    arrays: dict[str, np.ndarray] = run.model.arrays()
    (vectors,) = [arrays[name] for name in ("embedding.weight", "0.embedding", "token") if name in arrays]
    kept = _frequent(run)
    return [run.vocabulary.symbol(token) for token in kept.tolist()], vectors[kept]


def pairs(run: Run) -> Pairs:
    """What follows what in the training lines, and in the model if it looks at the last symbol only."""
    stream = run.vocabulary.encode(_lines(run)).astype(np.int64)
    size = run.vocabulary.size
    counts = np.bincount(stream[:-1] * size + stream[1:], minlength=size * size).reshape(size, size)
    kept = _frequent(run)
    chances = None
    if run.model.context == 1:
        rows = np.column_stack([np.zeros(size, np.int64), np.arange(size)])
        chances = np.exp(run.model.log_probabilities(rows)[:, 1])[np.ix_(kept, kept)]
    symbols = [run.vocabulary.symbol(token) for token in kept.tolist()]
    return Pairs(symbols, counts[np.ix_(kept, kept)], chances)


def updates(events: list[Event]) -> tuple[list[int], dict[str, list[float]]]:
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


def curve(events: list[Event], name: str, value: str) -> tuple[list[int], list[float]]:
    """Steps, and a number that the events of one name hold."""
    chosen = [event for event in events if event["event"] == name]
    return [int(number_of(event, "step")) for event in chosen], [number_of(event, value) for event in chosen]


def chosen_line(run: Run, line: str | None) -> str:
    """The line asked for, as reading a file would give it, or the first training line."""
    if line is None and not run.lines:
        raise UsageError("this run kept no training lines; say which --line to show")
    return _lines(run)[0] if line is None else typed_line(line.strip(), "--line")


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
