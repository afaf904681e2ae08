"""What people see while something takes long: progress on stderr, only on a terminal and only after a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..inference.listener import Listener
from ..training.runs.events import TOLD
from . import terminal
from .visible import visible

if TYPE_CHECKING:
    from ..models.contract import Event

T = TypeVar("T")
PATIENCE = 1.0
"""Seconds before a progress bar appears."""
LEAST_BAR, MOST_BAR = 10, 40
"""Columns of a progress bar, a quarter of the terminal between these."""
WHOLE = 100.0
"""The length of the progress bar of one training."""


class Advance(Protocol):
    """Says that so much more is done, and what is being done now."""

    def __call__(self, amount: float, label: str | None = None, note: str | None = None) -> None:
        """Move on; a note stays on the screen."""
        ...


def track(items: Iterable[T], total: int | None, label: str, printing: bool = False) -> Iterator[T]:
    """Pass items through and show how many of them are done (see `progress_bar`)."""
    with progress_bar(total, label, printing) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress_bar(total: float | None, label: str, printing: bool = False) -> Iterator[Advance]:
    """Give a function to report progress to.

    On a terminal, what takes over a second shows a bar and the time left, or the time taken where the total is
    unknown, and then as much of the label as there is room for; it vanishes at the end. With `printing`, lines go
    to stdout meanwhile: on a terminal they are progress enough, and a bar would get in their way.
    """
    if not sys.stderr.isatty() or (printing and sys.stdout.isatty()):
        yield lambda amount, label=None, note=None: None if note is None else terminal.note(note)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    console = terminal.stderr()
    bar_width = max(LEAST_BAR, min(MOST_BAR, console.width // 4))
    known = [BarColumn(bar_width), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn()]
    columns = known if total else [SpinnerColumn(), TimeElapsedColumn()]
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    bar = Progress(
        *columns,
        TextColumn("{task.description}", markup=False, table_column=rest),
        console=console,
        expand=True,
        transient=True,
        redirect_stdout=False,  # redirected, our data would be drawn above the bar and not reach a file
        redirect_stderr=False,
    )
    task = bar.add_task(visible(label), total=total)
    patience = Timer(PATIENCE, bar.start)
    patience.daemon = True
    patience.start()

    def advance(amount: float, label: str | None = None, note: str | None = None) -> None:
        if note is not None:
            terminal.note(note, bar.console)
        bar.update(task, advance=amount, description=None if label is None else visible(label))

    try:
        yield advance
    finally:
        patience.cancel()
        patience.join()
        if bar.live.is_started:
            bar.stop()


class OnTerminal(Listener):
    """Shows what a run says while it is asked."""

    def note(self, message: str) -> None:
        """Print it on stderr."""
        terminal.note(message)

    def warn(self, message: str) -> None:
        """Print it on stderr, as a warning."""
        terminal.warn(message)

    def track(self, items: Iterable[T], total: int, label: str) -> Iterator[T]:
        """Show how many are done."""
        return track(items, total, label)

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[[float], None]]:
        """Show which share is done."""
        done = 0.0
        with progress_bar(WHOLE, label) as advance:

            def move(share: float) -> None:
                nonlocal done
                advance(WHOLE * (share - done))
                done = share

            yield move


class Watch:
    """Listens to trainings, one after the other, and moves a progress display on: each is `WHOLE` of it."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._done, self._best = advance, 0.0, ""

    def __call__(self, event: Event) -> None:
        """Hear one event of a training."""
        kind, label = event["event"], f"training {event['of']}" if "of" in event else "training"
        if kind in TOLD:
            self._advance(0.0, label, note_of(event))
            return
        if kind == "evaluation" and event["best"]:
            self._best = f", best dev {event.get('new_lines', event['nats_per_char']):.4f}"
        if kind in ("evaluation", "updates"):
            return
        if kind == "order" and event["held_out_nats_per_token"]:
            label += f": order {event['order']} gives {event['held_out_nats_per_token']:.3f} nats a token"
        elif kind == "judging":
            label = f"judging {event['of']}"
        elif kind == "step":
            loss, rate = f"loss {event['nats_per_token']:.3f}", f"lr {event['lr']:.2g}"
            label += f": step {event['step']:,}, {loss}{self._best}, {rate}"
        part = WHOLE * float(event.get("progress", self._done / WHOLE))
        self._advance(max(0.0, part - self._done), label)
        self._done = max(self._done, part)

    def finish(self, note: str | None = None) -> None:
        """End one training, with a note that stays; another may begin."""
        self._advance(WHOLE - self._done, None if note is None else "training", note)
        self._done, self._best = 0.0, ""


@contextmanager
def training_progress(
    trainings: int | None = 1, label: str = "training", printing: bool = False
) -> Iterator[Watch]:
    """Give a callback to so many trainings, one after the other; None if nobody knows how long they take."""
    with progress_bar(None if trainings is None else WHOLE * trainings, label, printing) as advance:
        yield Watch(advance)


def note_of(event: Event) -> str:
    """Write the line that stays of an event, with the model it is about where several train at once."""
    of = f"{event['of']}: " if "of" in event else ""
    if event["event"] == "device":
        count = event["threads"]
        threads = f", {count} thread{'s' * (count > 1)}" if count else ""
        return f"{of}PyTorch {event['torch']} on {event['device']}{threads}: {event['why']}"
    if event["event"] == "lessons":
        return f"{of}the teacher made {event['made']:,} lines and was asked of {event['tokens']:,} tokens"
    if event["event"] == "hurried":
        return (
            f"{of}no time for {event['steps']:,} steps: from step {event['step']:,} on the clock decides, so the "
            "same command may give other weights next time"
        )
    return f"{of}first loss {event['nats_per_token']:.4f} nats a token, expected {event['expected']:.4f}"
