"""Commands about lines: make them, look at them, score them, spell one out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from ...data.config import DataConfig
from ...errors import RunError, UsageError
from ...generation.config import SamplingConfig
from .. import progress as waiting
from .. import sketches, terminal
from .. import workflows as steps
from ..options import (
    Count,
    Data,
    Encoding,
    File,
    Flag,
    Json,
    Line,
    Out,
    RunFolder,
    Sampling,
    Seconds,
    check_count,
    newest,
)
from .application import app
from .making import check_prefix, print_samples
from .modelling import check_within, preview, train_best, train_within


@app.command
def make(
    file: File | None = None,
    /,
    *,
    count: Count = 10,
    model: str | None = None,
    seconds: Seconds = 10.0,
    data: Data = DataConfig(),
    sampling: Sampling = SamplingConfig(),
    novel: bool = True,
    unique: bool = True,
    nearest: Flag = False,
    out: Out | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Make new lines like those of FILE (default: the bundled names).

    Parameters
    ----------
    model
        What to train, such as ngram or ngram:5. Without it, the n-gram says at once how good it is, and the best
        network that starts from it is trained in the rest of --seconds.
    novel
        Only lines that FILE does not hold.
    unique
        No line twice.
    nearest
        Show the most similar line of FILE and the edit distance.
    out
        Also keep the trained model in this run folder.
    """
    from ...training.runs.folder import check_place
    from ...training.runs.run import save_run

    check_count(count)
    if not math.isfinite(seconds):
        raise UsageError(f"--seconds {seconds:g}: give a number of seconds")
    if model is not None:
        check_within(model, seconds)
    if out is not None:
        check_place(out)
    preview(file, encoding, data)
    prepared = steps.prepare(file, encoding, data)
    check_prefix(prepared.vocabulary, sampling)
    trained = train_within(prepared, model, seconds) if model else train_best(prepared, seconds)
    run = trained.run
    failure = None
    if out is not None:
        try:
            save_run(run, out)
            terminal.note(f"kept in {out}")
        except RunError as error:  # the place was good before the training: what was learned is not lost with it
            failure = error
    known = prepared.split.known
    try:
        print_samples(run, sampling, count, known if novel else None, unique, known if nearest else None, json)
    finally:
        if failure is not None:
            raise failure


@app.command
def look(file: File | None = None, /, *, encoding: Encoding = None, json: Json = False) -> None:
    """Say what is in FILE (default: the bundled names): how much, what is repeated, and how predictable it is.

    Parameters
    ----------
    json
        One JSON object.
    """
    from ...data.summary import Summary, bigram_table
    from ...models.table import parse_specification
    from ...training.experiments.comparison import floor

    lines = steps.read(file, encoding)
    with waiting.progress(None, "looking, and training the floor"):
        summary, best = Summary.of(lines), floor(lines, parse_specification("ngram"))
    if json:
        terminal.print_json({"file": lines.name, **summary.to_json(), "floor": best.to_json() if best else None})
        return
    terminal.print_summary(summary, best)
    letters = sorted(letter for letter, _ in summary.letters[: terminal.LETTERS_SHOWN])
    sketches.print_bigrams(letters, bigram_table(lines, letters))


@app.command
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
    if loaded.lines is None and (novel or nearest):
        raise RunError(
            f"{run} keeps no training lines, as after --stream, so --novel and --nearest cannot be "
            "answered; train without --stream"
        )
    lines = loaded.lines
    print_samples(loaded, sampling, count, lines if novel else None, unique, lines if nearest else None, json)


@app.command
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
    from ...models.table import MODELS
    from ...training.runs.run import read_run

    if run is not None and file is None and not Path(run).is_dir():
        run, file = None, run
    check_encoding(encoding or "utf-8")
    loaded = read_run(run or newest(), MODELS)
    lines = steps.read(file, encoding).in_file_order()
    with waiting.progress(None, "scoring"):
        scores = list(score_lines(loaded.model, loaded.vocabulary, lines))
    if unknown := [one for one in scores if one.unknown]:
        terminal.warn(
            f"{len(unknown):,} of {len(scores):,} lines hold what no training line held, such as "
            f"{unknown[0].unknown[0]!r} in {unknown[0].line[:40]!r}: its surprise is infinite"
        )
    if sort != "file":
        scores.sort(key=lambda one: (one.bits_per_char, one.known_bits), reverse=sort == "surprise")
    if json:
        for one in scores:
            terminal.print_json(one.to_json(loaded.vocabulary))
    else:
        terminal.print_scores(scores, loaded.vocabulary)


@app.command
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
    from ...models.table import MODELS
    from ...training.runs.folder import CONFIG
    from ...training.runs.run import read_run

    if top < 0:
        raise UsageError(f"--top {top}: must be at least 0")
    if run is not None and line is None and not (Path(run) / CONFIG).is_file():
        run, line = None, run
    if line is None:
        raise UsageError("name the line to spell out, as in: spellout why Sophia")
    loaded = read_run(run or newest(), MODELS)
    explained = explain_line(loaded.model, loaded.vocabulary, line, top)
    if json:
        for step in explained:
            terminal.print_json(step.to_json())
    else:
        terminal.print_steps(explained)
