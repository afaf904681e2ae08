"""What people see: text and tables on stdout, notes and progress on stderr, JSON for programs.

Colour and progress appear only on a terminal; `NO_COLOR` turns colour off. What a terminal or a message shows has
signs for the characters that do not show (`visible`); data that goes to a file or a program is as it is.
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

from .visible import visible, visible_in_json

if TYPE_CHECKING:
    from ..data.summary import Summary
    from ..data.vocabulary import Vocabulary
    from ..generation.evaluation import Evaluation
    from ..generation.scoring import Prediction, Score
    from ..lectures.reproduction import LectureResult
    from ..training.experiments.results import ModelResult, TuningTrial
    from ..training.runs.run import Trained

TRIALS_SHOWN = 10
LETTERS_SHOWN = 40
REMARK_BESIDE = 120
"""A terminal so wide has room for the remarks on the lectures in a column; others get them below the table."""
TEXT_ROOM, LEAST_ROOM = 24, 12
"""Where columns are left out of a table, text keeps so much room; with less than the other, it is no table."""


def stdout() -> Console:
    """The console for data. Piped, it neither colours nor wraps."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """The console for everything else."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())


def note(message: str, console: Console | None = None) -> None:
    """One line for the reader, on stderr, or above a bar that is shown there."""
    (console or stderr()).print(Text(visible(message), style="dim"))


def warn(message: str) -> None:
    """Something the reader should know before trusting the result, on stderr."""
    stderr().print(Text(f"warning: {visible(message)}", style="yellow"))


def complain(message: str) -> None:
    """Why the command failed, on stderr."""
    stderr().print(Text("spellout: ", style="bold red") + Text(visible(message), style="not bold default"))


def print_line(*parts: str) -> None:
    """One line of data, its parts divided by tabs: as it is, and on a terminal as it can be seen."""
    if sys.stdout.isatty():
        parts = tuple(map(visible, parts))
    sys.stdout.write("\t".join(parts) + "\n")


def print_report(text: str) -> None:
    """Lines of text for people, on stdout."""
    sys.stdout.write((visible(text, lines=True) if sys.stdout.isatty() else text) + "\n")


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(visible_in_json(json.dumps(content, ensure_ascii=False)) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    left: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """A table on stdout; columns are right-aligned but for those named in `left`, which may wrap.

    Piped: tab-separated. On a terminal too narrow for the table, the columns in `spare` are left out, the first of
    them first, and that is said; if it is too narrow even then, a row becomes a block of lines.
    """
    if not sys.stdout.isatty():
        print_line(*columns)
        for row in rows:
            print_line(*map(str, row))
        return
    cells = [[cell if isinstance(cell, Text) else Text(visible(cell)) for cell in row] for row in rows]
    widths = [max([cell_len(name), *(row[i].cell_len for row in cells)]) for i, name in enumerate(columns)]
    console, kept = stdout(), list(range(len(columns)))

    def needed(room: int) -> int:
        """The width of what is kept, where text may be wrapped to so many characters."""
        return sum(min(widths[i], room) if columns[i] in left else widths[i] for i in kept) + 2 * len(kept) - 2

    hidden = []
    for name in spare:
        if needed(TEXT_ROOM) > console.width:
            hidden.append(name)
            kept.remove(columns.index(name))
    if needed(LEAST_ROOM) > console.width:
        for row in cells:
            _print_pairs((name, cell) for name, cell in zip(columns, row, strict=True))
            console.print()
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in (columns[i] for i in kept):
        table.add_column(
            name,
            justify="left" if name in left else "right",
            no_wrap=name not in left,
            overflow="fold",
            min_width=min(widths[columns.index(name)], LEAST_ROOM),
        )
    for row in cells:
        table.add_row(*(row[i] for i in kept))
    console.print(table)
    if hidden:
        note(f"a wider terminal also shows: {', '.join(hidden)}")


def _print_pairs(pairs: Iterable[tuple[str, Text]]) -> None:
    """Names and texts, one below the other, on a terminal."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(name, text)
    stdout().print(grid)


def surprise_bar(bits: float, width: int = 12, full: float = 12.0) -> Text:
    """A bar for a surprise in bits: green is expected, red is not."""
    length = min(width, round(bits / full * width))
    style = "green" if bits < 3 else "yellow" if bits < 6 else "red"
    return Text("█" * length, style=style)


def print_sample(row: dict[str, Any], as_json: bool) -> None:
    """One line made, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        print_json(row)
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    print_line(*([line, row["nearest"], str(row["distance"])] if "nearest" in row else [line]))


def print_data(facts: dict[str, Any]) -> None:
    """What a model is trained on, on stderr; `facts` are a run's."""
    data, split = facts["data"], facts["split"]
    different = f", {data['distinct']:,} different" if data.get("distinct", data["lines"]) != data["lines"] else ""
    parts = f": {split['train']:,} to train, {split['dev']:,} dev, {split['test']:,} test" if split["dev"] else ""
    note(f"{data['name']}: {data['lines']:,} lines{different}; split {split['name']}{parts}")


def print_result(trained: Trained) -> None:
    """What was trained, and how good it is, on stderr."""
    model = trained.run.model
    order = f", order {model.settings()['order']}" if "order" in model.settings() else ""
    few = trained.dev is not None and trained.dev.lines < trained.run.facts["split"]["dev"]
    on = f" (its first {trained.dev.lines:,} lines)" if trained.dev and few else ""
    result = f"; dev{on}: {_losses(trained.dev)}" if trained.dev else ""
    steps = f" and {trained.run.last.state.step:,} steps" if trained.run.last else ""
    note(f"{trained.run.family}{order}: {model.parameters:,} parameters in {trained.seconds:.2f} s{steps}{result}")


def _losses(result: Evaluation | ModelResult) -> str:
    return (
        f"{result.nats_per_char:.4f} nats ({result.bits_per_char:.3f} bits) per character, "
        f"perplexity {result.perplexity:.2f}"
    )


def print_summary(summary: Summary, floor: ModelResult | None) -> None:
    """What is in a list, on stdout."""
    again = summary.lines - summary.distinct
    letters = "".join(letter for letter, _ in summary.letters[:LETTERS_SHOWN])
    more = f" and {len(summary.letters) - LETTERS_SHOWN:,} more" if len(summary.letters) > LETTERS_SHOWN else ""
    repeated = ", ".join(f"{short(line, 24)} ×{times:,}" for line, times in summary.repeated[:6])
    rows = [
        ("lines", f"{summary.lines:,}, {summary.distinct:,} different"),
        ("repeated", f"{again:,} ({again / summary.lines:.1%}): {repeated}" if again else "none"),
        ("characters", f"{summary.characters:,}, {len(summary.letters):,} different"),
        ("by frequency", letters + more),
        ("length", f"{len(summary.shortest)} to {len(summary.longest):,}, median {summary.median_length}"),
        ("shortest", short(summary.shortest)),
        ("longest", short(summary.longest)),
    ]
    if floor:
        rows.append(("floor", f"an n-gram reaches {_losses(floor)} on dev lines: a model must do better"))
    if not sys.stdout.isatty():
        for name, text in rows:
            print_line(f"{name:<13}{text}")
        return
    _print_pairs((name, Text(visible(text))) for name, text in rows)


def short(text: str, width: int = 60) -> str:
    """The text, or its beginning with an ellipsis."""
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
        spare=["ln p"],
    )


def print_steps(steps: Sequence[Prediction]) -> None:
    """A line spelled out, a row a letter, and the whole line's surprise below."""

    def expected(step: Prediction) -> str:
        return "  ".join(f"{symbol} {probability:.2f}" for symbol, probability in step.expected)

    print_table(
        ["letter", "chance", "bits", "surprise", "rank", "likeliest here"],
        (
            [s.symbol, f"{s.probability:.4f}", f"{s.bits:.2f}", surprise_bar(s.bits), str(s.rank), expected(s)]
            for s in steps
        ),
        left=["letter", "surprise", "likeliest here"],
        spare=["chance", "rank", "surprise"],
    )
    bits = sum(step.bits for step in steps)
    note(f"{bits:.2f} bits in all, {bits / len(steps):.2f} a letter; ¶ is the end of the line")


def print_comparison(rows: Sequence[ModelResult]) -> None:
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
        spare=["split", "bits/char", "perplexity", "parameters", "unique", "novel", "seconds"],
    )


def print_lectures(rows: Sequence[LectureResult]) -> None:
    """The course's results beside ours, as a table."""

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    columns = ["lecture", "result", "recorded", "its seconds", "model here", "loss", "seconds", "times"]
    below = sys.stdout.isatty() and stdout().width < REMARK_BESIDE
    print_table(
        columns if below else [*columns, "remark"],
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
                *([] if below else [row.remark]),
            ]
            for row in rows
        ),
        left=["result", "model here", "remark"],
        spare=["its seconds", "seconds", "times"],
    )
    if below:
        for row in rows:
            if row.remark:
                stdout().print(Text(visible(f"{row.result}: {row.remark}"), style="dim"))


def trial_note(trial: TuningTrial) -> str:
    """How one trial of a tuning ended."""
    result = "stopped early" if trial.nats_per_char is None else f"dev {trial.nats_per_char:.4f}"
    return f"trial {trial.number}: {result}, {trial.specification}"


def print_trials(
    trials: Sequence[TuningTrial],
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
        hidden = ("seconds", "steps", "prior", "train_seed")
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
            spare=["seconds"],
        )
    ended, stopped = count
    note(f"{ended} trials, {stopped} of them stopped early; the best run is kept in {folder}")
    if tested is not None:
        note(f"on test lines: {tested['nats_per_char']:.4f} nats per character")
    note(f"train it again with: {again}")
