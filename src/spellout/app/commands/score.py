"""What the model of a run thinks of lines: `spellout score RUN FILE` of many, `spellout why RUN LINE` of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from ...errors import UsageError
from .. import terminal
from ..options import Encoding, File, Json, Line, newest
from ..progress import progress_bar
from ..workflows import load_run, read

if TYPE_CHECKING:
    from ...data.vocabulary import Vocabulary
    from ...generation.scoring import Prediction, Score

LONGEST_BAR = 12
"""The bar of a surprise has a block for every bit, so many at most."""


def score(
    run: Line | None = None,
    file: File | None = None,
    /,
    *,
    sort: Literal["file", "surprise", "likely"] = "file",
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Say how surprising each line of FILE is to the model of RUN, in bits per character.

    spellout score RUN FILE; spellout score FILE takes the newest run under ./runs; spellout score RUN, the bundled
    names.

    Parameters
    ----------
    run
        A folder written by `spellout train`.
    sort
        The order of FILE, the most surprising lines first (which look wrong?), or the likeliest first.
    json
        One JSON object a line, with the surprise of every character.
    """
    from ...data.lines import check_encoding
    from ...generation.scoring import score_lines

    if run is not None and file is None and not Path(run).is_dir():
        run, file = None, run
    check_encoding(encoding or "utf-8")
    loaded = load_run(run or newest())
    lines = read(file, encoding).in_file_order()
    with progress_bar(None, "scoring"):
        scores = list(score_lines(loaded.model, loaded.vocabulary, lines))
    if unknown := [one for one in scores if one.unknown]:
        terminal.warn(
            f"{len(unknown):,} of {len(scores):,} lines hold what {_unknown(loaded.vocabulary)[0]}, such as "
            f"{unknown[0].unknown[0]!r} in {unknown[0].line[:40]!r}: {_unknown(loaded.vocabulary)[1]}"
        )
    if sort != "file":
        scores.sort(key=lambda one: one.bits_per_char, reverse=sort == "surprise")
    if json:
        for one in scores:
            terminal.print_json(one.to_json(loaded.vocabulary))
    else:
        _print_scores(scores, loaded.vocabulary)


def _print_scores(scores: Sequence[Score], vocabulary: Vocabulary) -> None:
    def worst(score: Score) -> str:
        position = int(score.nats.argmax())
        symbol, token = score.symbols(vocabulary)[position], [*score.tokens.tolist(), 0][position]
        return f"{symbol} at {position + 1} ({score.bits[position]:.1f} bits{', unknown' * (token < 0)})"

    terminal.print_table(
        ["bits/char", "ln p", "line", "most surprising"],
        ([f"{s.bits_per_char:.3f}", f"{s.log_probability:.2f}", s.line, worst(s)] for s in scores),
        left=["line", "most surprising"],
        spare=["ln p"],
    )


def why(run: Line | None = None, line: Line | None = None, /, *, top: int = 5, json: Json = False) -> None:
    """Spell LINE out: how probable the model of RUN finds each letter, and what it expected.

    spellout why RUN LINE; spellout why LINE takes the newest run under ./runs.

    Parameters
    ----------
    run
        A folder written by `spellout train`.
    line
        The line, in quotes if it holds spaces.
    top
        How many of the likeliest letters to show at each place.
    json
        One JSON object a letter.
    """
    from ...generation.scoring import explain_line
    from ...training.runs.folder import CONFIG

    if top < 0:
        raise UsageError(f"--top {top}: must be at least 0")
    if run is not None and line is None and not (Path(run) / CONFIG).is_file():
        run, line = None, run
    if line is None:
        raise UsageError("name the line to spell out, as in: spellout why Sophia")
    loaded = load_run(run or newest())
    explained = explain_line(loaded.model, loaded.vocabulary, line, top)
    if json:
        for step in explained:
            terminal.print_json(step.to_json())
    else:
        _print_letters(explained, loaded.vocabulary)


def _unknown(vocabulary: Vocabulary) -> tuple[str, str]:
    """Say what it is that has no token, and what comes of that."""
    if vocabulary.never_sampled:  # where rare words are unknown, such a word may have been seen
        return "was rare or never seen in training", "it is read as the unknown word, and spelled"
    return "no training line held", "it costs what something new costs, and the rest is read as if it were absent"


def _print_letters(steps: Sequence[Prediction], vocabulary: Vocabulary) -> None:
    """A line spelled out, a row a letter, and the whole line's surprise below."""
    terminal.print_table(
        ["letter", "chance", "bits", "surprise", "rank", "likeliest here"],
        (
            [
                step.symbol,
                f"{step.probability:.4f}",
                f"{step.bits:.2f}",
                _surprise_bar(step.bits),
                str(step.rank),
                "  ".join(f"{symbol} {probability:.2f}" for symbol, probability in step.expected),
            ]
            for step in steps
        ),
        left=["letter", "surprise", "likeliest here"],
        spare=["chance", "rank", "surprise"],
    )
    bits = sum(step.bits for step in steps)
    terminal.note(f"{bits:.2f} bits in all, {bits / len(steps):.2f} a letter; ¶ is the end of the line")
    if new := list(dict.fromkeys(step.symbol for step in steps if step.new)):
        held, price = _unknown(vocabulary)
        terminal.note(f"{', '.join(map(repr, new))}: what {held}; {price}")


def _surprise_bar(bits: float) -> Text:
    """A bar for a surprise: green is expected, red is not."""
    style = "green" if bits < 3 else "yellow" if bits < 6 else "red"
    return Text("█" * min(LONGEST_BAR, round(bits)), style=style)
