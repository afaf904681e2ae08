"""`spellout lr-find FILE`: how the loss of a fresh model answers to rising learning rates, and which to take."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from ....data.config import DataConfig
from ....training.config import TrainingConfig
from ... import terminal
from ...options import BEST, Data, Encoding, File, Json, Out, check_picture
from ...progress import progress_bar
from ...workflows import compile_for, prepare

if TYPE_CHECKING:
    from ....training.experiments.lr_finder import LrCurve


def lr_find(
    *files: File,
    model: str = BEST,
    prior: str | None = None,
    tries: Annotated[int, Parameter(name="--steps")] = 200,
    batch: int | None = None,
    train_seed: int = 0,
    data: Data = DataConfig(),
    out: Out | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Suggest a learning rate: try rising ones on a fresh model, and show how the loss answers.

    FILE is the bundled names by default.

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
    from ....models.table import in_steps
    from ....training.experiments.lr_finder import check_lr_find, find_lr_for

    specification = in_steps(model, prior, "has no rate")
    check_lr_find(specification, tries, batch)
    TrainingConfig(train_seed=train_seed)  # which says what is wrong with it
    if out is not None:
        check_picture(out)
    prepared = prepare(files, encoding, data)
    compile_for(specification)
    with progress_bar(tries, "trying rates") as advance:
        curve = find_lr_for(prepared, specification, tries, batch, train_seed, advance)
    if json:
        terminal.print_json(curve.to_json())
    else:
        print_curve(curve)
    if out is not None:
        from ....plots.curves import lr_curve
        from ....plots.figure import save_figure

        save_figure(lr_curve(curve.rates, curve.losses, curve.smoothed, curve.suggestion), out)
        terminal.note(f"wrote {out}")


def print_curve(curve: LrCurve) -> None:
    """Print the loss at rising learning rates on stdout, and the suggestion on stderr.

    A terminal shows a bar for each quarter of a decade, as long as the smoothed loss is above the lowest, and cut
    where that is too much. Piped, every step is a row.
    """
    if sys.stdout.isatty():
        _draw_curve(curve)
    else:
        steps = zip(curve.rates, curve.losses, curve.smoothed, strict=True)
        terminal.print_table(
            ["lr", "loss", "smoothed"], ([f"{a:.4g}", f"{b:.4f}", f"{c:.4f}"] for a, b, c in steps)
        )
    if curve.suggestion is None:
        terminal.note("no rate lowered the loss: try more --steps, another --batch or another model")
    else:
        lowest = f"a tenth of {10 * curve.suggestion:.2g}, where the loss was lowest"
        terminal.note(f"try --lr {curve.suggestion:.2g}: {lowest}")


def _draw_curve(curve: LrCurve) -> None:
    console = terminal.stdout()
    quarters = {round(4 * math.log10(rate)): loss for rate, loss in zip(curve.rates, curve.smoothed, strict=True)}
    first, lowest = next(iter(quarters.values()), 0.0), min(quarters.values(), default=0.0)
    highest = min(max(quarters.values(), default=0.0), first + (first - lowest) or math.inf)  # the fall fills half
    room = max(1, console.width - 18)
    here = round(4 * math.log10(curve.suggestion)) if curve.suggestion else None
    for quarter, loss in quarters.items():
        length = round(min(1.0, (loss - lowest) / (highest - lowest or 1.0)) * room)
        style = "bold green" if quarter == here else "cyan"
        console.print(
            Text(f"{10 ** (quarter / 4):<8.2g}{loss:<7.4g}", style="bold" if quarter == here else "")
            + Text("→ " if quarter == here else "  ", style=style)
            + Text("█" * length, style=style)
        )
    if curve.diverged:
        console.print(Text("then it exploded", style="dim"))
