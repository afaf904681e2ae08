"""What people see: text and tables on stdout, notes and progress on stderr, JSON for programs.

Colour and progress appear only on a terminal; `NO_COLOR` turns colour off.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import numpy as np

    from .data.summary import Summary
    from .data.vocabulary import Vocabulary
    from .generation.evaluation import Evaluation
    from .generation.scoring import Score, Step
    from .lectures.reproduction import Row as LectureRow
    from .training.comparison import Row
    from .training.lr_finder import LrCurve
    from .training.run import Trained
    from .training.tuning import Trial

TRIALS_SHOWN = 10
LETTERS_SHOWN = 40
_SHADES = "·░▒▓█"


def stdout() -> Console:
    """The console for data. Piped, it neither colours nor wraps."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """The console for everything else."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())


def note(message: str, console: Console | None = None) -> None:
    """One line for the reader, on stderr, or above a bar that is shown there."""
    (console or stderr()).print(Text(message, style="dim"))


def warn(message: str) -> None:
    """Something the reader should know before trusting the result, on stderr."""
    stderr().print(Text(f"warning: {message}", style="yellow"))


def complain(message: str) -> None:
    """Why the command failed, on stderr."""
    stderr().print(Text("spellout: ", style="bold red") + Text(message, style="not bold default"))


def print_line(text: str) -> None:
    """One line of data, as it is."""
    sys.stdout.write(text + "\n")


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    print_line(json.dumps(content, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], left: Sequence[str] = ()) -> None:
    """A table on stdout; columns are right-aligned but for those named in `left`, which may wrap.

    Piped: tab-separated. On a terminal too narrow for the table: a block of lines for each row.
    """
    if not sys.stdout.isatty():
        print_line("\t".join(columns))
        for row in rows:
            print_line("\t".join(str(cell) for cell in row))
        return
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    needed = sum(
        2 + max([cell_len(name), *(row[i].cell_len for row in cells if name not in left)])
        for i, name in enumerate(columns)
    )
    console = stdout()
    if needed > console.width:
        for row in cells:
            for name, cell in zip(columns, row, strict=True):
                console.print(Text(f"{name:<12} ", style="bold") + cell)
            console.print()
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(
            name, justify="left" if name in left else "right", no_wrap=name not in left, overflow="fold"
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def surprise_bar(bits: float, width: int = 12, full: float = 12.0) -> Text:
    """A bar for a surprise in bits: green is expected, red is not."""
    length = min(width, round(bits / full * width))
    style = "green" if bits < 3 else "yellow" if bits < 6 else "red"
    return Text("█" * length, style=style)


def print_bigrams(letters: Sequence[str], table: np.ndarray) -> None:
    """The bigram table as a picture on stdout: a row is a letter, a column the next one, full is always.

    `table` (L + 1, L + 1) holds counts, boundary first; each row is drawn relative to its own total.
    """
    console = stdout()
    room = max(1, (console.width - 4) // 2) if console.is_terminal else len(letters) + 1
    names = ["¶", *letters][:room]
    names = [name + " " * (2 - cell_len(name)) for name in names]  # every letter two cells wide
    console.print(Text("    " + "".join(names), style="bold"))
    for i, name in enumerate(names):
        total = max(1, int(table[i].sum()))
        cells = "".join(2 * _shade(count / total) for count in table[i, : len(names)].tolist())
        console.print(Text(f"  {name}", style="bold") + Text(cells, style="not bold cyan"))
    if len(names) <= len(letters):
        note(f"the terminal has room for {len(names) - 1} of {len(letters)} letters")


def _shade(share: float) -> str:
    if not share:
        return " "
    return _SHADES[min(len(_SHADES) - 1, int(share**0.5 * 6))]  # the eye sees small shares too


def print_sample(row: dict[str, Any], as_json: bool) -> None:
    """One line made, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        print_json(row)
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    print_line(f"{line}\t{row['nearest']}\t{row['distance']}" if "nearest" in row else line)


def print_training(trained: Trained) -> None:
    """What was trained on what, and how good it is, on stderr."""
    facts = trained.run.facts
    data, split = facts["data"], facts["split"]
    different = f", {data['distinct']:,} different" if data.get("distinct", data["lines"]) != data["lines"] else ""
    parts = f": {split['train']:,} to train, {split['dev']:,} dev, {split['test']:,} test" if split["dev"] else ""
    note(f"{data['name']}: {data['lines']:,} lines{different}; split {split['name']}{parts}")
    print_result(trained)


def print_result(trained: Trained) -> None:
    """What was trained, and how good it is, on stderr."""
    model = trained.run.model
    order = f", order {model.settings()['order']}" if "order" in model.settings() else ""
    result = f"; dev: {_losses(trained.dev)}" if trained.dev else ""
    steps = f" and {trained.run.last.state.step:,} steps" if trained.run.last else ""
    note(f"{trained.run.family}{order}: {model.parameters:,} parameters in {trained.seconds:.2f} s{steps}{result}")


def _losses(result: Evaluation | Row) -> str:
    return (
        f"{result.nats_per_char:.4f} nats ({result.bits_per_char:.3f} bits) per character, "
        f"perplexity {result.perplexity:.2f}"
    )


def print_summary(summary: Summary, floor: Row | None) -> None:
    """What is in a list, on stdout."""
    again = summary.lines - summary.distinct
    letters = "".join(letter for letter, _ in summary.letters[:LETTERS_SHOWN])
    more = f" and {len(summary.letters) - LETTERS_SHOWN:,} more" if len(summary.letters) > LETTERS_SHOWN else ""
    repeated = ", ".join(f"{_short(line, 24)} ×{times:,}" for line, times in summary.repeated[:6])
    rows = [
        ("lines", f"{summary.lines:,}, {summary.distinct:,} different"),
        ("repeated", f"{again:,} ({again / summary.lines:.1%}): {repeated}" if again else "none"),
        ("characters", f"{summary.characters:,}, {len(summary.letters):,} different"),
        ("by frequency", letters + more),
        ("length", f"{len(summary.shortest)} to {len(summary.longest):,}, median {summary.median_length}"),
        ("shortest", _short(summary.shortest)),
        ("longest", _short(summary.longest)),
    ]
    if floor:
        rows.append(("floor", f"an n-gram reaches {_losses(floor)} on dev lines: a model must do better"))
    if not sys.stdout.isatty():
        for name, text in rows:
            print_line(f"{name:<13}{text}")
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(name, Text(text))
    stdout().print(grid)


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def print_scores(scores: Sequence[Score], vocabulary: Vocabulary) -> None:
    """Scored lines as a table: bits per character, log-probability, line, and its most surprising place."""

    def worst(score: Score) -> str:
        place = int(score.nats.argmax())
        symbol, bits = score.symbols(vocabulary)[place], float(score.bits[place])
        return f"{symbol} at {place + 1} ({f'{bits:.1f} bits' if math.isfinite(bits) else 'never seen'})"

    print_table(
        ["bits/char", "ln p", "line", "most surprising"],
        ([f"{s.bits_per_char:.3f}", f"{s.log_probability:.2f}", s.line, worst(s)] for s in scores),
        left=["line", "most surprising"],
    )


def print_steps(steps: Sequence[Step]) -> None:
    """A line spelled out, a row a letter, and the whole line's surprise below."""

    def expected(step: Step) -> str:
        return "  ".join(f"{symbol} {probability:.2f}" for symbol, probability in step.expected)

    print_table(
        ["letter", "chance", "bits", "surprise", "rank", "likeliest here"],
        (
            [s.symbol, f"{s.probability:.4f}", f"{s.bits:.2f}", surprise_bar(s.bits), str(s.rank), expected(s)]
            for s in steps
        ),
        left=["letter", "surprise", "likeliest here"],
    )
    bits = sum(step.bits for step in steps)
    note(f"{bits:.2f} bits in all, {bits / len(steps):.2f} a letter; ¶ is the end of the line")


def print_comparison(rows: Sequence[Row]) -> None:
    """Compared models as a table, the best loss in bold."""
    best = min(row.nats_per_char for row in rows) if rows else 0.0
    print_table(
        ["model", "split", "parameters", "nats/char", "bits/char", "perplexity", "unique", "novel", "seconds"],
        (
            [
                row.model,
                row.split,
                f"{row.parameters:,}",
                Text(f"{row.nats_per_char:.4f}", style="bold" if row.nats_per_char == best else ""),
                f"{row.bits_per_char:.4f}",
                f"{row.perplexity:.3f}",
                f"{row.unique:.1%}",
                f"{row.novel:.1%}",
                f"{row.seconds:.2f}",
            ]
            for row in rows
        ),
        left=["model", "split"],
    )


def print_lectures(rows: Sequence[LectureRow]) -> None:
    """The course's results beside ours, as a table."""

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    print_table(
        ["lecture", "result", "recorded", "its seconds", "model here", "loss", "seconds", "times", "remark"],
        (
            [
                str(row.lecture),
                row.result,
                number(row.recorded, ".4g"),
                number(row.lecture_seconds, ".2f"),
                row.model,
                number(row.loss, ".4f"),
                number(row.seconds, ".3f"),
                number(row.times, ".0f"),
                row.remark,
            ]
            for row in rows
        ),
        left=["result", "model here", "remark"],
    )


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


def trial_note(trial: Trial) -> str:
    """How one trial of a tuning ended."""
    result = "stopped early" if trial.nats_per_char is None else f"dev {trial.nats_per_char:.4f}"
    return f"trial {trial.number}: {result}, {trial.specification}"


def print_trials(
    trials: Sequence[Trial],
    count: tuple[int, int],
    tested: dict[str, float] | None,
    again: str,
    folder: str,
    as_json: bool,
) -> None:
    """The best trials as a table, how many there were, and the command that trains the best again.

    `tested` are the best one's losses on test lines, if it was asked for them.
    """
    if as_json:
        for place, one in enumerate(trials):
            best = {"test": tested, "command": again, "run": folder} if place == 0 else {}
            print_json({**one.to_json(), **best})
    else:
        hidden = ("seconds", "steps", "prior", "train_seed", "engine")
        print_table(
            ["trial", "nats/char", "seconds", "model", "training"],
            (
                [
                    str(one.number),
                    f"{one.nats_per_char:.4f}",
                    f"{one.seconds:.1f}",
                    one.specification,
                    " ".join(f"{name}={value}" for name, value in one.training.items() if name not in hidden),
                ]
                for one in trials
            ),
            left=["model", "training"],
        )
    ended, stopped = count
    note(f"{ended} trials, {stopped} of them stopped early; the best run is kept in {folder}")
    if tested is not None:
        note(f"on test lines: {tested['nats_per_char']:.4f} nats per character")
    note(f"train it again with: {again}")
