"""Lines that the model of a run makes, printed as they come: new ones, or all of them as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...data.sources.config import in_lines, line_ends_close
from ...errors import DataError, GenerationError, UsageError
from ...generation.config import SamplingConfig
from .. import terminal
from ..progress import track
from .asked import best_of, lines_asked, longest_asked
from .new_lines import new_lines
from .valid import PATIENCE, judged_lines, print_shares, tally_of

if TYPE_CHECKING:
    from ...data.vocabulary.protocol import Vocabulary
    from ...generation.asked.wish import Wish
    from ...generation.sampling import Sample
    from ...generation.validity.validator import Validator
    from ...models.contract import LanguageModel
    from ...training.runs.run import Run

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
    best_of: int | None = None
    """Of so many lines the best ones."""
    validator: Validator | None = None
    """What says which lines are valid, if anything does."""
    only_valid: bool = False
    label: str | None = None
    """The label that all lines made have; None: any, where lines have labels."""


def asked_label(vocabulary: Vocabulary, label: str | None) -> Vocabulary:
    """Give the vocabulary of lines with this label only. `UsageError` if there is none: to be asked before a
    training."""
    from ...data.labels import Labelled

    if label is None:
        return vocabulary
    if not isinstance(vocabulary, Labelled):
        raise UsageError(
            f"--label {label}: the model was trained on lines without labels; train it with --label COLUMN"
        )
    return vocabulary.given(label)


def check_prefix(vocabulary: Vocabulary, sampling: SamplingConfig) -> int:
    """Count the tokens of the prefix; an error if no line can begin with it: to be asked before a training."""
    from ...generation.sampling import encode_prefix

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


def print_samples(run: Run, sampling: SamplingConfig, wanted: Wanted, wish: Wish | None = None) -> None:
    """Print lines as they are made, those that were asked for if something was.

    Lines that are cut at a limit nobody asked for are left out, and others made; stderr says how many.
    `GenerationError` if the model cannot make so many.
    """
    from ...data.labels import Labelled, texts
    from ...generation.novelty import nearest

    vocabulary = asked_label(run.vocabulary, wanted.label)
    if isinstance(vocabulary, Labelled):
        run = replace(run, vocabulary=vocabulary)
        known = None if wanted.known is None else texts(vocabulary, wanted.known)
        wanted = replace(wanted, known=known)
    begun = check_prefix(vocabulary, sampling)
    unlike = wanted.known if wanted.novel else None
    if sampling.greedy:
        wanted = replace(wanted, count=1, unique=False, best_of=None)
    wanted = replace(wanted, unique=wanted.unique or wanted.best_of is not None)
    count, pattern = wanted.count, wish is not None and wish.asked.is_pattern
    cut = _Cut(keep=not pattern and wanted.best_of is None and (sampling.max_length is not None or sampling.greedy))
    usual = begun + run.usual_length + 10
    limit = sampling.max_length or max(run.length_limit, usual, longest_asked(wish, usual))
    made = _lines(run, replace(sampling, max_length=limit), wanted, wish, unlike, cut)
    layout = Layout.of(run)

    def written(line: str) -> str:
        return layout.close(line if wish is None else wish.written(line))

    as_made = (wish is None or wish.writing is None) and not layout.spaced
    # what is printed is compared with lines of the list as they would be printed
    listed = wanted.known if as_made or wanted.known is None else list(map(written, wanted.known))
    tally, verdicts = tally_of(wanted.validator, listed), dict[int, bool]()
    if wanted.validator is not None and tally is not None:
        most = wanted.best_of or count
        made = judged_lines(made, wanted.validator, tally, verdicts, most, written, only=wanted.only_valid)
    if wanted.best_of is not None:
        made = best_of(run, made, count, wanted.best_of, listed or (), written)
    printed = shortened = 0
    for one in track(islice(made, count), count, "making", printing=True):
        line = written(one.text)
        row: dict[str, Any] = {"line": line, "complete": one.complete}
        if one.label is not None:
            row["label"] = one.label
        if verdicts:
            row["valid"] = verdicts.pop(one.candidate)
        if wanted.nearest and listed is not None:
            row["nearest"], row["distance"] = nearest(line, listed)
        _print_line(row, wanted.json, layout, first=not printed)
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
        print_shares(tally, wanted.validator, wanted.json)
    if printed < count:
        refusal = _refusal(cut, limit, length, unlike is not None, wanted.unique, pattern)
        if sampling.greedy and pattern and not cut.count:
            refusal = "the likeliest line is not as was asked; leave --greedy out"
        if wanted.only_valid and tally is not None and tally.in_vain >= PATIENCE:
            refusal = f"none of the last {tally.in_vain:,} lines made is valid; see them without --only valid"
        raise GenerationError(f"stopped after {printed:,} of {count:,} lines: {refusal}")


def _lines(
    run: Run,
    sampling: SamplingConfig,
    wanted: Wanted,
    wish: Wish | None,
    unlike: Sequence[str] | None,
    cut: _Cut,
) -> Iterator[Sample]:
    """Yield the lines that are wanted; those that the model does not know of are refused here."""
    from ...generation.novelty import only
    from ...generation.sampling import sample

    def model() -> LanguageModel:
        return run.model if unlike is None else _of_new_lines(run, sampling, wanted.work)

    # a line that models of new lines do not know of: of those that judge, or the same in other tokens
    refused = None if sampling.greedy else unlike
    if wish is None:
        accept = only(unlike=refused, unique=wanted.unique)
        return cut.watching(sample(model(), run.vocabulary, sampling, accept=accept, cut=cut, patience=PATIENCE))
    fresh = only(unlike=None if refused is None else map(wish.written, refused), unique=wanted.unique)

    def accepted(made: str) -> bool:
        line = wish.written(made)
        return wish.will_do(line) and fresh(line)

    made = lines_asked(run, sampling, wish, unlike, model, accept=accepted, cut=cut, patience=PATIENCE)
    return cut.watching(made)


def _of_new_lines(run: Run, sampling: SamplingConfig, most: int | None) -> LanguageModel:
    """Give the model of new lines, and say how often the model as it is repeats one that it has learned.

    `GenerationError` if there is no new line, or none with this prefix.
    """
    from ...generation.sampling import beginnings
    from ...models.new_lines.sharper import sharper
    from ...models.new_lines.sharpness import fitted_sharpness

    try:
        model = new_lines(run, most)
    except GenerationError as error:
        raise GenerationError(f"{error}; --as-it-is makes those that it knows") from None
    mass = _by_heart(run)
    often = f": as it is, the model would repeat a line it has learned {mass} of the time" if mass else ""
    terminal.note(f"new lines only{often} (see --as-it-is)")
    if model is None:  # then lines that are known are refused, from the same model otherwise
        return sharper(run.model, fitted_sharpness(run.vocabulary.encode(run.lines or []), run.vocabulary.size))
    if not any(map(model.can_begin, beginnings(run.vocabulary, sampling.prefix))):
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


@dataclass(frozen=True)
class Layout:
    """Says how lines are printed: things of several lines as in their file, with what stands there between two."""

    unit: str
    between: str | None

    @classmethod
    def of(cls, run: Run) -> Layout:
        """Find out how the lines of a run stood in their file."""
        data = run.facts.get("data")
        unit, between = (data.get("unit"), data.get("between")) if isinstance(data, dict) else (None, None)
        return cls(str(unit), between if isinstance(between, str) else None)

    @property
    def spaced(self) -> bool:
        """Say whether lines are made with white space around their line ends."""
        return self.between is not None and self.unit == "word"

    def close(self, line: str) -> str:
        """Give a line without white space that only stands between words and line ends."""
        return line_ends_close(line, " ") if self.spaced else line

    def printed(self, line: str) -> str:
        """Give a line as it would stand in the file."""
        return line if self.between is None else in_lines(line, self.unit)


def _print_line(row: dict[str, Any], as_json: bool, layout: Layout, first: bool) -> None:
    """Print one line, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        texts = {name: layout.printed(row[name]) for name in ("line", "nearest") if name in row}
        terminal.print_json(row | texts)
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    if "nearest" in row:  # in one line, also where things have several
        terminal.print_line(line, row["nearest"], str(row["distance"]))
        return
    if layout.between is not None and not first:
        terminal.print_line(layout.between)
    for part in layout.printed(line).split("\n"):
        terminal.print_line(part)


def _refusal(cut: _Cut, limit: int, length: str, novel: bool, unique: bool, pattern: bool) -> str:
    """Say what the last tries were refused for."""
    from ...generation.sampling import cost_of_cut

    if not cut.keep and 2 * cut.in_a_row * cost_of_cut(limit) > PATIENCE:
        return (
            f"of the last tries, {cut.in_a_row:,} did not end within {length}; see such lines, cut, with "
            "--max-length, or train longer, on more lines, so that the model learns where they end"
        )
    kind = " ".join(["new"] * novel + ["different"] * unique + ["one"] + ["that is as was asked"] * pattern)
    return (
        f"{PATIENCE:,} tries in a row brought no other {kind}; ask for fewer, raise --temperature, or give more "
        "lines to learn from"
    )
