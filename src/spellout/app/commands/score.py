"""What the model of a run thinks of lines: `spellout score RUN FILE` of many, `spellout why RUN LINE` of one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from ...data.sources.config import TAB, SourceConfig, line_ends_apart
from ...errors import DataError, UsageError
from ...inference.new_lines import new_lines
from ...inference.scores import check_label, novelty_of, spell_out
from .. import terminal
from ..options import Encoding, File, Json, Line, Source, newest
from ..progress import OnTerminal, progress_bar
from ..workflows import load_run, read

if TYPE_CHECKING:
    from ...data.vocabulary.protocol import Vocabulary
    from ...generation.novelty import Novelty
    from ...generation.scoring import Prediction, Score
    from ...training.runs.run import Run

MOST_NAMED = 8
"""So many different unknown characters or words are named."""
LONGEST_BAR = 12
"""The bar of a surprise has a block for every bit, so many at most."""


def score(
    run: Line | None = None,
    /,
    *files: File,
    source: Source = SourceConfig(),
    sort: Literal["file", "surprise", "likely"] = "file",
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Say how surprising each line of FILE is to the model of RUN, in bits per character.

    Of a line that is not in the list that the model learned from, also as one of the new lines only.

    spellout score RUN FILE; spellout score FILE takes the newest run under ./runs; spellout score RUN, the bundled
    names.

    Parameters
    ----------
    run
        A folder written by `spellout train`.
    sort
        The order of FILE, the most surprising lines first, or the likeliest first.
    json
        One JSON object a line, with the surprise of every character.
    """
    from ...data.sources.text import check_encoding
    from ...generation.scoring import score_lines
    from ...training.runs.folder import CONFIG

    if run is not None:
        is_run = not os.path.isfile(run) if files else os.path.isfile(os.path.join(run, CONFIG))
        run, files = (run, files) if is_run else (None, (run, *files))
    for file in files:
        if os.path.isfile(os.path.join(file, CONFIG)):
            raise UsageError(f"{file} is a run folder; put it first, as in: spellout score {file} FILE")
    check_encoding(encoding or "utf-8")
    loaded = load_run(run or newest())
    lines = _lines(loaded, files, encoding, source)
    with progress_bar(None, "scoring"):
        scores = list(score_lines(loaded.model, loaded.vocabulary, lines))
    novelty = novelty_of(loaded, scores, partial(new_lines, loaded, OnTerminal()))
    if unknown := [one for one in scores if one.unknown]:
        terminal.warn(
            f"{len(unknown):,} of {len(scores):,} lines hold what {_unknown(loaded.vocabulary)[0]}, such as "
            f"{unknown[0].unknown[0]!r} in {unknown[0].line[:40]!r}{_counted(unknown)}: "
            f"{_unknown(loaded.vocabulary)[1]}"
        )
    if sort != "file":
        scores.sort(key=lambda one: one.bits_per_char, reverse=sort == "surprise")
    if json:
        for one in scores:
            terminal.print_json(one.to_json(loaded.vocabulary) | (novelty.to_json(one) if novelty else {}))
    else:
        _print_scores(scores, loaded.vocabulary, novelty)


def _counted(unknown: Sequence[Score]) -> str:
    """Say how often each thing that is unknown stands in some lines, if there are several."""
    times = Counter(piece for one in unknown for piece in one.unknown)
    if len(times) == 1:
        return ""
    named = ", ".join(f"{piece!r} ×{often:,}" for piece, often in times.most_common(MOST_NAMED))
    more = f" and {len(times) - MOST_NAMED:,} more" if len(times) > MOST_NAMED else ""
    return f" (in all {named}{more})"


def _lines(run: Run, files: Sequence[str], encoding: str | None, source: SourceConfig) -> list[str]:
    """Read the lines to be scored, with labels if those of the run have some: one that is named, or a column."""
    given, before = source.label, ""
    if check_label(run.vocabulary, given):
        source, before, given = replace(source, label=None), f"{given}{TAB}", None
    try:
        lines = read(files, encoding, source).in_file_order()
    except DataError as error:
        if given is None or not all(map(os.path.isfile, files)):
            raise
        told = f"--label {given}: no line the model learned from has it; {_labels_of(run.vocabulary)}"
        raise UsageError(f"{told}; nor is it a column: {error}") from None
    return [before + line_ends_apart(line, run.vocabulary.between) for line in lines]


def _labels_of(vocabulary: Vocabulary) -> str:
    from ...data.labels import Labelled

    assert isinstance(vocabulary, Labelled)  # of other runs a label is refused
    return vocabulary.said()


def _print_scores(scores: Sequence[Score], vocabulary: Vocabulary, novelty: Novelty | None) -> None:
    def worst(score: Score) -> str:
        position = int(score.nats.argmax())
        symbol, token = score.symbols(vocabulary)[position], [*score.tokens.tolist(), 0][position]
        return f"{symbol} at {position + 1} ({score.bits[position]:.1f} bits{', unknown' * (token < 0)})"

    def among_new(score: Score) -> str:
        bits = novelty.bits_per_char(score) if novelty else None
        if bits is not None:
            return f"{bits:.3f}"
        return "in the list" if novelty and score.given in novelty.known else ""

    columns: dict[str, Callable[[Score], str]] = {
        "bits/char": lambda score: f"{score.bits_per_char:.3f}",
        "ln p": lambda score: f"{score.log_probability:.2f}",
        "line": lambda score: score.line,
        "most surprising": worst,
        "as new": among_new,
    }
    known = sum(one.given in novelty.known for one in scores) if novelty else 0
    if novelty is None or (known < len(scores) and not novelty.among_new):  # nobody knows
        del columns["as new"]
    terminal.print_table(
        list(columns),
        ([cell(score) for cell in columns.values()] for score in scores),
        left=["line", "most surprising"],
        spare=[name for name in ("ln p", "as new") if name in columns],
    )
    if known:
        terminal.note(
            f"{known:,} of {len(scores):,} lines are in the list that the model learned from, so it finds little "
            "odd in them: spellout suspects FILE judges each line by a model that has not seen it"
        )


def why(
    run: Line | None = None,
    line: Line | None = None,
    /,
    *,
    top: int = 5,
    label: str | None = None,
    json: Json = False,
) -> None:
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
    label
        The line's label, if the model was trained on lines with labels.
    json
        One JSON object a letter.
    """
    from ...training.runs.folder import CONFIG

    if top < 1:
        raise UsageError(f"--top {top}: must be at least 1")
    if run is not None and line is None and not (Path(run) / CONFIG).is_file():
        run, line = None, run
    if line is None:
        raise UsageError("name the line to spell out, as in: spellout why Sophia")
    loaded = load_run(run or newest())
    spelled = spell_out(loaded, line, label, top, partial(new_lines, loaded, OnTerminal()))
    if json:
        for place, step in enumerate(spelled.letters):
            new = spelled.among_new[place].probability if spelled.among_new else None
            terminal.print_json(step.to_json() | {"known": spelled.known, "new_probability": new})
        return
    _print_letters(spelled.letters, spelled.among_new, loaded.vocabulary)
    if spelled.known:
        terminal.note("this line is in the list that the model learned from: as a new one it has no chance")


def _unknown(vocabulary: Vocabulary) -> tuple[str, str]:
    """Say what it is that has no token, and what comes of that."""
    if vocabulary.never_sampled:  # where rare words are unknown, such a word may have been seen
        return "was rare or never seen in training", "it is read as the unknown word, and spelled"
    return "no training line held", "it costs what something new costs, and the rest is read as if it were absent"


def _print_letters(
    steps: Sequence[Prediction], among_new: Sequence[Prediction] | None, vocabulary: Vocabulary
) -> None:
    """A line spelled out, a row a token, and the whole line's surprise below."""
    token = "letter" if vocabulary.noun == "character" else vocabulary.noun
    columns: dict[str, list[Any]] = {
        token: [step.symbol for step in steps],
        "chance": [f"{step.probability:.4f}" for step in steps],
        "as new": [f"{step.probability:.4f}" for step in among_new or []],
        "bits": [f"{step.bits:.2f}" for step in steps],
        "surprise": [_surprise_bar(step.bits) for step in steps],
        "rank": [str(step.rank) for step in steps],
        "likeliest here": ["  ".join(f"{symbol} {chance:.2f}" for symbol, chance in s.expected) for s in steps],
    }
    if among_new is None:
        del columns["as new"]
    terminal.print_table(
        list(columns),
        list(zip(*columns.values(), strict=True)),
        left=[token, "surprise", "likeliest here"],
        spare=[name for name in ("as new", "chance", "rank", "surprise") if name in columns],
    )
    bits = sum(step.bits for step in steps)
    as_new = f"; as a new line {sum(step.bits for step in among_new):.2f} in all" if among_new else ""
    terminal.note(f"{bits:.2f} bits in all, {bits / len(steps):.2f} a {token}{as_new}; ¶ is the end of the line")
    if new := list(dict.fromkeys(step.symbol for step in steps if step.new)):
        held, price = _unknown(vocabulary)
        terminal.note(f"{', '.join(map(repr, new))}: what {held}; {price}")


def _surprise_bar(bits: float) -> Text:
    """A bar for a surprise: green is expected, red is not."""
    style = "green" if bits < 3 else "yellow" if bits < 6 else "red"
    return Text("█" * min(LONGEST_BAR, round(bits)), style=style)
