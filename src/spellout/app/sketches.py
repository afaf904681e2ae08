"""Pictures made of characters: which letter follows which, and how the loss answers to learning rates."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from .terminal import note, print_table, stdout
from .visible import visible

if TYPE_CHECKING:
    import numpy as np

    from ..training.experiments.lr_finder import LrCurve

_SHADES = "·░▒▓█"


def print_bigrams(letters: Sequence[str], table: np.ndarray) -> None:
    """The bigram table as a picture on stdout: a row is a letter, a column the next one, full is always.

    `table` (L + 1, L + 1) holds counts, boundary first; each row is drawn relative to its own total.
    """
    console = stdout()
    room = max(1, (console.width - 4) // 2) if console.is_terminal else len(letters) + 1
    names = ["¶", *letters][:room]
    names = [_in_two_cells(name) for name in names]
    console.print(Text("    " + "".join(names), style="bold"))
    for i, name in enumerate(names):
        total = max(1, int(table[i].sum()))
        cells = "".join(2 * _shade(count / total) for count in table[i, : len(names)].tolist())
        console.print(Text(f"  {name}", style="bold") + Text(cells, style="not bold cyan"))
    if len(names) <= len(letters):
        note(f"the terminal has room for {len(names) - 1} of {len(letters)} letters")


def _in_two_cells(letter: str) -> str:
    if not sys.stdout.isatty():
        return letter + " " * (2 - cell_len(letter))
    sign = visible(letter)
    if not cell_len(sign):  # an accent that stands alone, on a circle as in Unicode's own tables
        sign = "◌" + sign
    return (sign if cell_len(sign) <= 2 else "�").ljust(2 if cell_len(sign) == len(sign) else 1)


def _shade(share: float) -> str:
    if not share:
        return " "
    return _SHADES[min(len(_SHADES) - 1, int(share**0.5 * 6))]  # the eye sees small shares too


def print_lr_curve(curve: LrCurve) -> None:
    """The loss at rising learning rates, on stdout, and the suggestion.

    On a terminal: a bar for each quarter of a decade, as long as the smoothed loss is above the lowest, and cut
    where that is too much. Piped: every step, tab-separated.
    """
    if not sys.stdout.isatty():
        print_table(
            ["lr", "loss", "smoothed"],
            (
                [f"{a:.4g}", f"{b:.4f}", f"{c:.4f}"]
                for a, b, c in zip(curve.rates, curve.losses, curve.smoothed, strict=True)
            ),
        )
    else:
        _draw_lr_curve(curve)
    if curve.suggestion is None:
        note("no rate lowered the loss: try more --steps, another --batch or another model")
    else:
        note(f"try --lr {curve.suggestion:.2g}: a tenth of {10 * curve.suggestion:.2g}, where the loss was lowest")


def _draw_lr_curve(curve: LrCurve) -> None:
    console = stdout()
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
