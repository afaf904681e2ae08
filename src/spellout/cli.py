"""The commands. Each body is a few lines of calls into the rooms below; heavy imports happen inside them.

Samples and data go to stdout, everything else to stderr. Exit codes: 0 done, 1 the data or the run is wrong,
2 wrong command line, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from . import steps, terminal
from .data.config import DataConfig
from .errors import RunError, SpelloutError, UsageError
from .generation.config import SamplingConfig
from .lectures.results import RESULTS
from .options import (
    STDIN,
    Count,
    Data,
    Encoding,
    File,
    Flag,
    Json,
    Out,
    RunFolder,
    Sampling,
    Seconds,
    Training,
    check_count,
    with_order,
)
from .plots.kinds import Kind
from .training.config import TrainingConfig
from .version import __version__

app = App(
    name="spellout",
    help="See every gradient of a formula spelled out; make more of a text file with one thing per line.",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    help_format="plaintext",  # markdown would cost 50 ms at every --help
    suppress_keyboard_interrupt=False,  # `run_command` says that it was interrupted
)


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
    from .training.run import check_place, save_run

    began = perf_counter()
    check_count(count)
    if out is not None:
        check_place(out)
    prepared = steps.prepare(file, encoding, data)
    training = TrainingConfig(seconds=seconds or None)
    trained = steps.train(prepared, model, training) if model else steps.train_best(prepared, seconds, began)
    run = trained.run
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
    from .data.summary import Summary, bigram_table
    from .training.comparison import floor

    lines = steps.read(file, encoding)
    with terminal.progress(None, "looking, and training the floor"):
        summary, best = Summary.of(lines), floor(lines)
    if json:
        terminal.print_json({"file": lines.name, **summary.to_json(), "floor": best.to_json() if best else None})
        return
    terminal.print_summary(summary, best)
    letters = sorted(letter for letter, _ in summary.letters[: terminal.LETTERS_SHOWN])
    terminal.print_bigrams(letters, bigram_table(lines, letters))


@app.command
def train(
    file: File,
    /,
    *,
    out: Out,
    model: str | None = None,
    order: int | None = None,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    resume: Flag = False,
    stream: Flag = False,
    overwrite: Flag = False,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Train a model on FILE and keep it in a run folder.

    Parameters
    ----------
    out
        The run folder to write.
    model
        What to train: ngram (the default), ngram:5, ngram:2:smoothing=add-k:k=1.
    order
        The n of an n-gram, the same as ngram:N. Without it, the best on held-out training lines.
    resume
        Go on with the training in the run folder, with the settings it began with.
    stream
        Count n-grams in one pass over all lines, for files larger than memory.
    overwrite
        Replace the run that is in the folder.
    json
        The results as one JSON object.
    """
    if resume and (stream or overwrite or order is not None):
        raise UsageError("--resume goes on as the training began; leave out --stream, --overwrite and --order")
    wanted = with_order(model or "ngram", order)
    if resume:
        trained = steps.resume(file, out, model, data, training, encoding)
    elif stream:
        trained = steps.train_streaming(file, out, overwrite, data, wanted, encoding)
    else:
        trained = steps.train_into(file, out, overwrite, data, wanted, training, encoding)
    if json:
        terminal.print_json({"run": str(out), "parameters": trained.run.model.parameters, **trained.run.facts})
    else:
        terminal.note(f"kept in {out}; make lines with: spellout sample {out}")


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
    from .training.run import load_run

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
    from .generation.scoring import score_lines
    from .training.run import load_run

    loaded = load_run(run)
    lines = steps.read(file, encoding).in_file_order()
    with terminal.progress(None, "scoring"):
        scores = list(score_lines(loaded.model, loaded.vocabulary, lines))
    if sort != "file":
        scores.sort(key=lambda one: one.bits_per_char, reverse=sort == "surprise")
    if json:
        for one in scores:
            terminal.print_json(one.to_json(loaded.vocabulary))
    else:
        terminal.print_scores(scores, loaded.vocabulary)


@app.command
def why(run: RunFolder, line: str, /, *, top: int = 5, json: Json = False) -> None:
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
    from .generation.scoring import explain_line
    from .training.run import load_run

    if top < 0:
        raise UsageError(f"--top {top}: must be at least 0")
    loaded = load_run(run)
    explained = explain_line(loaded.model, loaded.vocabulary, line, top)
    if json:
        for step in explained:
            terminal.print_json(step.to_json())
    else:
        terminal.print_steps(explained)


@app.command
def compare(
    file: File | None = None,
    /,
    *,
    models: str = "ngram:1,ngram:2,ngram:3,ngram:4,ngram:5,ngram",
    on: Literal["dev", "test"] = "dev",
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Train several models on the same lines of FILE (default: the bundled names) and put them in one table.

    Parameters
    ----------
    models
        Separated by commas; MODEL+ngram is a network that starts from an n-gram.
    on
        The lines that judge. Choose models on dev; look at test once.
    """
    from .training.prior import parse

    wanted = [name.strip() for name in models.split(",") if name.strip()]
    if not wanted:
        raise UsageError("--models: name at least one model, such as ngram:5")
    for name in wanted:
        parse(name, training.prior)  # a typing error in the last one should not cost the first one's training
    prepared = steps.prepare(file, encoding, data)
    rows = steps.compare(prepared, wanted, on, training, json)
    if json:
        for row in rows:
            terminal.print_json(row.to_json())
    else:
        terminal.print_comparison(list(rows))


@app.command(name="lr-find")
def lr_find(
    file: File,
    /,
    *,
    model: str,
    prior: str | None = None,
    tries: Annotated[int, Parameter(name="--steps")] = 200,
    batch: int | None = None,
    train_seed: int = 0,
    data: Data = DataConfig(),
    out: Out | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Suggest a learning rate: try rising ones on a fresh model, and show how the loss on FILE answers.

    Parameters
    ----------
    model
        A model that learns in steps.
    prior
        Start from this n-gram, such as ngram or ngram:5.
    tries
        How many rates to try, from 0.00001 to 10.
    batch
        How many examples a step learns from; by default the model's own number.
    train_seed
        Other first weights, and another order of the examples.
    out
        Also draw the curve: FILE.png, FILE.svg or FILE.pdf.
    """
    from .training.lr_finder import find_lr_for

    if out is not None:
        steps.check_picture(out)
    prepared = steps.prepare(file, encoding, data)
    with terminal.progress(tries, "trying rates") as advance:
        curve = find_lr_for(prepared, model, prior, tries, batch, train_seed, advance)
    if out is not None:
        steps.plot_lr_curve(curve, out)
    if json:
        terminal.print_json(curve.to_json())
    else:
        terminal.print_lr_curve(curve)


@app.command
def tune(
    file: File,
    /,
    *,
    model: str,
    out: Out,
    trials: int = 20,
    test: Flag = False,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Look for better settings of a model: many trainings on FILE, judged by dev lines.

    The same command goes on where it was stopped, and may run several times at once. What --model or a flag says
    stays as it is; the rest is tried.

    Parameters
    ----------
    model
        A model that learns in steps, such as gru or gru+ngram; gru:128 tries only the rest.
    out
        The folder of the study.
    trials
        How many trainings in all, each of --seconds or --steps.
    test
        At the end, also say how good the best is on test lines. Do this once.
    json
        One JSON object a trial, the best first.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}: must be at least 1")
    steps.tune(file, out, model, trials, data, training, encoding, test, json)


@app.command
def plot(
    run: RunFolder,
    /,
    *,
    what: Kind,
    line: str | None = None,
    out: Out | None = None,
) -> None:
    """Draw a picture of the model of a run folder, or of how it was trained.

    Parameters
    ----------
    what
        Losses over steps, which letter follows which, the letters' vectors, histograms by layer of activations and
        gradients, saturated units, how much the steps moved the weights, who looks at whom, or where a line
        surprises.
    line
        The line whose attention or surprise is shown; by default the first training line.
    out
        FILE.png, FILE.svg or FILE.pdf; by default WHAT.png.
    """
    steps.plot(run, what, line, out or Path(f"{what}.png"))


@app.command
def lectures(
    file: File | None = None,
    /,
    *,
    only: str = ",".join(RESULTS),
    timed: int = 300,
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Reproduce the results of the course on FILE (the course's names.txt; default: the bundled names).

    The losses the lectures recorded, the time their loops take here, and how soon the models here are as good.

    Parameters
    ----------
    only
        Which results, separated by commas.
    timed
        How many steps of each lecture's loop are timed.
    """
    if timed < 1:
        raise UsageError(f"--timed {timed}: must be at least 1")
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    rows = steps.lectures(steps.read(file, encoding), wanted, timed, training)
    if json:
        for row in rows:
            terminal.print_json(row.to_json())
    else:
        terminal.print_lectures(list(rows))


@app.command
def draw(
    expression: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *numbers: str,
    out: Out | None = None,
) -> None:
    """Spell out a formula: every value, every gradient, and the chain rule along every path.

    spellout draw "tanh(a*b + c)" a=2 b=-3 c=10

    Parameters
    ----------
    expression
        A formula of numbers, names, + - * / ** and functions; steps may be named: "n = a*b + c; tanh(n)".
    numbers
        What the names stand for, as in a=2.
    out
        Draw it instead: FILE.svg is a picture, FILE.html plays backpropagation, FILE.dot is for Graphviz.
    """
    from .autograd.drawing import draw as draw_graph
    from .autograd.expression import evaluate, read_numbers, report

    root = evaluate(expression, read_numbers(numbers))
    root.backward()
    if out is None:
        terminal.print_line(report(root))
        return
    picture = draw_graph(root).render(out.suffix.removeprefix("."))
    try:
        out.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}") from None
    terminal.note(f"wrote {out}")


@app.command
def doctor(
    target: str | None = None,
    /,
    *,
    explain: str | None = None,
    ignore: tuple[str, ...] = (),
    json: Json = False,
) -> None:
    """Examine a PyTorch training program and name its mistakes; exit code 1 if there is one.

    Parameters
    ----------
    target
        FILE.py:FUNCTION that returns a dictionary (model, loss, batch, optimizer, step, evaluate), or a run folder.
    explain
        Print the page of one check by its id; `all` lists them.
    ignore
        The id of a check to leave out; may be given again.
    """
    steps.doctor(target, explain, list(ignore), json)


def main() -> NoReturn:
    """Run one command line and leave with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; every failure a user can cause becomes a sentence on stderr and an exit code."""
    arguments = [STDIN if argument == "-" else argument for argument in arguments]
    try:
        app(arguments or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        terminal.complain(str(error).replace(STDIN, "-"))
        return 2
    except SpelloutError as error:
        sys.stdout.flush()
        terminal.complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
