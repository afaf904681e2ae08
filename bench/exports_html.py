"""The page beside Python: `python bench/exports_html.py [--lines 10000] [--run RUN] [--models A,B]`.

Every model of the table (as small as in `tests/export/test_lowering.py`), and with --run that of a run folder, is
written as a page. Node then makes so many lines from each of three seeds, and so does Python's reference from the
weights that stand in the page: are all the same, and by how much do probabilities differ? Told beside it: bytes of
the page, bits an entry of its tables beside what `zlib` needs for the same numbers. With
--axe FILE (axe-core's `axe.min.js`), the page of the last model is opened in Chromium and examined for what keeps
people from using it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np

from machine import machine
from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.export.exporting import portable
from spellout.export.html import read_html
from spellout.export.packing import tables
from spellout.export.reference import Reference
from spellout.export.step import Step
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from export.test_lowering import SPECIFICATIONS
from javascript import Page

SEEDS = (0, 1, 2**64 - 1)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--run")
    parser.add_argument("--models", help="some of the table's only")
    parser.add_argument("--axe")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        for name, run in _runs(asked.run, asked.models):
            found.append({"model": name, **_compared(run, path, asked.lines)})
            print(json.dumps(found[-1]), flush=True)
        axe = _examined(path, Path(asked.axe).read_text("utf-8")) if asked.axe else None
    print(json.dumps({"lines": asked.lines, "seeds": SEEDS, "models": found, "axe": axe, "machine": machine()}))


def _runs(path: str | None, models: str | None) -> Iterator[tuple[str, Run]]:
    data = Prepared.of(Lines.of(Lines.bundled().distinct[:3000]), DataConfig())
    for family in models.split(",") if models is not None else SPECIFICATIONS:
        for specification in SPECIFICATIONS.get(family, []):
            training = TrainingConfig(steps=30, patience=0, evaluate_every=30)
            yield specification, train(data, specification, training=training).run
    if path:
        yield path, load_run(path)


def _compared(run: Run, path: Path, count: int) -> dict[str, object]:
    longest = int(run.facts["longest"])
    settings = {"name": "names", "max_length": run.length_limit, "longest": longest, "lines": run.lines}
    page = Page(portable(run.model, run.vocabulary, weights="int8", **settings), path)
    made = read_html(path)
    reference = Reference(made.step)
    tokens = np.random.default_rng(1).integers(1, len(made.texts) - len(made.labels), (200, 12))
    tokens[:, 0] = 0
    begin = process_time()
    wanted = [list(islice(_lines(reference, run, made.max_length, seed), count)) for seed in SEEDS]
    seconds = process_time() - begin
    asked = [{"count": count, "seed": str(seed)} for seed in SEEDS]
    answered = page.asked(tokens=tokens.tolist(), lines=asked)
    rows = np.exp(reference.log_probabilities(tokens))
    return {
        "same": [[line for _, line in lines] == one for lines, one in zip(answered["lines"], wanted, strict=True)],
        "difference": float(np.abs(np.exp(np.array(answered["rows"])) - rows).max()),
        "bytes": path.stat().st_size,
        **_bits(made.step),
        "python_seconds": round(seconds, 1),
    }


def _lines(reference: Reference, run: Run, max_length: int, seed: int) -> Iterator[str]:
    config = SamplingConfig(max_length=max_length, seed=seed)
    return (one.line for one in sample(reference, run.vocabulary, config, cut=lambda _: False))


def _bits(step: Step) -> dict[str, object]:
    """Bits an entry of the tables, as they are packed, and by `zlib` of one byte a number."""
    several = list(step.tables.values())
    entries = sum(len(counts) for table in several for counts in table.counts)
    if not entries:
        return {"entries": 0}
    arrays: list[np.ndarray] = []
    for table in several:
        arrays += [*table.tokens, *table.counts, *map(np.diff, table.offsets)]
        arrays += [keys % np.uint64(step.vocabulary_size) for keys in table.keys]
    plain = b"".join(np.minimum(array, 255).astype(np.uint8).tobytes() for array in arrays)
    data, _ = tables.packed(several, step.vocabulary_size)
    both = {"bits": len(data), "bits_by_zlib": len(zlib.compress(plain, 9))}
    return {"entries": entries, **{name: round(8 * size / entries, 2) for name, size in both.items()}}


def _examined(path: Path, axe: str) -> list[str]:
    """What axe-core finds wrong, in light and dark, on a phone and on a screen."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for dark in ("light", "dark"):
            for width in (360, 1280):
                size = {"width": width, "height": 800}
                context = browser.new_context(color_scheme=dark, viewport=size, bypass_csp=True)
                page = context.new_page()
                page.goto(f"file://{path}#line=Maria&letters=Ma")
                page.locator("#lines li:nth-child(20)").wait_for()
                page.add_script_tag(content=axe)
                found += [f"{dark} {width} {one['id']}" for one in page.evaluate("axe.run()")["violations"]]
                context.close()
        browser.close()
    return found


if __name__ == "__main__":
    main()
