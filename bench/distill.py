"""What a student keeps of its teacher: `python bench/distill.py [FILE]`, by default on the bundled names.

A teacher is trained (or read, --teacher RUN), and students of some sizes learn alone, from the teacher's
distributions on the training lines, and on lines that it makes as well; from the teacher as it is, and from the
teacher conditioned on new lines. All losses are nats per character on dev lines: as the model is, and conditioned
on new lines, with the probability that it gives to its training lines. The last line is JSON. By default short; see
`--help` for more.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from machine import machine
from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.evaluation import evaluate
from spellout.models.contract import LanguageModel
from spellout.models.new_lines.known import Known
from spellout.models.new_lines.model import Weighted
from spellout.models.new_lines.trie import Trie
from spellout.training.config import TrainingConfig
from spellout.training.distillation.config import DistillationConfig

AS_IT_IS, NEW = "as it is", "new lines"


def main() -> None:
    """Train a teacher and students, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", help="one thing per line; by default the bundled names")
    parser.add_argument("--split", default="distinct")
    parser.add_argument("--teacher", help="a run to learn from; by default --teacher-model is trained")
    parser.add_argument("--teacher-model", default="mlp+ngram")
    parser.add_argument("--teacher-steps", type=int, default=1500)
    parser.add_argument("--students", default="mlp:32,mlp:128")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--made", default="0,5", help="lines made for each training line, with commas between")
    parser.add_argument("--alone", type=int, choices=(0, 1), default=1, help="1: students without a teacher, too")
    options = parser.parse_args()
    lines = Lines.read(options.file) if options.file else Lines.bundled()
    prepared = Prepared.of(lines, DataConfig(split=options.split))
    if options.teacher:
        teacher = load_run(options.teacher)
    else:
        steps = TrainingConfig(steps=options.teacher_steps, patience=0)
        teacher = train(prepared, options.teacher_model, training=steps).run
    rows = [{"model": "teacher", "lessons": "-", **judged(teacher.model, prepared)}]
    show(rows[0])
    training = TrainingConfig(steps=options.steps, batch=options.batch, patience=0)
    for student in options.students.split(","):
        for lessons, distillation in courses(options.made, options.alone):
            start = time.thread_time()
            taught = {} if distillation is None else {"teacher": teacher, "distillation": distillation}
            run = train(prepared, student, training=training, **taught).run
            seconds = time.thread_time() - start
            rows.append({"model": student, "lessons": lessons, **judged(run.model, prepared), "seconds": seconds})
            show(rows[-1])
    print(json.dumps({"machine": machine(), "options": vars(options), "rows": rows}))


def courses(made: str, alone: int) -> list[tuple[str, DistillationConfig | None]]:
    """Name the ways to learn that are compared."""
    found: list[tuple[str, DistillationConfig | None]] = [("no teacher", None)] if alone else []
    for new_lines in (False, True):
        for count in map(float, made.split(",")):
            if new_lines and not count:  # only lines that the teacher makes are new
                continue
            name = f"{'new lines' if new_lines else 'all lines'}, {count:g} made"
            found.append((name, DistillationConfig(made=count, new_lines=new_lines)))
    return found


def judged(model: LanguageModel, prepared: Prepared) -> dict[str, Any]:
    """Both losses on dev lines, and what the model gives to its training lines."""
    known = Known.of(model, Trie(prepared.stream, prepared.vocabulary.size))
    new = Weighted.of_new_lines(model, known)
    dev = prepared.split.dev
    return {
        "parameters": model.parameters,
        AS_IT_IS: evaluate(model, prepared.vocabulary, dev).nats_per_char,
        NEW: evaluate(new, prepared.vocabulary, dev).nats_per_char,
        "training lines": 1.0 - new.new_share,
    }


def show(row: dict[str, Any]) -> None:
    """Print one row of the table."""
    seconds = f"{row['seconds']:7.1f} s" if "seconds" in row else ""
    print(
        f"{row['model']:24} {row['lessons']:20} {row['parameters']:9,}  {row[AS_IT_IS]:.4f}  {row[NEW]:.4f}  "
        f"{row['training lines']:6.1%} {seconds}",
        flush=True,
    )


if __name__ == "__main__":
    main()
