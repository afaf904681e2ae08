"""Commands about lines: make them, look at them, score them, spell one out."""

from __future__ import annotations

from time import perf_counter
from typing import Literal

from .. import sketches, steps, terminal, waiting
from ..data.config import DataConfig
from ..errors import RunError, UsageError
from ..generation.config import SamplingConfig
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
)
from .app import app


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
    from ..training.run import check_place, save_run

    began = perf_counter()
    check_count(count)
    if out is not None:
        check_place(out)
    prepared = steps.prepare(file, encoding, data)
    if model:
        run = steps.train_within(prepared, model, seconds, began).run
    else:
        run = steps.train_best(prepared, seconds, began).run
    if out is not None:
        save_run(run, out)
    known = prepared.split.known
    steps.print_samples(run, sampling, count, known if novel else None, unique, known if nearest else None, json)


@app.command
def look(file: File, /, *, encoding: Encoding = None, json: Json = False) -> None:
    """Say what is in FILE: how much, what is repeated, which letters follow which, and how predictable it is.

    Parameters
    ----------
    json
        One JSON object.
    """
    from ..data.summary import Summary, bigram_table
    from ..training.comparison import floor

    lines = steps.read(file, encoding)
    with waiting.progress(None, "looking, and training the floor"):
        summary, best = Summary.of(lines), floor(lines)
    if json:
        terminal.print_json({"file": lines.name, **summary.to_json(), "floor": best.to_json() if best else None})
        return
    terminal.print_summary(summary, best)
    letters = sorted(letter for letter, _ in summary.letters[: terminal.LETTERS_SHOWN])
    sketches.print_bigrams(letters, bigram_table(lines, letters))


@app.command
def sample(
    run: RunFolder,
    /,
    *,
    count: Count = 10,
    sampling: Sampling = SamplingConfig(),
    novel: Flag = False,
    unique: Flag = False,
    nearest: Flag = False,
    json: Json = False,
) -> None:
    """Make lines with the model of a run folder.

    Parameters
    ----------
    novel
        Only lines that are not training lines.
    unique
        No line twice.
    nearest
        Show the most similar training line and the edit distance.
    """
    from ..training.run import load_run

    check_count(count)
    loaded = load_run(run)
    if loaded.lines is None and (novel or nearest):
        raise RunError(
            f"{run} was trained with --stream and keeps no training lines, so --novel and --nearest cannot be "
            "answered; train without --stream"
        )
    steps.print_samples(
        loaded, sampling, count, loaded.lines if novel else None, unique, loaded.lines if nearest else None, json
    )


@app.command
def score(
    run: RunFolder,
    file: File,
    /,
    *,
    sort: Literal["file", "surprise", "likely"] = "file",
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Say how surprising each line of FILE is to the model of a run folder, in bits per character.

    Parameters
    ----------
    sort
        The order of FILE, the most surprising lines first (which look wrong?), or the likeliest first.
    json
        One JSON object a line, with the surprise of every character.
    """
    from ..generation.scoring import score_lines
    from ..training.run import load_run

    loaded = load_run(run)
    lines = steps.read(file, encoding).in_file_order()
    with waiting.progress(None, "scoring"):
        scores = list(score_lines(loaded.model, loaded.vocabulary, lines))
    if sort != "file":
        scores.sort(key=lambda one: one.bits_per_char, reverse=sort == "surprise")
    if json:
        for one in scores:
            terminal.print_json(one.to_json(loaded.vocabulary))
    else:
        terminal.print_scores(scores, loaded.vocabulary)


@app.command
def why(run: RunFolder, line: Line, /, *, top: int = 5, json: Json = False) -> None:
    """Spell a line out: how probable the model of a run folder finds each letter, and what it expected.

    Parameters
    ----------
    line
        The line, in quotes if it holds spaces.
    top
        How many of the likeliest letters to show at each place.
    json
        One JSON object a letter.
    """
    from ..generation.scoring import explain_line
    from ..training.run import load_run

    if top < 0:
        raise UsageError(f"--top {top}: must be at least 0")
    loaded = load_run(run)
    explained = explain_line(loaded.model, loaded.vocabulary, line, top)
    if json:
        for step in explained:
            terminal.print_json(step.to_json())
    else:
        terminal.print_steps(explained)
