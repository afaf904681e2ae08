"""The commands. Each body is a few lines of calls into the rooms below; heavy imports happen inside them.

Samples and data go to stdout, everything else to stderr. Exit codes: 0 done, 1 the data or the run is wrong,
2 wrong command line, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter, Token

from . import steps, terminal
from .data.config import DataConfig
from .errors import RunError, SpelloutError, UsageError
from .generation.config import SamplingConfig
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

_STDIN = "\0standard input"  # a lone "-" would be taken for an option


def _file(_: object, tokens: Sequence[Token]) -> str:
    return "-" if tokens[0].value == _STDIN else tokens[0].value


File = Annotated[str, Parameter(converter=_file, help="A text file with one thing per line; - is standard input.")]
RunFolder = Annotated[Path, Parameter(help="A folder written by `spellout train`.")]
Count = Annotated[int, Parameter(alias="-n", help="How many lines.")]
Out = Annotated[Path, Parameter(alias="-o")]
Encoding = Annotated[str | None, Parameter(help="The encoding of FILE, if it is not UTF-8.")]
Flag = Annotated[bool, Parameter(negative=())]
Json = Annotated[bool, Parameter(negative=(), help="One JSON object a line.")]
Data = Annotated[DataConfig, Parameter(name="*")]
Sampling = Annotated[SamplingConfig, Parameter(name="*")]


@app.command
def make(
    file: File | None = None,
    /,
    *,
    count: Count = 10,
    model: str = "ngram",
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
        What to train, such as ngram or ngram:5.
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

    _check_count(count)
    if out is not None:
        check_place(out)
    prepared = steps.prepare(file, encoding, data)
    run = steps.train(prepared, model).run
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
    model: str = "ngram",
    order: int | None = None,
    data: Data = DataConfig(),
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
        What to train: ngram, ngram:5, ngram:2:smoothing=add-k:k=1.
    order
        The n of an n-gram, the same as ngram:N. Without it, the best on held-out training lines.
    stream
        Count n-grams in one pass over all lines, for files larger than memory.
    overwrite
        Replace the run that is in the folder.
    json
        The results as one JSON object.
    """
    from .training.run import check_place, save_run

    check_place(out, overwrite)
    model = _with_order(model, order)
    trained = (
        steps.train_streaming(file, data, model, encoding)
        if stream
        else steps.train(steps.prepare(file, encoding, data), model)
    )
    save_run(trained.run, out, overwrite)
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

    _check_count(count)
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
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Train several models on the same lines of FILE (default: the bundled names) and put them in one table.

    Parameters
    ----------
    models
        Separated by commas.
    on
        The lines that judge. Choose models on dev; look at test once.
    json
        One JSON object a model.
    """
    from .models.table import parse_specification
    from .training.comparison import compare as rows_of

    wanted = [name.strip() for name in models.split(",") if name.strip()]
    if not wanted:
        raise UsageError("--models: name at least one model, such as ngram:5")
    for name in wanted:
        parse_specification(name)  # a typing error in the last one should not cost the first one's training
    prepared = steps.prepare(file, encoding, data)
    rows = terminal.track(rows_of(prepared, wanted, on), len(wanted), "training", printing=json)
    if json:
        for row in rows:
            terminal.print_json(row.to_json())
    else:
        terminal.print_comparison(list(rows))


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


def _with_order(model: str, order: int | None) -> str:
    """`--model ngram --order 5` is `ngram:5`."""
    if order is None:
        return model
    name, *rest = model.split(":")
    if name != "ngram" or any("=" not in part or part.startswith("order=") for part in rest):
        raise UsageError(f"--order {order} does not go with --model {model}; it sets the order of `ngram`")
    return ":".join([name, str(order), *rest])


def _check_count(count: int) -> None:
    if count < 1:
        raise UsageError(f"--count {count}: must be at least 1")


def main() -> NoReturn:
    """Run one command line and leave with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; every failure a user can cause becomes a sentence on stderr and an exit code."""
    arguments = [_STDIN if argument == "-" else argument for argument in arguments]
    try:
        app(arguments or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        terminal.complain(str(error).replace(_STDIN, "-"))
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
