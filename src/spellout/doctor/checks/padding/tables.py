"""Is the embedding's `padding_idx` the padding (family 27)?"""

from __future__ import annotations

from collections.abc import Iterator

from ...patient import Patient
from ...report import Finding, Page
from .places import padding_in

REAL = Page(
    id="padding-idx-is-a-token",
    number=27,
    title="padding_idx is a real token",
    why="Its row of the table is zero and never learns; the padding's row does.",
    evidence="Where that token stands in the rows, and which token fills them up.",
    legitimate="Never, where another token is the padding; a token of its own for unknown words learns nothing.",
    cure="`padding_idx=` the token that fills the rows up.",
)
PAGES = (REAL,)


def check(patient: Patient) -> Iterator[Finding]:
    """Every embedding with a padding_idx on the tape of the training pass."""
    for call in patient.training.tape.calls:
        if call.name != "embedding" or len(call.inputs) < 2:
            continue
        index, x = call.argument(2, "padding_idx"), call.inputs[0]
        if not isinstance(index, int) or x.ndim != 2:
            continue
        index %= call.inputs[1].shape[0]
        count, padding = int((x == index).sum()), padding_in(x)
        if count and padding is not None and padding.value != index:
            evidence = (
                f"padding_idx={index} stands at {count} real places; the rows are filled up with {padding.value}"
            )
            yield REAL.found(evidence, call.where)
        elif padding is None and count >= 3 and not bool((x[:, [0, -1]] == index).any()):
            evidence = f"padding_idx={index} stands at {count} places, at no end of a row"
            yield REAL.found(evidence, call.where, "note")
