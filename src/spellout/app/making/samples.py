"""Lines that the model of a run makes, printed as they come: new ones, or all of them as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...errors import GenerationError
from ...generation.config import SamplingConfig
from .. import terminal
from ..progress import track
from .asked import best_of, lines_asked, longest_asked
from .layout import Layout, print_line
from .new_lines import new_lines
from .valid import PATIENCE, judged_lines, print_shares, tally_of
from .wanted import Wanted, asked_label, check_prefix, said_prefix

if TYPE_CHECKING:
    from ...generation.asked.wish import Wish
    from ...generation.sampling import Sample
    from ...models.contract import LanguageModel
    from ...training.runs.run import Run

NEARLY_ALL = 0.9995


def print_samples(run: Run, sampling: SamplingConfig, wanted: Wanted, wish: Wish | None = None) -> None:
    """Print lines as they are made, those that were asked for if something was.

    Lines that are cut at a limit nobody asked for are left out, and others made; stderr says how many.
    `GenerationError` if the model cannot make so many.
    """
    from ...data.labels import Labelled, texts

    vocabulary = asked_label(run.vocabulary, wanted.label)
    if isinstance(vocabulary, Labelled):
        run = replace(run, vocabulary=vocabulary)
        known = None if wanted.known is None else texts(vocabulary, wanted.known)
        wanted = replace(wanted, known=known)
    if sampling.greedy:
        wanted = replace(wanted, count=1, unique=False, best_of=None)
    wanted = replace(wanted, unique=wanted.unique or wanted.best_of is not None)
    usual = check_prefix(vocabulary, sampling) + run.usual_length + 10
    limit = sampling.max_length or max(run.length_limit, usual, longest_asked(wish, usual))
    shows_cut = sampling.max_length is not None or sampling.greedy
    printing = _Printing(run, replace(sampling, max_length=limit), wanted, wish, shows_cut)
    printing.print_all()
    printing.say_cut()
    printing.say_shares()
    if printing.printed < wanted.count:
        refusal = printing.refusal()
        raise GenerationError(f"stopped after {printing.printed:,} of {wanted.count:,} lines: {refusal}")


class _Printing:
    """Prints lines, those that are cut if it `shows_cut`, and counts them; `sampling` says how long they may be."""

    def __init__(
        self, run: Run, sampling: SamplingConfig, wanted: Wanted, wish: Wish | None, shows_cut: bool
    ) -> None:
        self._run, self._sampling, self._wanted, self._wish = run, sampling, wanted, wish
        self._pattern = wish is not None and wish.asked.is_pattern
        self._cut = _Cut(keep=not self._pattern and wanted.best_of is None and shows_cut)
        self._unlike = wanted.known if wanted.novel else None
        self._layout = Layout.of(run)
        as_made = (wish is None or wish.writing is None) and not self._layout.spaced
        known = wanted.known
        # what is printed is compared with lines of the list as they would be printed
        self._listed = known if as_made or known is None else list(map(self._written, known))
        self._tally, self._verdicts = tally_of(wanted.validator, self._listed), dict[int, bool]()
        self.printed = self._shortened = 0

    def _written(self, line: str) -> str:
        return self._layout.close(line if self._wish is None else self._wish.written(line))

    def _made(self) -> Iterator[Sample]:
        """Make lines, have them judged, and choose the best, if that is wanted."""
        wanted = self._wanted
        made = _lines(self._run, self._sampling, wanted, self._wish, self._unlike, self._cut)
        if wanted.validator is not None and self._tally is not None:
            most = wanted.best_of or wanted.count
            judging = wanted.validator, self._tally, self._verdicts
            made = judged_lines(made, *judging, most, self._written, only=wanted.only_valid)
        if wanted.best_of is not None:
            made = best_of(self._run, made, wanted.count, wanted.best_of, self._listed or (), self._written)
        return made

    def print_all(self) -> None:
        """Print the lines as they come."""
        count, unlike = self._wanted.count, self._unlike
        for one in track(islice(self._made(), count), count, "making", printing=True):
            print_line(self._row(one), self._wanted.json, self._layout, first=not self.printed)
            self.printed += 1
            self._shortened += not one.complete
            if self._sampling.greedy and unlike is not None and one.complete and one.text in unlike:
                terminal.note("the list holds this line too, though the model did not learn from it")

    def _row(self, one: Sample) -> dict[str, Any]:
        """Say all of a line that is shown."""
        from ...generation.novelty import nearest

        line = self._written(one.text)
        row: dict[str, Any] = {"line": line, "complete": one.complete}
        if one.label is not None:
            row["label"] = one.label
        if self._verdicts:
            row["valid"] = self._verdicts.pop(one.candidate)
        if self._wanted.nearest and self._listed is not None:
            row["nearest"], row["distance"] = nearest(line, self._listed)
        return row

    @property
    def _length(self) -> str:
        return f"{self._sampling.max_length:,} {self._run.vocabulary.noun}s"

    def say_cut(self) -> None:
        """Say how many lines were cut, or left out for that."""
        cut = self._cut
        if self._shortened:
            terminal.note(
                f"cut at {self._length}: {self._shortened:,} of {self.printed:,} lines, which --json marks"
            )
        elif cut.count and self.printed and not cut.keep:
            terminal.note(
                f"left out {cut.count:,} line{'s' * (cut.count > 1)} that did not end within {self._length}, made "
                "others; --max-length shows them cut"
            )

    def say_shares(self) -> None:
        """Say how many lines are valid, if anything judges them."""
        if self._tally is not None:
            print_shares(self._tally, self._wanted.validator, self._wanted.json)

    def refusal(self) -> str:
        """Say why there are no more lines."""
        tally = self._tally
        if self._wanted.only_valid and tally is not None and tally.in_vain >= PATIENCE:
            return f"none of the last {tally.in_vain:,} lines made is valid; see them without --only valid"
        if self._sampling.greedy and self._pattern and not self._cut.count:
            return "the likeliest line is not as was asked; leave --greedy out"
        novel, limit = self._unlike is not None, self._sampling.max_length or 0
        return _refusal(self._cut, limit, self._length, novel, self._wanted.unique, self._pattern)


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

    try:
        model = new_lines(run, most)
    except GenerationError as error:
        raise GenerationError(f"{error}; --as-it-is makes those that it knows") from None
    mass = _by_heart(run)
    often = f": as it is, the model would repeat a line it has learned {mass} of the time" if mass else ""
    terminal.note(f"new lines only{often} (see --as-it-is)")
    if model is None:  # then lines that are known are refused, from the same model otherwise
        return sharper(run.model, run.power)
    if not any(map(model.can_begin, beginnings(run.vocabulary, sampling.prefix))):
        raise GenerationError(
            f"{said_prefix(sampling)}: every line that the model makes from there is in its list, so none is new; "
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
