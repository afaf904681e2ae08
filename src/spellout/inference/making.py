"""Lines that the model of a run makes, as they come: new ones, or all of them as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..generation.config import SamplingConfig
from .asked import best_of, lines_asked, longest_asked
from .layout import Layout
from .listener import QUIET, Listener
from .new_lines import model_for, new_lines
from .valid import PATIENCE, judged_lines, tally_of
from .wanted import Wanted, asked_label, check_prefix

if TYPE_CHECKING:
    from ..generation.asked.wish import Wish
    from ..generation.sampling import Sample
    from ..models.contract import LanguageModel
    from ..models.new_lines.model import Weighted
    from ..training.runs.run import Run


class Making:
    """Makes the lines that are wanted of a run, those that were asked for if something was, and counts them.

    Lines that are cut at a limit nobody asked for are left out, and others made. `new` gives the model of new lines
    if it is known already (see `new_lines`).
    """

    def __init__(
        self,
        run: Run,
        sampling: SamplingConfig,
        wanted: Wanted,
        wish: Wish | None = None,
        listener: Listener = QUIET,
        new: Callable[[], Weighted | None] | None = None,
    ) -> None:
        self._run, wanted = _labelled(run, wanted)
        if sampling.greedy:
            wanted = replace(wanted, count=1, unique=False, best_of=None)
        self._wanted = wanted = replace(wanted, unique=wanted.unique or wanted.best_of is not None)
        usual = check_prefix(self._run.vocabulary, sampling) + run.usual_length + 10
        limit = sampling.max_length or max(run.length_limit, usual, longest_asked(wish, usual))
        self._sampling, self._wish, self._listener = replace(sampling, max_length=limit), wish, listener
        self._new = new or partial(new_lines, run, listener, wanted.work)
        self._pattern = wish is not None and wish.asked.is_pattern
        shows_cut = sampling.max_length is not None or sampling.greedy
        self._cut = _Cut(keep=not self._pattern and wanted.best_of is None and shows_cut)
        self._unlike = wanted.known if wanted.novel else None
        self.layout = Layout.of(run)
        as_made = (wish is None or wish.writing is None) and not self.layout.spaced
        known = wanted.known
        # what is told is compared with lines of the list as they would be told
        self._listed = known if as_made or known is None else list(map(self._written, known))
        self.tally, self._verdicts = tally_of(wanted.validator, self._listed), dict[int, bool]()
        self.made = self._shortened = 0

    @property
    def count(self) -> int:
        """Say how many lines are wanted."""
        return self._wanted.count

    def _written(self, line: str) -> str:
        return self.layout.close(line if self._wish is None else self._wish.written(line))

    def _samples(self) -> Iterator[Sample]:
        """Make lines, have them judged, and choose the best, if that is wanted."""
        wanted = self._wanted
        made = self._lines()
        if wanted.validator is not None and self.tally is not None:
            most = wanted.best_of or wanted.count
            judging = wanted.validator, self.tally, self._verdicts
            made = judged_lines(made, *judging, most, self._written, only=wanted.only_valid)
        if wanted.best_of is not None:
            choosing = wanted.count, wanted.best_of, self._listed or (), self._written
            made = best_of(self._run, made, *choosing, self._listener)
        return made

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what is told of each line, as it comes: line, complete, and what else was asked for.

        `GenerationError` if no such line can be.
        """
        for one in islice(self._samples(), self.count):
            row = self._row(one)
            self.made += 1
            self._shortened += not one.complete
            yield row
            if self._sampling.greedy and self._unlike is not None and one.complete and one.text in self._unlike:
                self._listener.note("the list holds this line too, though the model did not learn from it")

    def _row(self, one: Sample) -> dict[str, Any]:
        from ..generation.novelty import nearest

        line = self._written(one.text)
        row: dict[str, Any] = {"line": line, "complete": one.complete}
        if one.label is not None:
            row["label"] = one.label
        if self._verdicts:
            row["valid"] = self._verdicts.pop(one.candidate)
        if self._wanted.nearest and self._listed is not None:
            row["nearest"], row["distance"] = nearest(line, self._listed)
        return row

    def _lines(self) -> Iterator[Sample]:
        """Yield the lines that are wanted; those that the model does not know of are refused here."""
        from ..generation.novelty import only
        from ..generation.sampling import sample

        run, sampling, unlike, wish, cut = self._run, self._sampling, self._unlike, self._wish, self._cut
        unique, tick = self._wanted.unique, self._listener.tick
        # a line that models of new lines do not know of: of those that judge, or the same in other tokens
        refused = None if sampling.greedy else unlike
        if wish is None:
            accept, model = only(unlike=refused, unique=unique), self._model()
            made = sample(model, run.vocabulary, sampling, accept=accept, cut=cut, patience=PATIENCE, tick=tick)
            return cut.watching(made)
        fresh = only(unlike=None if refused is None else map(wish.written, refused), unique=unique)

        def accepted(made: str) -> bool:
            line = wish.written(made)
            return wish.will_do(line) and fresh(line)

        asking = partial(lines_asked, run, sampling, wish, unlike, self._model)
        return cut.watching(asking(accept=accepted, cut=cut, patience=PATIENCE, listener=self._listener))

    def _model(self) -> LanguageModel:
        return model_for(self._run, self._sampling, self._unlike is not None, self._new, self._listener)

    @property
    def _length(self) -> str:
        return f"{self._sampling.max_length:,} {self._run.vocabulary.noun}s"

    def say_cut(self) -> None:
        """Say how many lines were cut, or left out for that."""
        cut = self._cut
        if self._shortened:
            self._listener.note(
                f"cut at {self._length}: {self._shortened:,} of {self.made:,} lines, which --json marks"
            )
        elif cut.count and self.made and not cut.keep:
            self._listener.note(
                f"left out {cut.count:,} line{'s' * (cut.count > 1)} that did not end within {self._length}, made "
                "others; --max-length shows them cut"
            )

    def lacking(self) -> str | None:
        """Say that lines are lacking, and why; None if there are as many as are wanted."""
        if self.made >= self.count:
            return None
        return f"stopped after {self.made:,} of {self.count:,} lines: {self._refusal()}"

    def _refusal(self) -> str:
        """Say why there are no more lines."""
        tally = self.tally
        if self._wanted.only_valid and tally is not None and tally.in_vain >= PATIENCE:
            return f"none of the last {tally.in_vain:,} lines made is valid; see them without --only valid"
        if self._sampling.greedy and self._pattern and not self._cut.count:
            return "the likeliest line is not as was asked; leave --greedy out"
        novel, limit = self._unlike is not None, self._sampling.max_length or 0
        return _refusal(self._cut, limit, self._length, novel, self._wanted.unique, self._pattern)


def _labelled(run: Run, wanted: Wanted) -> tuple[Run, Wanted]:
    """Give a run whose lines have the label that is wanted, and what is wanted of lines without their labels."""
    from ..data.labels import Labelled, texts

    vocabulary = asked_label(run.vocabulary, wanted.label)
    if not isinstance(vocabulary, Labelled):
        return run, wanted
    known = None if wanted.known is None else texts(vocabulary, wanted.known)
    return replace(run, vocabulary=vocabulary), replace(wanted, known=known)


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
    from ..generation.sampling import cost_of_cut

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
