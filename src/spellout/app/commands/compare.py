"""`spellout compare FILE`: several models trained on the same lines, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.text import Text

from ...data.config import DataConfig
from ...errors import UsageError
from ...training.config import TrainingConfig
from ...training.experiments.results import ModelResult
from .. import terminal
from ..options import Data, Encoding, File, Flag, Json, Training, check_at_once, listed
from ..progress import training_progress
from ..workflows import asked, compile_for, prepare


def compare(
    *files: File,
    models: str = "ngram:1,ngram:2,ngram:3,ngram:4,ngram:5,ngram",
    on: Literal["dev", "test"] = "dev",
    at_once: int = 1,
    mixture: Flag = False,
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
    at_once
        How many models train side by side, sharing the processor cores.
    mixture
        Show the mixture of the two best as the last row also where it is no better than they are.
    """
    from ...training.experiments.comparison import compare as rows_of

    check_at_once(at_once)
    # A typing error in the last one should not cost the first one's training.
    wanted = [asked(name, training) for name in listed(models)]
    if not wanted:
        raise UsageError("--models: name at least one model, such as ngram:5")
    data.check_keeps(on)
    prepared = prepare(files, encoding, data)
    rows: list[ModelResult] = []
    compile_for(*wanted)
    with training_progress(len(wanted), printing=json) as watch:
        for row in rows_of(
            prepared, wanted, on, training=training, callback=watch, at_once=at_once, mixture=mixture
        ):
            watch.finish()
            if json:
                terminal.print_json(row.to_json())
            rows.append(row)
    if not json:
        print_rows(rows)
    if mixture and len(rows) == len(wanted):
        terminal.note("no mixture is shown: it takes two models that are no ensembles and are judged on dev lines")


SAME = 5e-5
"""Losses that differ by less are the same in the table."""
_OTHERS = {
    "new lines": "the same where training lines are ruled out",
    "two parts": "the same, lines seen in training and new ones apart",
}


def print_rows(rows: Sequence[ModelResult]) -> None:
    """Print a table with the best loss in bold: of the models as they are, and as models of new lines."""
    best = min(row.loss for row in rows) if rows else 0.0
    other = "two parts" if any(row.split_by != "distinct" for row in rows) else "new lines"
    words = any(row.perplexity_without_ends is not None for row in rows)
    less = ["perplexity", *["without ends"] * words]

    def number(nats: float) -> Text:
        return Text(f"{nats:.4f}", style="bold" if nats == best else "")

    terminal.print_table(
        [
            *("model", "split", "parameters", "as it is", other, "by heart"),
            *(*less, "unique", "novel", "seconds"),
        ],
        (
            [
                row.model,
                row.split,
                f"{row.parameters:,}",
                number(row.nats_per_char),
                number(row.new_lines["nats_per_char"]) if row.new_lines else "",
                terminal.by_heart(row.new_lines) if row.new_lines else "",
                f"{row.perplexity:.3f}",
                *([f"{row.perplexity_without_ends:.3f}"] if words else []),
                f"{row.unique:.1%}",
                f"{row.novel:.1%}",
                f"{row.seconds:.2f}",
            ]
            for row in rows
        ),
        left=["model", "split"],
        spare=["split", *less, "parameters", "unique", "novel", "by heart", "seconds"],
    )
    if any(row.new_lines for row in rows):
        heart = "by heart: the probability given to training lines"
        terminal.note(f"as it is: nats per character; {other}: {_OTHERS[other]}; {heart}")
    for row in rows:
        near = (one.model for one in rows if abs(one.loss - row.loss) < SAME)
        for start in (one for one in near if row.model.endswith(f"+{one}")):
            terminal.note(
                f"{row.model} says what {start} says: in its training the network did not improve on that"
            )
    if words:
        new = f"{rows[0].new:,} of {rows[0].tokens:,} words and line ends judged are unknown words; "
        terminal.note(new + terminal.UNITS_COMPARE)
