"""`spellout sample RUN`, and printing lines as they are made, which `make` does too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...errors import DataError, GenerationError, RunError, UsageError
from ...generation.config import SamplingConfig
from .. import terminal
from ..options import Count, Flag, Json, RunFolder, Sampling, check_count, newest
from ..progress import track

if TYPE_CHECKING:
    from ...data.vocabulary import Vocabulary
    from ...generation.sampling import Sample
    from ...training.runs.run import Run

PATIENCE = 10_000
"""After so many candidates in a row that will not do, no more are tried."""
_UNITS = {"char": "characters", "byte": "bytes", "word": "words"}


def sample(
    run: RunFolder | None = None,
    /,
    *,
    count: Count = 10,
    sampling: Sampling = SamplingConfig(),
    novel: Flag = False,
    unique: Flag = False,
    nearest: Flag = False,
    json: Json = False,
) -> None:
    """Make lines with the model of a run folder (default: the newest under ./runs).

    Parameters
    ----------
    novel
        Only lines that are not training lines.
    unique
        No line twice.
    nearest
        Show the most similar training line and the edit distance.
    """
    from ...models.table import MODELS
    from ...training.runs.run import read_run

    check_count(count)
    run = run or newest()
    loaded = read_run(run, MODELS)
    lines = loaded.lines
    if lines is None and (novel or nearest):
        raise RunError(
            f"{run} keeps no training lines, as after --stream, so --novel and --nearest cannot be "
            "answered; train without --stream"
        )
    print_samples(loaded, sampling, count, lines if novel else None, unique, lines if nearest else None, json)


def check_prefix(vocabulary: Vocabulary, sampling: SamplingConfig) -> int:
    """Count the tokens of the prefix; an error if no line can begin with it: to be asked before a training."""
    from ...generation.sampling import encode_prefix

    prefix = sampling.prefix
    said = f"--prefix {prefix if prefix.isprintable() else repr(prefix)}"
    try:
        tokens = encode_prefix(vocabulary, prefix)
    except DataError:
        for other in (prefix.lower(), prefix.upper(), prefix.title()):
            if _is_known(vocabulary, other):
                raise DataError(f"{said}: no line is written so; these lines know --prefix {other}") from None
        missing = next(piece for piece in vocabulary.pieces(prefix) if not _is_known(vocabulary, piece))
        raise DataError(
            f"{said}: {missing!r} is in none of the lines the model learns from, so no line can begin with it"
        ) from None
    if set(tokens.tolist()) & {0, *vocabulary.never_sampled}:
        raise DataError(f"{said}: it holds what no line is made of, a line end or a rare word; take it out")
    longest = sampling.max_length
    if longest is not None and len(tokens) > longest:
        raise UsageError(
            f"{said}: its {len(tokens)} {_UNITS[vocabulary.unit]} are more than --max-length {longest}"
        )
    return len(tokens)


def _is_known(vocabulary: Vocabulary, text: str) -> bool:
    try:
        vocabulary.encode([text])
    except DataError:
        return False
    return True


class _Cut:
    """Counts lines that were cut at the length limit, and says whether they are printed."""

    def __init__(self, keep: bool) -> None:
        self.keep, self.count, self.in_a_row = keep, 0, 0

    def __call__(self, sample: Sample) -> bool:
        self.count += 1
        self.in_a_row += 1
        return self.keep


def print_samples(
    run: Run,
    sampling: SamplingConfig,
    count: int,
    unlike: Sequence[str] | None,
    unique: bool,
    near: Sequence[str] | None,
    json: bool,
) -> None:
    """Print lines as they are made, not among `unlike`, and with the nearest of `near` if given.

    Lines that are cut at a limit nobody asked for are left out, and others made; stderr says how many.
    `GenerationError` if the model cannot make so many.
    """
    from ...generation.novelty import nearest, only
    from ...generation.sampling import sample as lines_of

    begun = check_prefix(run.vocabulary, sampling)
    if sampling.greedy:
        count, unlike, unique = 1, None, False
    cut = _Cut(keep=sampling.max_length is not None or sampling.greedy)
    limit = sampling.max_length or max(run.length_limit, begun + run.usual_length + 10)
    made = lines_of(
        run.model,
        run.vocabulary,
        replace(sampling, max_length=limit),
        accept=only(unlike=unlike, unique=unique),
        cut=cut,
        patience=PATIENCE,
    )
    printed = shortened = 0
    for one in track(islice(made, count), count, "making", printing=True):
        row: dict[str, Any] = {"line": one.text, "complete": one.complete}
        if near is not None:
            row["nearest"], row["distance"] = nearest(one.text, near)
        _print_line(row, json)
        printed, shortened, cut.in_a_row = printed + 1, shortened + (not one.complete), 0
    length = f"{limit:,} {_UNITS[run.vocabulary.unit]}"
    if shortened:
        terminal.note(f"cut at {length}: {shortened:,} of {printed:,} lines, which --json marks")
    elif cut.count and printed and not cut.keep:
        terminal.note(
            f"left out {cut.count:,} line{'s' * (cut.count > 1)} that did not end within {length}, made others; "
            "--max-length shows them cut"
        )
    if printed < count:
        raise GenerationError(
            f"stopped after {printed:,} of {count:,} lines: {_refusal(cut, limit, length, unlike, unique)}"
        )


def _print_line(row: dict[str, Any], as_json: bool) -> None:
    """Print one line, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        terminal.print_json(row)
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    terminal.print_line(*([line, row["nearest"], str(row["distance"])] if "nearest" in row else [line]))


def _refusal(cut: _Cut, limit: int, length: str, unlike: Sequence[str] | None, unique: bool) -> str:
    """Say what the last tries were refused for."""
    from ...generation.sampling import cost_of_cut

    if not cut.keep and 2 * cut.in_a_row * cost_of_cut(limit) > PATIENCE:
        return (
            f"of the last tries, {cut.in_a_row:,} did not end within {length}; see such lines, cut, with "
            "--max-length, or train longer, on more lines, so that the model learns where they end"
        )
    kind = " ".join(["new"] * (unlike is not None) + ["different"] * unique + ["one"])
    return (
        f"{PATIENCE:,} tries in a row brought no other {kind}; ask for fewer, raise --temperature, or give more "
        "lines to learn from"
    )
