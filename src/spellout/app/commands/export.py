"""`spellout export RUN -o FILE`: one file that works without us, made from the model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...export.targets import STEPS_ONLY, Weights
from .. import terminal
from ..options import Flag, Json, Out, RunFolder, newest
from ..progress import progress_bar
from ..workflows import load_run, name_of_model

if TYPE_CHECKING:
    from ...export.portable import Portable


def export(
    run: RunFolder | None = None,
    /,
    *,
    out: Out,
    weights: Weights = "int8",
    with_lines: Flag = False,
    json: Json = False,
) -> None:
    """Write the model of a run folder (default: the newest under ./runs) as one file that works without spellout.

    spellout export RUN -o names.html

    Parameters
    ----------
    out
        FILE.html is a page that makes lines in any browser, FILE.py a module of Python, FILE.h a header for C99,
        FILE.onnx a step for onnxruntime. A file that is there is written anew.
    weights
        How they are stored. With int8 and float16, counts that say little are left out until the file is small.
    with_lines
        Also write the training lines, all of them readable.
    """
    from ...api import export as export_run
    from ...export.targets import target_of
    from ...training.runs.places import check_file

    target_of(out)
    check_file(out)
    loaded = load_run(run or newest())
    with progress_bar(None, "exporting") as advance:
        portable = export_run(
            *(loaded, out),
            weights=weights,
            with_lines=with_lines,
            model=name_of_model(loaded),
            saying=lambda what: advance(0, what),
        )
    size = out.stat().st_size
    if json:
        terminal.print_json(_as_json(portable, str(out), size))
    else:
        terminal.note(_sentence(portable, str(out), size))


def _as_json(portable: Portable, out: str, size: int) -> dict[str, Any]:
    bloom = portable.known
    known = None if bloom is None else {"bytes": len(bloom.bits), "hashes": bloom.hashes, "error": bloom.error}
    return {"file": out, "bytes": size, **portable.about, "known": known, "with_lines": bool(portable.lines)}


def _sentence(portable: Portable, out: str, size: int) -> str:
    about = portable.about
    loss = f"{about['change']:+.4f} nats per character on lines that it makes"
    if about["nats"] is not None:
        loss = f"{about['nats']:.4f} nats per character before, {about['nats_here']:.4f} as it is stored"
    lines = "no training lines were kept, so it cannot tell which lines are new"
    if Path(out).suffix.lower() in STEPS_ONLY:
        lines = "to draw lines with it, and to leave out known ones, is up to the program that runs it"
    elif portable.known is not None:
        wrong = f"wrong in 1 of {round(1 / portable.known.error):,}" if portable.known.error else "never wrong"
        lines = f"known lines are left out by a Bloom filter of {len(portable.known.bits):,} bytes, {wrong}"
    if portable.lines:
        lines += f"; its {len(portable.lines):,} training lines are in it"
    if portable.known is not None and about.get("held_out") and Path(out).suffix.lower() not in STEPS_ONLY:
        lines += f"; {about['held_out']:,} lines that were held out of the training are not kept, so not left out"
    return f"wrote {out}: {size:,} bytes, weights in {about['weights']}, {loss}; the plain model: {lines}"
