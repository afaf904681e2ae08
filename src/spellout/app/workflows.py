"""What several commands do: read and prepare lines, train a model, and stop at Ctrl-C; each says how it goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..data.config import DataConfig
from ..data.sources.config import SourceConfig
from ..errors import UsageError
from ..training.config import TrainingConfig
from . import terminal
from .progress import progress_bar, training_progress

if TYPE_CHECKING:
    from ..data.lines import Lines
    from ..data.prepared import Prepared
    from ..data.sources.files import Found
    from ..models.family import Specification
    from ..training.job import Job
    from ..training.plans.choice import Choice
    from ..training.pooled import Pool
    from ..training.runs.run import Run, Trained

MANY_JOIN = 0.02
"""So large a part of characters that belong to the one before is no accident."""


def read(files: Sequence[str], encoding: str | None, source: SourceConfig = SourceConfig()) -> Lines:
    """Read the lines of files and folders, of standard input, or the bundled names if none are named."""
    from ..data.lines import Lines
    from ..data.sources.text import check_encoding

    if encoding is not None:
        check_encoding(encoding)
    if not files:
        check_for_bundled(source)
        return Lines.bundled()
    found = say_what_is_read(files)
    with progress_bar(size(found), "reading") as advance:
        return Lines.read(found, encoding, advance, source)


def check_for_bundled(source: SourceConfig) -> None:
    """Raise `UsageError` if the bundled names are to be read as what they are not."""
    if asked := source.asked():
        flags = " and ".join("--" + name.replace("_", "-") for name in asked)
        raise UsageError(f"{flags}: there is no FILE of which that could be said; name it")


def say_what_is_read(files: Sequence[str]) -> Found:
    """Look for the files; say which ones folders hold, and which of these are left out."""
    from ..data.sources.files import find

    found = find(files)
    for folder, texts in found.folders.items():
        names = [os.path.basename(one) for one in texts]
        some = ", ".join(names[:5]) + ", …" * (len(names) > 5)
        terminal.note(f"{folder}: {len(names):,} text file{'s' * (len(names) != 1)}, sorted by name: {some}")
    if found.left_out:
        terminal.note(f"left out, as no text: {', '.join(found.left_out[:5])}{', …' * (len(found.left_out) > 5)}")
    return found


def size(files: Sequence[str] | Found) -> int | None:
    """Count the bytes that reading files will bring; None where that is not known."""
    from ..data.sources.files import find

    there = find(files).files
    return sum(map(os.path.getsize, there)) if all(map(os.path.isfile, there)) else None


def prepare(files: Sequence[str], encoding: str | None, data: DataConfig) -> Prepared:
    """Read lines, split and encode them, and warn if there are few. `UsageError` if two files are one stream."""
    from ..data.prepared import Prepared
    from ..data.splits import FEW_LINES

    if [*files, data.dev, data.test].count("-") > 1:
        raise UsageError("- can be read once only: of FILE, --dev and --test, name the others")
    lines = read(files, encoding, data)
    dev, test = (one if one is None else read([one], encoding, data) for one in (data.dev, data.test))
    _warn_of_noticed(lines, data)
    with progress_bar(None, "splitting and encoding"):
        prepared = Prepared.of(lines, data, dev=dev, test=test)
    if (different := len(prepared.lines.distinct)) < FEW_LINES:
        terminal.warn(
            f"{prepared.lines.name} holds only {different} different lines: the same ones train and judge, "
            "so losses mean little"
        )
    _warn_of_shared(prepared)
    _note_graphemes(prepared)
    return prepared


def _note_graphemes(prepared: Prepared) -> None:
    """Say of a list of characters that join, as emoji and the letters of Hindi do, how they are kept whole."""
    import numpy as np

    from ..data.vocabulary.characters import Characters
    from ..data.vocabulary.graphemes import is_part

    vocabulary = prepared.vocabulary
    if not isinstance(vocabulary, Characters):
        return
    parts = [token for token, one in enumerate(vocabulary.characters, 1) if is_part(one)]
    if parts:
        note_parts(float(np.isin(prepared.stream, parts).mean()))


def note_parts(share: float) -> None:
    """Say how characters that belong together are kept so, if so large a share of a list is parts."""
    if share > MANY_JOIN:
        terminal.note(
            f"{share:.0%} of its characters are marks or joiners, which belong to the one before; --unit grapheme "
            "keeps what belongs together in one token"
        )


def _warn_of_noticed(lines: Lines, data: DataConfig) -> None:
    """Say what in a file looks like more than a list, and which flag handles it."""
    from ..data.sources.notices import notices

    noticed = [str(one) for one in notices(lines.begin, data) if one.flag is not None]
    if noticed:
        terminal.warn(f"{Path(lines.name).name}: {'; '.join(noticed)}")


def _warn_of_shared(prepared: Prepared) -> None:
    """Say how many lines of the parts that have files of their own are training lines too."""
    known, shared = set(prepared.split.train), []
    for part in prepared.given:
        lines = prepared.split.dev if part == "dev" else prepared.split.test
        if seen := sum(line in known for line in lines):
            shared.append(f"{seen:,} of {len(lines):,} {part} lines")
    if shared:
        terminal.warn(
            f"{' and '.join(shared)} are also training lines, so models look better there than on new lines"
        )


def asked(model: str, training: TrainingConfig) -> Specification:
    """Understand which model is asked for; `UsageError` if it cannot be trained here. It costs no reading."""
    from ..models.table import parse_specification
    from ..training.train import check_trainable

    specification = parse_specification(model, training.prior)
    check_trainable(specification, training)
    return specification


def pool_of(asked: str, model: str | None, data: DataConfig) -> Pool:
    """Read the lines to pool with, of a run or the bundled ones; an error if the list cannot be pooled."""
    from ..models.table import parse_specification
    from ..training.plans.names import BEST
    from ..training.pooled import Pool, check_pooling

    if model == BEST:
        raise UsageError("--from pools an n-gram, and --model best may be a network; leave out one of them")
    check_pooling(parse_specification(model or "ngram"), data)
    return Pool.bundled() if asked == "names" else Pool.of_run(load_run(asked), asked)


def best_for(prepared: Prepared, training: TrainingConfig) -> tuple[Specification, Choice]:
    """Choose the model that `--model best` stands for, and say why."""
    from ..training.plans.choice import chosen_for_training

    choice = chosen_for_training(prepared, training)
    terminal.note(str(choice))
    return asked(choice.specification, training), choice


def compile_for(*specifications: Specification) -> float:
    """Have the kernels of models that run as programs ready; return the seconds that took: many, once.

    To be called before a training, so that its budget is its own, and where Ctrl-C ends the command.
    """
    start = perf_counter()
    if any(one.family.compiled for each in specifications for one in each.alone):
        import numpy as np

        from ..programs.lanes import warm_up

        with progress_bar(None, "compiling the kernels, once after an installation"):
            warm_up(np.float64)
            warm_up(np.float32)
    return perf_counter() - start


def load_run(path: str | Path) -> Run:
    """Read a run folder. `RunError` says what is missing or damaged."""
    from ..models.table import MODELS
    from ..training.runs.run import read_run

    return read_run(path, MODELS)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; pressed again, it interrupts at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def press(number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def train(job: Job) -> Trained:
    """Train one model; say on what, how far it is, and how good it became."""
    from ..training.ensembles import train_any

    lines, split = job.prepared.lines, job.prepared.split
    different = f", {len(lines.distinct):,} different" if len(lines.distinct) != len(lines) else ""
    train, dev, test = (f"{len(part):,}" for part in (split.train, split.dev, split.test))
    parts = f": {train} to train, {dev} dev, {test} test" if split.dev else ""
    terminal.note(f"{Path(lines.name).name}: {len(lines):,} lines{different}; split {split.name}{parts}")
    with training_progress(1 if job.specification.family.in_steps else None) as watch:
        trained = train_any(replace(job, callback=watch))
    print_result(trained)
    _say_labels(trained.run)
    return trained


def _say_labels(run: Run) -> None:
    """Say which labels a model knows, and if it does not see them all along a line."""
    from ..data.labels import Labelled

    if isinstance(run.vocabulary, Labelled):
        seen, noun = run.model.context, run.vocabulary.noun
        only = "" if seen is None else f"; {name_of_model(run)} sees a line's only in the first {seen} {noun}s"
        terminal.note(f"{run.vocabulary.said()}{only}")


def name_of_model(run: Run) -> str:
    """Name what was trained as `--model` does; of an n-gram also say which order was found."""
    if "pooled" in run.facts and (told := run.facts["pooled"]["ensemble"]) is not None:
        name, weights = Path(run.facts["pooled"]["from"]).name, [f"{one:.2f}" for one in told["weights"]]
        each = ", ".join(map(" ".join, zip(("the list", name, "both"), weights, strict=True)))
        return f"ngram, pooled with {name} ({told['kind']}: {each})"
    if "order" in run.model.settings() and run.family == "ngram":
        return f"ngram, order {run.model.settings()['order']}"
    name, prior = run.facts.get("specification", run.family), run.facts.get("training", {}).get("prior")
    return name if prior is None or "+" in name else f"{name}+{prior}"


def print_result(trained: Trained) -> None:
    """Say what was trained, and how good it is."""
    run, dev = trained.run, trained.dev
    if "ensemble" in run.facts["results"]:
        _print_ensemble(run.facts["results"]["ensemble"])
    steps = f" and {_steps(run)}" if run.last else ""
    result = ""
    if dev is not None:
        on = f" (its first {dev.lines:,} lines)" if dev.lines < run.facts["split"]["dev"] else ""
        ends = dev.perplexity_without_ends
        new = None if trained.new is None else trained.new.to_json()
        result = f"; dev{on}: {terminal.losses(dev.nats_per_char, dev.bits_per_char, dev.perplexity, ends, new)}"
        if dev.new:
            what = "character" if run.vocabulary.rare is None else run.vocabulary.noun
            what += " is new there, of" if dev.new == 1 else "s are new there, of"
            result += f"; {dev.new:,} {what} {dev.tokens:,} tokens"
    terminal.note(
        f"{name_of_model(run)}: {run.model.parameters:,} parameters in {trained.seconds:.2f} s{steps}{result}"
    )
    if "ensemble" in run.facts["results"]:
        _say_if_worse(run.facts["results"])
    if dev is not None and dev.perplexity_without_ends is not None:
        terminal.note(terminal.UNITS_COMPARE)


def _steps(run: Run) -> str:
    """Say how many steps a run has learned in; of an ensemble, how many each member that learns in steps has."""
    assert run.last is not None
    members = run.facts["results"].get("ensemble", {}).get("members", [])
    each = [member["results"]["steps"] for member in members if "steps" in member["results"]]
    if not members or len(each) == 1:
        return f"{run.last.state.step:,} steps"
    if len(set(each)) == 1:
        return f"{each[0]:,} steps each"
    return f"{' + '.join(f'{one:,}' for one in each)} steps"


def _say_if_worse(results: dict[str, Any]) -> None:
    """Say of an ensemble that one of its members alone is better on dev lines, if so."""

    def loss(of: dict[str, Any]) -> float:
        judged = of.get("new_lines") or of["dev"]
        return float(judged["nats_per_char"]) if judged else inf

    told = results["ensemble"]["members"]
    number, best = min(enumerate(told, 1), key=lambda one: loss(one[1]["results"]))
    if loss(best["results"]) < loss(results):
        terminal.note(
            f"the ensemble is no better than member {number} alone, {best['specification']}: on dev lines that has "
            f"{loss(best['results']):.4f} nats, the ensemble {loss(results):.4f}"
        )


def _print_ensemble(told: dict[str, Any]) -> None:
    """Say what each member is alone, what kind of ensemble they are, and by which lines that was found."""
    for number, member in enumerate(told["members"], 1):
        dev = member["results"]["dev"]
        result = "" if dev is None else f", dev {dev['nats_per_char']:.4f}"
        terminal.note(f"{number}. {member['specification']}: weight {member['weight']:.3f}{result}")
    held = told["held_out"]
    nats = {kind: f"{kind} {value:.4f}" for kind, value in sorted(held["nats_per_token"].items())}
    found = f"on {held['lines']:,} training lines held out: {', '.join(nats.values())} nats a token" if nats else ""
    terminal.note(f"their {told['kind']}, {found or 'all with the same weight, as too few lines can be held out'}")
