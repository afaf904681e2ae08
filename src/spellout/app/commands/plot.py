"""`spellout plot RUN`: a picture of a run's model, or of how it was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...errors import UsageError
from ...plots.kinds import OF_LINES, OF_TRAINING, Kind
from .. import terminal
from ..options import Line, Out, RunFolder, check_picture, newest
from ..progress import progress_bar
from ..workflows import load_run


def plot(
    run: RunFolder | None = None,
    /,
    *,
    what: Kind,
    line: Line | None = None,
    out: Out | None = None,
) -> None:
    """Draw a picture of the model of a run folder (default: the newest under ./runs), or of how it was trained.

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
    if line is not None and what not in OF_LINES:
        raise UsageError(f"--line goes with --what {' and '.join(OF_LINES)}; --what {what} shows no line")
    out = out or Path(f"{what}.png")
    check_picture(out)
    run = run or newest()
    from ...plots.figure import save_figure
    from ...plots.pictures import picture
    from ...training.runs.log import read_log

    with progress_bar(None, "drawing"):
        loaded = load_run(run)
        if what in OF_TRAINING:
            loaded = replace(loaded, events=read_log(run))
        save_figure(picture(loaded, what, line), out)
    terminal.note(f"wrote {out}")
