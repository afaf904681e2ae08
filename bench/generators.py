"""Makers of lines on the same lists: spellout as it is installed, other generators, and general compressors.

    python bench/generators.py NAMES.txt SMILES.txt                    # dev lines judge
    python bench/generators.py *.txt --on test                         # the figures to publish, once
    python bench/generators.py SMILES.txt --valid SMILES=rdkit.Chem:MolFromSmiles --python /venv/bin/python
    python bench/generators.py NAMES.txt --lines 200 --seconds 3,6 --plain 5      # does it work?

Every list is split by distinct line as spellout does it; the others learn from the training lines. `spellout make
FILE --seconds S` is one command, reading and making included; what it makes is new by construction, so its model as
it is stands beside. markovify, namemaker and KenLM (where its `lmplz` is) are run by the interpreter of `--python`;
the Transformer by this one, if it has PyTorch. Compressors make no lines.

Of `--lines` lines made: `valid` where `--valid LIST=JUDGE` judges (see `spellout sample --valid`), `unique` of the
valid ones and `novel` of the different valid ones (MOSES, Polykovskiy et al. 2020); `lengths` and `pairs` are the
total variation distances of their lengths, and of their pairs of neighbouring characters with both ends, to those
of held-out lines. The row "its training lines" shows how far two samples of the list itself are apart. `nats` are
per character on held-out lines as the model is, line ends counted, `new` with training lines ruled out; `seconds`
are wall seconds from a file to the lines, and `MB` the largest memory of the process.

A row a list and generator is written to `--out` as it is ready, and rows that are there are not made again: so a
run that was stopped goes on. At the end a table in Markdown, and one line of JSON.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from machine import machine, measured
from spellout.api import load_run
from spellout.data.config import DataConfig
from spellout.data.escape import CODE_POINTS, Escape
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.judge import Judge
from spellout.generation.validity.shares import Training, shares_of
from spellout.generation.validity.validator import Validator, validator_of
from spellout.training.experiments.compressors import judge_compressors
from spellout.training.judging import judging

HERE = Path(__file__).parent
MARKOVIFY_ORDERS = 3, 6
KENLM_ORDER = 6
ITSELF = "its training lines"
COLUMNS = "valid", "unique", "novel", "lengths", "pairs", "nats", "new", "seconds", "MB"
Row = dict[str, Any]


@dataclass(frozen=True)
class List:
    """A list with its split, the lines that judge, its judge if it has one, and where its training lines lie."""

    name: str
    file: Path
    prepared: Prepared
    held: Sequence[str]
    validator: Validator | None
    place: Path

    @classmethod
    def of(cls, file: Path, on: str, judge: str | None, place: Path) -> List:
        """Read and split a list, and write its parts as files."""
        prepared = Prepared.of(Lines.read(str(file)), DataConfig())
        held = judging(prepared, "test" if on == "test" else "dev")
        known = set("".join(prepared.split.train))
        (place / "train.txt").write_text("".join(f"{line}\n" for line in prepared.split.train), "utf-8")
        readable = ("".join(letter for letter in line if letter in known) for line in held)
        (place / "held.txt").write_text("".join(f"{line}\n" for line in readable), "utf-8")
        return cls(file.stem, file, prepared, held, None if judge is None else validator_of(judge), place)

    def row(self, lines: Sequence[str], **facts: Any) -> Row:
        """Say what lines that were made come to; without lines, only the facts."""
        if not lines:
            return {"made": 0, **facts}
        train = self.prepared.split.train
        if self.validator is None:
            different = set(lines)
            shares: Row = {
                "valid": None,
                "unique": len(different) / len(lines),
                "novel": len(different - set(train)) / len(different),
            }
        else:
            shares = shares_of(lines, self.validator, Training(self.validator, train)).to_json()
        return {
            "made": len(lines),
            **{name: shares[name] for name in ("valid", "unique", "novel")},
            "lengths": distance(map(len, lines), map(len, self.held)),
            "pairs": distance(pairs(lines), pairs(self.held)),
            **facts,
        }

    def nats_per_char(self, nats: float) -> float:
        """Add to what a model says of held-out lines without their unknown characters what these cost.

        That is Good–Turing's chance of a new character, and then which one; the others pay for it not coming.
        """
        counts = Counter("".join(self.prepared.split.train))
        ends, size = len(self.prepared.split.train), sum(map(len, self.held)) + len(self.held)
        escape = Escape(counts.total() + ends, sum(count == 1 for count in counts.values()))
        new = sum(letter not in counts for line in self.held for letter in line)
        price = escape.new_nats + math.log(CODE_POINTS - len(counts))
        return (nats + new * price + (size - new) * escape.known_nats) / size


Maker = Callable[[List, Namespace], Iterator[Row]]


def distance(ones: Iterable[Any], others: Iterable[Any]) -> float:
    """Total variation: half the sum of the differences of two distributions."""
    first, second = Counter(ones), Counter(others)
    return sum(abs(first[x] / first.total() - second[x] / second.total()) for x in first | second) / 2


def pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the neighbouring characters of lines, the ends included."""
    return (pair for line in lines for pair in pairwise(["", *line, ""]))


def training_lines(one: List, options: Namespace) -> Iterator[Row]:
    """A sample of the list itself."""
    train = one.prepared.split.train
    some = random.Random(options.seed).sample(train, min(options.lines, len(train)))
    yield {"generator": ITSELF, **one.row(some)}


def made_by_spellout(seconds: float) -> Maker:
    """`spellout make` in so many seconds: new lines, and what its model makes as it is."""

    def rows(one: List, options: Namespace) -> Iterator[Row]:
        run, name = str(one.place / f"run-{seconds:g}"), f"spellout make {seconds:g} s"
        spellout = [sys.executable, "-m", "spellout"]
        sampling = ["-n", str(options.lines), "--seed", str(options.seed)]
        make = [*spellout, "make", str(one.file), "-o", run, "--seconds", f"{seconds:g}", *sampling]
        lines, took, memory = printed(make, one.place)
        trained = load_run(run)
        judge = Judge(one.prepared.encoded_by(trained.vocabulary))
        judged = judge(trained.model, judge.held_out(one.held))
        losses = {
            "nats": judged.as_it_is.nats_per_char,
            "new": None if judged.new is None else judged.new.result.nats_per_char,
            "model": trained.facts.get("specification", trained.family),
        }
        yield {"generator": name, **one.row(lines, **losses, seconds=took, MB=memory)}
        as_it_is = [*spellout, "sample", run, "--as-it-is", *sampling]
        lines, took_more, memory_too = printed(as_it_is, one.place)
        facts = {"seconds": took + took_more, "MB": max(memory, memory_too)}
        yield {"generator": f"{name}, as it is", **one.row(lines, **losses, **facts)}

    return rows


def printed(command: list[str], place: Path) -> tuple[list[str], float, float]:
    """Run a command that prints lines, perhaps fewer than were asked for; also its seconds and MB."""
    with open(place / "out", "wb") as out, open(place / "err", "wb") as err:
        seconds, memory, code = measured(command, stdout=out, stderr=err)
    lines = (place / "out").read_text("utf-8").split("\n")[:-1]
    if code and not lines:
        raise Failed((place / "err").read_text("utf-8", errors="replace").strip().split("\n")[-1])
    return lines, seconds, memory


class Failed(Exception):
    """A generator that is not there, or made nothing; says why."""


def other(script: str, first: str, shown: str) -> Maker:
    """A generator in a script of its own, which writes its lines and what it says of held-out ones."""

    def rows(one: List, options: Namespace) -> Iterator[Row]:
        python = sys.executable if script == "plain_transformer.py" else options.python
        out = one.place / "found.json"
        files = [str(one.place / "train.txt"), str(one.place / "held.txt")]
        command = [python, str(HERE / script), first, *files, str(options.lines), str(options.seed), str(out)]
        with open(one.place / "err", "wb") as err:
            seconds, memory, code = measured(command, stderr=err)
        if code:
            raise Failed((one.place / "err").read_text("utf-8", errors="replace").strip().split("\n")[-1])
        found = json.loads(out.read_text("utf-8"))
        nats = None if found.get("nats") is None else one.nats_per_char(found["nats"])
        yield {"generator": shown, **one.row(found["lines"], nats=nats, seconds=seconds, MB=memory)}

    return rows


def compressors(one: List, options: Namespace) -> Iterator[Row]:
    """General compressors as predictors, each a row."""
    missed: list[str] = []
    for row in judge_compressors(one.prepared, options.on, missed.append):
        memory = None if row.memory is None else row.memory / 1e6
        yield {"generator": row.compressor, **one.row([], nats=row.nats_per_char, seconds=row.seconds, MB=memory)}
    for sentence in missed:
        print(f"  {sentence}", flush=True)


def generators(options: Namespace) -> dict[str, Maker]:
    """Name all that are asked for; each gives a row or some."""
    found: dict[str, Maker] = {"itself": training_lines}
    for seconds in map(float, options.seconds.split(",")):
        found[f"make-{seconds:g}"] = made_by_spellout(seconds)
    for order in MARKOVIFY_ORDERS:
        found[f"markovify-{order}"] = other("rivals.py", f"markovify:{order}", f"markovify, {order} letters")
    found["namemaker"] = other("rivals.py", "namemaker", "namemaker")
    found["kenlm"] = other("rivals.py", f"kenlm:{KENLM_ORDER}", f"KenLM, order {KENLM_ORDER}")
    plain = f"{options.plain:g}"
    found[f"transformer-{plain}"] = other("plain_transformer.py", plain, f"plain Transformer {plain} s")
    found["compressors"] = compressors
    names = options.only.split(",") if options.only else list(found)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SystemExit(f"--only {unknown[0]}: there is {', '.join(found)}")
    return {name: found[name] for name in names}


def table(rows: Sequence[Row]) -> str:
    """A table of each list in Markdown."""
    parts = []
    for name in dict.fromkeys(row["list"] for row in rows):
        own = [row for row in rows if row["list"] == name]
        parts.append(f"{name}: {own[0]['of']:,} lines, judged on {own[0]['held']:,} {own[0]['on']} lines\n")
        parts.append(f"| | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
        parts += [f"| {row['generator']} | {' | '.join(cell(row, column) for column in COLUMNS)} |" for row in own]
        parts.append("")
    return "\n".join(parts)


def cell(row: Row, column: str) -> str:
    """Show a figure."""
    value = row.get(column)
    if value is None:
        return ""
    if column in ("valid", "unique", "novel"):
        return f"{value:.1%}"
    return f"{value:.0f}" if column == "MB" else f"{value:.1f}" if column == "seconds" else f"{value:.3f}"


def asked() -> Namespace:
    """Understand the command line."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="lists, one thing per line")
    parser.add_argument("--on", choices=["dev", "test"], default="dev", help="the lines that judge")
    parser.add_argument("--lines", type=int, default=10_000, help="how many lines each makes")
    parser.add_argument("--seconds", default="10,60", help="budgets of spellout make, separated by commas")
    parser.add_argument("--plain", type=float, default=60.0, help="seconds of training of the plain Transformer")
    judges = {"action": "append", "default": [], "metavar": "LIST=JUDGE"}
    parser.add_argument("--valid", help="what judges the lines of a list", **judges)
    parser.add_argument("--python", default=sys.executable, help="an interpreter with markovify and namemaker")
    parser.add_argument("--only", help="which generators, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("generators.jsonl"), help="rows, as they are ready")
    options = parser.parse_args()
    stems = {file.stem for file in options.files}
    options.judges = dict(judge.split("=", 1) for judge in options.valid if "=" in judge)
    if wrong := [judge for judge in options.valid if judge.partition("=")[0] not in stems or "=" not in judge]:
        parser.error(f"--valid {wrong[0]}: say LIST=JUDGE, where LIST is one of {', '.join(sorted(stems))}")
    return options


def made(one: List, options: Namespace, done: set[tuple[str, str]], settings: Row) -> Iterator[Row]:
    """Run the generators that are not done on a list; write and give their rows."""
    facts = {"list": one.name, "of": len(one.prepared.lines.distinct), "held": len(one.held), "on": options.on}
    for name, make in generators(options).items():
        if (one.name, name) in done:
            continue
        try:
            rows = list(make(one, options))
        except (Failed, subprocess.SubprocessError) as error:
            print(f"{one.name}, {name}: {error}", flush=True)
            continue
        for number, row in enumerate(rows, 1):
            row |= facts | {"by": name, "settings": settings, "last": number == len(rows)}
            with options.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
            shown = "  ".join(f"{column} {text}" for column in COLUMNS if (text := cell(row, column)))
            print(f"{one.name}, {row['generator']}: {shown}", flush=True)
            yield row


def main() -> None:
    """Run what is not there yet; print a table and one JSON object."""
    options = asked()
    names = [one.stem for one in options.files]
    written = options.out.read_text("utf-8").splitlines() if options.out.exists() else []
    settings = {"on": options.on, "lines": options.lines, "seed": options.seed}
    rows = [row for row in map(json.loads, written) if row["list"] in names and row["settings"] == settings]
    done = {(row["list"], row["by"]) for row in rows if row["last"]}
    rows = [row for row in rows if (row["list"], row["by"]) in done]
    for file in options.files:
        with tempfile.TemporaryDirectory() as place:
            one = List.of(file, options.on, options.judges.get(file.stem), Path(place))
            rows += made(one, options, done, settings)
    order = [(name, by) for name in names for by in generators(options)]
    rows = [row for key in order for row in rows if (row["list"], row["by"]) == key]
    print("\n" + table(rows))
    print(json.dumps({"machine": machine(), "settings": settings, "rows": rows}))


if __name__ == "__main__":
    main()
