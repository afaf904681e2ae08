"""Lines that the model of a run makes, printed as they come: new ones, or all of them as it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import DataError, GenerationError, UsageError
from ..generation.config import SamplingConfig
from . import terminal
from .new_lines import new_lines
from .progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..data.vocabulary.protocol import Vocabulary
    from ..generation.sampling import Sample
    from ..generation.validity.shares import Tally
    from ..generation.validity.validator import Validator
    from ..models.contract import LanguageModel
    from ..training.runs.run import Run

PATIENCE = 10_000
"""After so many candidates in a row that will not do, no more are tried."""
NEARLY_ALL = 0.9995


@dataclass(frozen=True)
class Wanted:
    """Says which lines are wanted, and what is shown of them.

    `known` are the lines that a new one must not be, among which the nearest is looked for; None if they were not
    kept. `novel`: only new ones, where that can be told.
    """

    count: int
    known: Sequence[str] | None
    novel: bool
    unique: bool
    nearest: bool
    json: bool
    work: int | None = None
    """How much may be done to find out what the model knows by heart, if that is less than usual."""
    validator: Validator | None = None
    """What says which lines are valid, if anything does."""
    only_valid: bool = False


def judge_of(asked: str | None, only: str | None) -> Validator | None:
    """Find what judges lines. `UsageError` if it is not there, or if `only` valid lines are wanted without it."""
    if asked is None:
        if only is not None:
            raise UsageError(f"--only {only}: say what judges lines, with --valid")
        return None
    from ..generation.validity.validator import validator_of

    return validator_of(asked)


def try_judge(validator: Validator | None, lines: Sequence[str] | None) -> None:
    """Warn if not all lines of the list are valid: to be asked before a training. `UsageError` if none is."""
    from ..generation.validity.validator import trial

    if validator is not None and lines and (odd := trial(validator, lines)):
        terminal.warn(odd)


def check_prefix(vocabulary: Vocabulary, sampling: SamplingConfig) -> int:
    """Count the tokens of the prefix; an error if no line can begin with it: to be asked before a training."""
    from ..generation.sampling import encode_prefix

    said = _said(sampling)
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


def _said(sampling: SamplingConfig) -> str:
    return f"--prefix {sampling.prefix if sampling.prefix.isprintable() else repr(sampling.prefix)}"


def _is_known(vocabulary: Vocabulary, text: str) -> bool:
    try:
        vocabulary.encode([text])
    except DataError:
        return False
    return True


def print_samples(run: Run, sampling: SamplingConfig, wanted: Wanted) -> None:
    """Print lines as they are made.

    Lines that are cut at a limit nobody asked for are left out, and others made; stderr says how many.
    `GenerationError` if the model cannot make so many.
    """
    from ..generation.novelty import nearest, only
    from ..generation.sampling import sample as lines_of

    begun = check_prefix(run.vocabulary, sampling)
    unlike = wanted.known if wanted.novel else None
    model = run.model if unlike is None else _of_new_lines(run, sampling, wanted.work)
    if sampling.greedy:
        wanted = replace(wanted, count=1, unique=False)
    count, cut = wanted.count, _Cut(keep=sampling.max_length is not None or sampling.greedy)
    limit = sampling.max_length or max(run.length_limit, begun + run.usual_length + 10)
    made = lines_of(
        model,
        run.vocabulary,
        replace(sampling, max_length=limit),
        # a line that models of new lines do not know of: of those that judge, or the same in other tokens
        accept=only(unlike=None if sampling.greedy else unlike, unique=wanted.unique),
        cut=cut,
        patience=PATIENCE,
    )
    printed = shortened = 0
    tally = _tally(wanted)
    for one, valid in track(_judged(cut.watching(made), wanted, tally), count, "making", printing=True):
        row: dict[str, Any] = {"line": one.text, "complete": one.complete}
        if valid is not None:
            row["valid"] = valid
        if wanted.nearest and wanted.known is not None:
            row["nearest"], row["distance"] = nearest(one.text, wanted.known)
        _print_line(row, wanted.json)
        printed, shortened = printed + 1, shortened + (not one.complete)
        if sampling.greedy and unlike is not None and one.complete and one.text in unlike:
            terminal.note("the list holds this line too, though the model did not learn from it")
    length = f"{limit:,} {run.vocabulary.noun}s"
    if shortened:
        terminal.note(f"cut at {length}: {shortened:,} of {printed:,} lines, which --json marks")
    elif cut.count and printed and not cut.keep:
        terminal.note(
            f"left out {cut.count:,} line{'s' * (cut.count > 1)} that did not end within {length}, made others; "
            "--max-length shows them cut"
        )
    if tally is not None:
        _print_shares(tally, wanted)
    if printed < count:
        refusal = _refusal(cut, limit, length, unlike is not None, wanted.unique)
        if wanted.only_valid and tally is not None and tally.in_vain >= PATIENCE:
            refusal = f"none of the last {tally.in_vain:,} lines made is valid; see them without --only valid"
        raise GenerationError(f"stopped after {printed:,} of {count:,} lines: {refusal}")


def _tally(wanted: Wanted) -> Tally | None:
    if wanted.validator is None:
        return None
    from ..generation.validity.shares import Tally, Training

    return Tally(None if wanted.known is None else Training(wanted.validator, wanted.known))


def _judged(made: Iterator[Sample], wanted: Wanted, tally: Tally | None) -> Iterator[tuple[Sample, bool | None]]:
    """Give as many lines as are wanted, and whether each is valid, if anything says so."""
    if wanted.validator is None or tally is None:
        yield from ((one, None) for one in islice(made, wanted.count))
        return
    from ..generation.validity.judged import judged

    only = wanted.only_valid
    for one, verdict in judged(made, wanted.validator, tally, wanted.count, only=only, patience=PATIENCE):
        yield one, verdict is not None


def _print_shares(tally: Tally, wanted: Wanted) -> None:
    """Say which shares of the lines made are valid, unique and novel; with --json also as a last object."""
    terminal.note(str(tally.shares))
    if wanted.validator is not None and (odd := wanted.validator.remark()):
        terminal.note(odd)
    if wanted.json:
        terminal.print_json({"shares": tally.shares.to_json()})


def _of_new_lines(run: Run, sampling: SamplingConfig, most: int | None) -> LanguageModel:
    """Give the model of new lines, and say how often the model as it is repeats one that it has learned.

    `GenerationError` if there is no new line, or none with this prefix.
    """
    from ..generation.sampling import encode_prefix
    from ..models.new_lines.sharpness import fitted_sharpness, sharper

    try:
        model = new_lines(run, most)
    except GenerationError as error:
        raise GenerationError(f"{error}; --as-it-is makes those that it knows") from None
    mass = _by_heart(run)
    often = f": as it is, the model would repeat a line it has learned {mass} of the time" if mass else ""
    terminal.note(f"new lines only{often} (see --as-it-is)")
    if model is None:  # then lines that are known are refused, from the same model otherwise
        return sharper(run.model, fitted_sharpness(run.vocabulary.encode(run.lines or []), run.vocabulary.size))
    if not model.can_begin(encode_prefix(run.vocabulary, sampling.prefix)):
        raise GenerationError(
            f"{_said(sampling)}: every line that the model makes from there is in its list, so none is new; "
            "--as-it-is makes those"
        )
    return model


def _by_heart(run: Run) -> str | None:
    """Say which part of its probability the model as it is gives to its list, if it was judged."""
    try:
        mass = float(run.facts["results"]["new_lines"]["mass"])
    except (KeyError, TypeError, ValueError):
        return None
    if mass < 1 - NEARLY_ALL:
        return "less than 0.1%"
    return f"{mass:.1%}" if mass < NEARLY_ALL else "nearly all"


class _Cut:
    """Counts lines that were cut at the length limit, and says whether they are printed."""

    def __init__(self, keep: bool) -> None:
        self.keep, self.count, self.in_a_row = keep, 0, 0

    def watching(self, made: Iterator[Sample]) -> Iterator[Sample]:
        """Pass lines through; each ends a row of those that were cut."""
        for one in made:
            self.in_a_row = 0
            yield one

    def __call__(self, sample: Sample) -> bool:
        self.count += 1
        self.in_a_row += 1
        return self.keep


def _print_line(row: dict[str, Any], as_json: bool) -> None:
    """Print one line, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        terminal.print_json(row)
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    terminal.print_line(*([line, row["nearest"], str(row["distance"])] if "nearest" in row else [line]))


def _refusal(cut: _Cut, limit: int, length: str, novel: bool, unique: bool) -> str:
    """Say what the last tries were refused for."""
    from ..generation.sampling import cost_of_cut

    if not cut.keep and 2 * cut.in_a_row * cost_of_cut(limit) > PATIENCE:
        return (
            f"of the last tries, {cut.in_a_row:,} did not end within {length}; see such lines, cut, with "
            "--max-length, or train longer, on more lines, so that the model learns where they end"
        )
    kind = " ".join(["new"] * novel + ["different"] * unique + ["one"])
    return (
        f"{PATIENCE:,} tries in a row brought no other {kind}; ask for fewer, raise --temperature, or give more "
        "lines to learn from"
    )
