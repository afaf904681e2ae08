"""`spellout compare FILE`: several models trained on the same lines, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from ....data.config import DataConfig
from ....errors import UsageError
from ....inference.valid import judge_of, try_judge
from ....training.config import TrainingConfig
from ....training.experiments.results import CompressorResult, ModelResult
from ....training.plans.names import BEST
from ... import terminal
from ...options import Against, Data, Encoding, File, Flag, Json, Training, Valid, check_at_once, listed
from ...progress import OnTerminal, Watch, progress_bar, training_progress
from ...workflows import asked, best_for, compile_for, prepare

if TYPE_CHECKING:
    from ....data.prepared import Prepared


def compare(
    *files: File,
    models: str = "ngram:1,ngram:2,ngram:3,ngram:4,ngram:5,ngram",
    on: Literal["dev", "test"] = "dev",
    at_once: int = 1,
    mixture: Flag = False,
    valid: Valid = None,
    against: Against = None,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Train several models on the same lines of FILE (default: the bundled names) and put them in one table.

    Parameters
    ----------
    models
        Separated by commas; MODEL+ngram is a network that starts from an n-gram; best is what suits FILE.
    on
        The lines that judge. Choose models on dev; look at test once.
    at_once
        How many models train side by side, sharing the processor cores.
    mixture
        Show the mixture of the two best as the last row of models also where it is no better than they are.
    """
    from ....training.experiments.comparison import compare as rows_of

    check_at_once(at_once)
    # A typing error in the last one should not cost the first one's training.
    names = listed(models)
    named = {name: asked(name, training) for name in names if name != BEST}
    if not names:
        raise UsageError("--models: name at least one model, such as ngram:5")
    data.check_keeps(on)
    validator = judge_of(valid, None)
    prepared = prepare(files, encoding, data)
    try_judge(validator, prepared.vocabulary, prepared.split.train, OnTerminal())
    if BEST in names:
        named[BEST], _ = best_for(prepared, training)
    wanted = [named[name] for name in names]
    compile_for(*wanted)
    with training_progress(len(wanted), printing=json) as watch:
        made = rows_of(
            *(prepared, wanted, on),
            training=training,
            callback=watch,
            at_once=at_once,
            mixture=mixture,
            validator=validator,
        )
        rows = list(_as_they_come(made, watch, json))
    compressors = [] if against is None else list(_compressors(prepared, on, json))
    if not json:
        print_rows(rows, compressors)
    if validator is not None and (odd := validator.remark()):
        terminal.note(odd)
    if mixture and len(rows) == len(wanted):
        terminal.note("no mixture is shown: it takes two models that are no ensembles and are judged on dev lines")


def _as_they_come(rows: Iterator[ModelResult], watch: Watch, json: bool) -> Iterator[ModelResult]:
    """Pass rows through, each the end of a training, and print them as JSON if that is asked for."""
    for row in rows:
        watch.finish()
        if json:
            terminal.print_json(row.to_json())
        yield row


def _compressors(prepared: Prepared, on: Literal["dev", "test"], json: bool) -> Iterator[CompressorResult]:
    """Judge compressors; say which are not there."""
    from ....training.experiments.compressors import judge_compressors

    with progress_bar(None, "compressing") as advance:
        for row in judge_compressors(prepared, on, lambda sentence: advance(0, note=sentence)):
            if json:
                terminal.print_json(row.to_json())
            yield row


SAME = 5e-5
"""Losses that differ by less are the same in the table."""
_OTHERS = {
    "new lines": "the same where training lines are ruled out",
    "two parts": "the same, lines seen in training and new ones apart",
}


def print_rows(rows: Sequence[ModelResult], compressors: Sequence[CompressorResult] = ()) -> None:
    """Print a table with the best loss in bold: of the models as they are, and as models of new lines.

    Compressors are the last rows, and what the columns mean is said on stderr.
    """
    other = "two parts" if any(row.split_by != "distinct" for row in rows) else "new lines"
    less = ["perplexity", *["without ends"] * any(row.perplexity_without_ends is not None for row in rows)]
    made = [*["valid"] * any(row.validity is not None for row in rows), "unique", "novel"]
    memory = ["memory"] * bool(compressors)
    columns = ["model", "split", "parameters", "as it is", other, "by heart", *less, *made, "seconds", *memory]
    best = min(row.loss for row in rows) if rows else 0.0
    shown = [*(_cells(row, other, best) for row in rows), *map(_cells_of_compressor, compressors)]
    terminal.print_table(
        columns,
        [[cells.get(name, "") for name in columns] for cells in shown],
        left=["model", "split"],
        spare=["split", *less, "parameters", *memory, *made[-2:], "by heart", "seconds"],
    )
    _explain(rows, other)
    if compressors:
        terminal.note("compressors: what the lines that judge cost after the training lines; they learn meanwhile")


def _cells(row: ModelResult, other: str, best: float) -> dict[str, str | Text]:
    """Show a model in the columns of the table."""

    def number(nats: float) -> Text:
        return Text(f"{nats:.4f}", style="bold" if nats == best else "")

    cells: dict[str, str | Text] = {
        "model": row.model,
        "split": row.split,
        "parameters": f"{row.parameters:,}",
        "as it is": number(row.nats_per_char),
        "perplexity": f"{row.perplexity:.3f}",
        "seconds": f"{row.seconds:.2f}",
    }
    if row.new_lines:
        cells |= {other: number(row.new_lines["nats_per_char"]), "by heart": terminal.by_heart(row.new_lines)}
    if row.perplexity_without_ends is not None:
        cells["without ends"] = f"{row.perplexity_without_ends:.3f}"
    shares = row.validity or {"unique": row.unique, "novel": row.novel}
    return cells | {
        name: f"{shares[name]:.1%}" for name in ("valid", "unique", "novel") if shares.get(name) is not None
    }


def _cells_of_compressor(row: CompressorResult) -> dict[str, str | Text]:
    """Show a compressor in those that it has."""
    cells: dict[str, str | Text] = {
        "model": row.compressor,
        "split": row.split,
        "as it is": f"{row.nats_per_char:.4f}",
        "seconds": f"{row.seconds:.2f}",
    }
    return cells if row.memory is None else cells | {"memory": f"{row.memory / 1e6:.1f} MB"}


def _explain(rows: Sequence[ModelResult], other: str) -> None:
    """Say what the columns mean, and what looks odd in them."""
    if any(row.new_lines for row in rows):
        heart = "by heart: the probability given to training lines"
        terminal.note(f"as it is: nats per character; {other}: {_OTHERS[other]}; {heart}")
    if counts := [row.validity["made"] for row in rows if row.validity]:
        terminal.note(
            f"valid: of {max(counts):,} lines that the model makes as it is; unique: of the valid ones; novel: of "
            "the different valid ones, those not in training (as in MOSES, Polykovskiy et al. 2020)"
        )
    for row in rows:
        near = (one.model for one in rows if abs(one.loss - row.loss) < SAME)
        for start in (one for one in near if row.model.endswith(f"+{one}")):
            terminal.note(
                f"{row.model} says what {start} says: in its training the network did not improve on that"
            )
    if any(row.perplexity_without_ends is not None for row in rows):
        new = f"{rows[0].new:,} of {rows[0].tokens:,} words and line ends judged are unknown words; "
        terminal.note(new + terminal.UNITS_COMPARE)
