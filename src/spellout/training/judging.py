"""How a training judges its model: meanwhile, to keep the best, and at the end (see `generation.judge`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..data.prepared import Prepared
from ..generation.evaluation import HIDDEN, enough
from ..generation.judge import MEANWHILE, PASS, Judge, Judged
from ..models.contract import LanguageModel

JUDGING = 1 << 29
"""The work of judging a result (see `evaluation.enough`): for three million characters, or fifty thousand words."""
PASS_IN_A_PLAN = PASS >> 3
"""The work of the pass along the training lines, at the end of a training that has little time for it."""


def judging(prepared: Prepared, part: Literal["dev", "test"] = "dev", work: int = JUDGING) -> Sequence[str]:
    """Choose the lines of a part that judge: the first ones, as many as so much work allows, or all.

    Results on lines that were given are to compare with what others publish: then all judge, whatever it costs.
    """
    lines = {"dev": prepared.split.dev, "test": prepared.split.test}[part]
    return lines if part in prepared.given and work == JUDGING else enough(lines, prepared.vocabulary, work)


class Judging:
    """Judges the models of one training on the dev lines, if there are any."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared, self._judge = prepared, Judge(prepared)
        self._lines = judging(prepared, work=MEANWHILE)
        self._held = self._judge.held_out(self._lines)
        self._known: dict[float, Judged] = {}

    def loss(self, model: LanguageModel) -> float:
        """Judge a model on some of the dev lines: nats per character, as `Judged.loss` says."""
        judged = self._judge.meanwhile(model, self._held)
        self._known[judged.loss] = judged
        return judged.loss

    def described(self, loss: float) -> dict[str, Any]:
        """Give both losses of a model that had this one, as an event holds them."""
        return self._known[loss].to_json()

    def afterwards(self, planned: bool = False) -> float:
        """Say how many times as much work as an evaluation meanwhile the result is, its pass included."""
        if not self._lines:
            return 0.0
        size, stream = self._prepared.vocabulary.size + HIDDEN, len(self._prepared.stream)
        judged = self._lines if planned else judging(self._prepared)
        more = sum(map(len, judged)) if len(judged) > len(self._lines) else 0
        meanwhile = sum(map(len, self._lines)) + min(stream, MEANWHILE // size)
        return (more + min(stream, (PASS_IN_A_PLAN if planned else PASS) // size)) / meanwhile

    def result(self, model: LanguageModel, loss: float | None = None, planned: bool = False) -> Judged | None:
        """Judge a model at the end, None without dev lines. `loss` is what it had meanwhile, if it was judged.

        In a `planned` training there is no time for more lines.
        """
        lines = self._lines if planned else judging(self._prepared)
        if not lines:
            return None
        known = self._known.get(loss or 0.0) if len(lines) == len(self._lines) else None
        return self._judge(model, self._judge.held_out(lines), known, PASS_IN_A_PLAN if planned else PASS)


def losses_of(judged: Judged | None) -> dict[str, Any]:
    """Give the losses of a model, as it is and as a model of new lines, as JSON holds them."""
    new = judged and judged.new
    return {"dev": judged and judged.as_it_is.to_json(), "new_lines": new and new.to_json()}
