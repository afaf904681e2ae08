"""Unchanged scripts in thirty styles, half of them with a mistake: what the doctor captures, names, and accuses.

python bench/doctor_scripts.py [NAME ...]
python bench/doctor_scripts.py --cost    what the doctor costs a small script, and what is left of it afterwards
python bench/doctor_scripts.py --after   what is left of it in five small scripts: a step's time, and the weights
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS: dict[str, tuple[str, ...]] = {
    "top_level.py": (),
    "top_level_stale.py": ("stale-gradients",),
    "argparse_main.py": (),
    "trainer_class.py": ("softmax-before-cross-entropy",),
    "images_eval_mode.py": ("evaluating-in-train-mode",),
    "images_scheduler.py": (),
    "first_net.ipynb": ("zeroed-before-step",),
    "letters_by_hand.py": (),
    "letters_own_layers.py": (),
    "small_gpt.py": (),
    "small_gpt_sees_ahead.py": ("looks-ahead",),
    "gan.py": (),
    "gan_sigmoid_twice.py": ("sigmoid-before-bce-with-logits",),
    "reinforce.py": (),
    "actor_critic_half.py": ("parameter-not-in-optimizer",),
    "accumulation.py": (),
    "mixed_precision.py": (),
    "second_order.py": (),
    "compiled_relu_logits.py": ("bounded-logits",),
    "lightning_fit.py": (),
    "lightning_batch_axis.py": ("softmax-over-batch",),
    "hf_trainer.py": (),
    "hf_by_hand_stale.py": ("stale-gradients",),
    "by_hand_stale.py": ("stale-gradients",),
    "plain_arithmetic.py": ("broadcast-output-target",),
    "encoder_decoder.py": (),
    "letter_rnn_half.py": ("parameter-not-in-optimizer",),
    "variational.py": (),
    "left_in_eval.py": ("training-in-eval-mode",),
    "-m project.train": ("softmax-over-batch", "samples-mix"),
}
"""A script, and the ids of which one must be found; none: a healthy one."""
ARGUMENTS = {"argparse_main.py": ["--width", "24", "--json"]}
KINDS = ("perceptron", "convolutional", "recurrent", "attention", "by-hand")


def examined(script: str) -> dict[str, Any]:
    """Put one script under the doctor, in a process of its own."""
    began = time.perf_counter()
    words = [*script.split(), *ARGUMENTS.get(script, [])]
    done = subprocess.run(
        [sys.executable, "-m", "spellout", "doctor", "--json", "--seconds", "15", *words],
        capture_output=True, text=True, cwd=FOLDER, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if not done.stdout.strip():
        return {"captured": False, "failed": done.stderr[-2000:], "code": done.returncode, "seconds": seconds}
    report = json.loads(done.stdout)
    found = {f["id"]: f["severity"] for f in report["findings"] + report["symptoms"] if f["severity"] != "note"}
    helpless = [line for line in report["not_examined"] if "--model NAME" in line]
    wanted = SCRIPTS[script]
    return {
        "captured": not helpless and any(fact.endswith("model") for fact in report["facts"]),
        "named": bool(set(wanted) & set(found)) if wanted else None,
        "accused": sorted(found) if not wanted else [],
        "found": found,
        "not examined": report["not_examined"],
        "code": done.returncode,
        "seconds": round(seconds, 1),
    }


def taken(*words: str) -> tuple[float, float, str]:
    """Processor seconds that a script took, and what it printed: the milliseconds of a late step, the weights."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=FOLDER,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = dict(line.split(": ") for line in done.stdout.splitlines() if line.startswith(("milli", "weights")))
    return (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        float(printed.get("milliseconds a step", "nan")),
        printed.get("weights", ""),
    )


def cost(rounds: int = 5) -> dict[str, Any]:
    """The median of some rounds, with the doctor and without it, in turn."""
    doctor = ("-m", "spellout", "doctor", "--seconds", "0")
    times: dict[str, list[tuple[float, float, str]]] = {"plain": [], "watched": [], "short": [], "stopped": []}
    for _ in range(rounds):
        times["plain"].append(taken("timed.py", "2000"))
        times["watched"].append(taken(*doctor, "--keep-running", "timed.py", "2000"))
        times["short"].append(taken("timed.py", "20"))
        times["stopped"].append(taken(*doctor, "--steps", "20", "timed.py", "2000"))
    whole = {name: median(one for one, _, _ in rows) for name, rows in times.items()}
    late = {name: median(one for _, one, _ in rows) for name, rows in times.items()}
    slower = [watched[1] / plain[1] - 1 for watched, plain in zip(times["watched"], times["plain"], strict=True)]
    return {
        "process seconds of 20 steps": whole["short"],
        "process seconds of the same under the doctor": whole["stopped"],
        "the doctor's own": whole["stopped"] - whole["short"],
        "milliseconds of a step": late["plain"],
        "milliseconds of a step after the doctor was done": late["watched"],
        "slower": median(slower),
        "slower in each round": slower,
        "the same bits": len({weights for name in ("plain", "watched") for _, _, weights in times[name]}) == 1,
    }


def late_step(kind: str, watched: bool) -> tuple[float, str]:
    """Milliseconds of a step after the first half of 300, and the weights at the end."""
    from spellout.doctor.scripts.running import run_script
    from spellout.doctor.scripts.session import Session
    from spellout.doctor.scripts.starting import examine_script

    path, words = FOLDER / "timed.py", ["300", kind]
    with redirect_stdout(io.StringIO()) as text:
        if watched:
            examine_script(str(path), words, Session(stops=False, seconds=0.0))
        else:
            run_script(path, words)
    printed = dict(line.split(": ") for line in text.getvalue().splitlines() if ": " in line)
    return float(printed["milliseconds a step"]), printed["weights"]


def after(rounds: int = 5) -> dict[str, Any]:
    """How much slower a step is once the doctor is done, in pairs, each run in a child of its own."""
    import torch

    import spellout.doctor.scripts.starting  # noqa: F401  # loaded once, for all children

    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for kind in KINDS:
        pairs = []
        for number in range(rounds):
            pair = {}
            for watched in (False, True)[:: 1 if number % 2 else -1]:
                with get_context("fork").Pool(1) as pool:
                    pair[watched] = pool.apply(late_step, (kind, watched))
            pairs.append((pair[False], pair[True]))
        rows[kind] = {
            "milliseconds of a step": median(plain for (plain, _), _ in pairs),
            "slower": median(watched / plain - 1 for (plain, _), (watched, _) in pairs),
            "slower in each round": [round(watched / plain - 1, 3) for (plain, _), (watched, _) in pairs],
            "the same bits": len({weights for pair in pairs for _, weights in pair}) == 1,
        }
        print(kind, rows[kind], flush=True)
    return rows


def main() -> None:
    """Print a row for each, and one JSON object."""
    if sys.argv[1:] == ["--after"]:
        print(json.dumps({**after(), **machine()}))
        return
    if sys.argv[1:] == ["--cost"]:
        print(json.dumps({**cost(), **machine()}))
        return
    rows = {}
    for script in sys.argv[1:] or SCRIPTS:
        rows[script] = examined(script)
        print(script, rows[script], flush=True)
    faulty = [row for script, row in rows.items() if SCRIPTS[script]]
    sums = {
        "scripts": len(rows),
        "captured": sum(row["captured"] for row in rows.values()),
        "faulty": len(faulty),
        "named": sum(bool(row.get("named")) for row in faulty),
        "accused": sum(bool(row.get("accused")) for row in rows.values()),
    }
    print(json.dumps({**sums, "rows": rows, **machine()}))


if __name__ == "__main__":
    main()
