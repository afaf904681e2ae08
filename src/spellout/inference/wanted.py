"""Which lines are wanted: understood from what was asked, before a training or where a run is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, RunError, UsageError
from ..generation.asked.config import Asked
from ..generation.config import LONGEST_MADE, SamplingConfig
from .asked import check_best, wish_of
from .listener import QUIET, Listener
from .valid import judge_of, try_judge

if TYPE_CHECKING:
    from ..data.vocabulary.protocol import Vocabulary
    from ..generation.asked.wish import Wish
    from ..generation.validity.validator import Validator
    from ..training.runs.run import Run


@dataclass(frozen=True)
class Wanted:
    """Says which lines are wanted, and what is told of them.

    `known` are the lines that a new one must not be, among which the nearest is looked for; None if they were not
    kept. `novel`: only new ones, where that can be told.
    """

    count: int
    known: Sequence[str] | None
    novel: bool
    unique: bool
    nearest: bool
    work: int | None = None
    """How much may be done to find out what the model knows by heart, if that is less than usual."""
    best_of: int | None = None
    """Of so many lines the best ones."""
    validator: Validator | None = None
    """What says which lines are valid, if anything does."""
    only_valid: bool = False
    label: str | None = None
    """The label that all lines made have; None: any, where lines have labels."""


@dataclass(frozen=True)
class Flags:
    """What says how lines are made, and what is told of them: flags of a command, fields of a request.

    What can be checked before anything is read, is checked here. `UsageError` says what does not fit.
    """

    count: int
    sampling: SamplingConfig
    wishes: Asked
    novel: bool | None
    unique: bool
    nearest: bool
    valid: str | None
    only: str | None

    def __post_init__(self) -> None:
        check_best(self.wishes, self.count, self.sampling)
        _ = self.validator

    @cached_property
    def validator(self) -> Validator | None:
        """Find what judges lines."""
        return judge_of(self.valid, self.only)

    def understood(
        self,
        vocabulary: Vocabulary,
        label: str | None,
        known: Sequence[str] | None,
        learned: Sequence[str] | None,
        usual: int,
        check: Callable[[Vocabulary, SamplingConfig], object] | None = None,
        work: int | None = None,
        listener: Listener = QUIET,
    ) -> tuple[Wanted, Wish | None]:
        """Understand the flags for lines of a vocabulary: an error if no line can be so, before any training.

        Lines that are `known` are not new, and a model has `learned` from these, whose `usual` length is known.
        """
        vocabulary = asked_label(vocabulary, label)
        (check or check_prefix)(vocabulary, self.sampling)
        _warn_of_long(usual, vocabulary.noun, self.sampling, listener)
        wish = wish_of(self.wishes, vocabulary, known, self.sampling)
        try_judge(self.validator, vocabulary, learned, listener, str if wish is None else wish.written)
        wanted = Wanted(
            *(self.count, known, self.novel is not False, self.unique, self.nearest, work),
            best_of=self.wishes.best_of,
            validator=self.validator,
            only_valid=self.only is not None,
            label=label,
        )
        return wanted, wish


def asked_label(vocabulary: Vocabulary, label: str | None) -> Vocabulary:
    """Give the vocabulary of lines with this label only. `UsageError` if there is none: to be asked before a
    training."""
    from ..data.labels import Labelled

    if label is None:
        return vocabulary
    if not isinstance(vocabulary, Labelled):
        raise UsageError(
            f"--label {label}: the model was trained on lines without labels; train it with --label COLUMN"
        )
    return vocabulary.given(label)


def check_kept(run: Run, name: str | Path, novel: bool | None, nearest: bool) -> None:
    """`RunError` if what needs the training lines is asked of a run, which has this name, that keeps none."""
    if run.lines is None and (novel or nearest):
        raise RunError(
            f"{name} keeps no training lines, as after --stream, so --novel and --nearest cannot be "
            "answered; train without --stream"
        )


def check_prefix(vocabulary: Vocabulary, sampling: SamplingConfig) -> int:
    """Count the tokens of the prefix; an error if no line can begin with it: to be asked before a training."""
    from ..generation.sampling import encode_prefix

    said = said_prefix(sampling)
    try:
        tokens = encode_prefix(vocabulary, sampling.prefix)
    except DataError:
        for other in (sampling.prefix.lower(), sampling.prefix.upper(), sampling.prefix.title()):
            if _is_known(vocabulary, other):
                raise DataError(f"{said}: no line is written so; these lines know --prefix {other}") from None
        missing = next(piece for piece in vocabulary.pieces(sampling.prefix) if not _is_known(vocabulary, piece))
        whole = [one for one in vocabulary.known if one.startswith(missing)][:5]
        if whole and vocabulary.noun != "word":
            raise DataError(
                f"{said}: {missing!r} is only a part of {vocabulary.noun}s there; write one as a whole, such as "
                f"{', '.join(whole)}"
            ) from None
        raise DataError(
            f"{said}: {missing!r} is in none of the lines the model learns from, so no line can begin with it"
        ) from None
    if set(tokens.tolist()) & {0, *vocabulary.never_sampled}:
        raise DataError(f"{said}: it holds what no line is made of, a line end or a rare word; take it out")
    longest = sampling.max_length
    if longest is not None and len(tokens) > longest:
        raise UsageError(f"{said}: its {len(tokens)} {vocabulary.noun}s are more than --max-length {longest}")
    return len(tokens)


def said_prefix(sampling: SamplingConfig) -> str:
    """Write a prefix as on the command line."""
    return f"--prefix {sampling.prefix if sampling.prefix.isprintable() else repr(sampling.prefix)}"


def _is_known(vocabulary: Vocabulary, text: str) -> bool:
    try:
        vocabulary.encode([text])
    except DataError:
        return False
    return True


def _warn_of_long(usual: int, noun: str, sampling: SamplingConfig, listener: Listener) -> None:
    """Say that lines will hardly be made if so many tokens as are usual are only made when they are asked for."""
    if usual > LONGEST_MADE and sampling.max_length is None and not sampling.greedy:
        listener.warn(
            f"the lines are of up to {usual:,} {noun}s, and what does not end within {LONGEST_MADE:,} is left out, "
            "so that making lines may take minutes and bring none; --max-length N shows N of them, cut"
        )
