"""What passes were for, training, a measurement or data; and how much of the tape is kept to tell.

A pass is a measurement if its output was compared with something given, one number was made of that, and no
backward pass rests on it, neither by its graph nor by numbers. That shows only later: after two more steps of
an optimizer, or at the end of the script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from ..checks.updates.objective import KNOWN
from ..recording import Recording
from ..sights.events import Forward
from ..tape import Call
from .capture import Backward
from .hooks import Hooks
from .replay import ancestors, is_live

_COMPARES = KNOWN | {"eq", "ne", "sub", "rsub", "isclose"}
_MOST = 2**28
"""With so many numbers the tape is thrown away before the first backward pass, and stopped after it."""
_LATER = 2
"""Steps of one optimizer, after which the weights that a graph needs are gone."""


@dataclass(frozen=True, eq=False)
class Open:
    """A pass of which it is not known yet what it was for."""

    recording: Recording
    forward: Forward
    outputs: Sequence[torch.Tensor]

    @property
    def is_late(self) -> bool:
        """Would a backward pass come too late for it?"""
        after = [step for step in self.recording.steps if step.order > self.forward.order]
        return max(Counter(id(step.optimizer) for step in after).values(), default=0) >= _LATER


class Reel:
    """The tape of a session: whole for the first steps, then the last two steps, and then the first evaluation."""

    def __init__(self, hooks: Hooks, recordings: Callable[[], list[Recording]]) -> None:
        self.hooks, self.tape, self.recordings = hooks, hooks.tape, recordings
        self.evaluating: bool | None = None
        """Does the first evaluation run? None: it has not begun."""
        self._open: list[Open] = []
        self._ungraded: list[tuple[Forward, Sequence[torch.Tensor]]] = []
        self._making: set[str | None] = set()
        """The lines whose passes make data."""
        self._kept = self._last = 0
        """Up to where the tape stays, once it rolls; and the place of the last step on it."""
        self._counted = self._numbers = 0

    def begin_again(self) -> None:
        """Something new is trained: its steps are kept, too."""
        self.tape.paused, self.tape.rolls, self._numbers = False, False, 0

    def spare(self) -> None:
        """Bound the memory of what is written down."""
        calls = self.tape.calls
        self._numbers += _numbers(calls[self._counted :])
        self._counted = len(calls)
        if self._numbers > _MOST or self._counted > 100_000:
            if self.recordings():
                self.tape.paused = True
            else:
                self.hooks.forget()
            self._counted = self._numbers = 0

    def hears(self, phase: str) -> bool:
        """The first evaluation goes on the tape, also where the steps are on it no more. True: it is over."""
        if phase == "evaluate" and self.evaluating is None and self.recordings():
            self.evaluating, self.tape.paused = True, False
        elif phase == "step" and self.evaluating:
            self.evaluating = False
            return True
        return False

    def rest(self) -> None:
        """There are enough steps on the tape: an evaluation is waited for, if none was seen yet."""
        if self.evaluating is False:
            self.tape.paused = True
        elif not self.tape.rolls:
            self.tape.rolls = True
            self._kept = self._last = len(self.tape.calls)

    def left(self, recording: Recording, outputs: Sequence[torch.Tensor], in_closure: bool) -> None:
        """The recording's last pass is over, and its backward pass, if one is to come, has not come."""
        forward = recording.forwards[-1]
        if forward.where in self._making:
            forward.phase = "data"
        elif not forward.tracking:
            self._ungraded.append((forward, outputs))
        elif not in_closure and not self.tape.paused:
            self._open.append(Open(recording, forward, outputs))

    def tell_data(self, backward: Backward) -> None:
        """Passes without gradients from which this loss was computed made data."""
        outputs = {id(one): forward for forward, made in self._ungraded for one in made}
        if not outputs:
            return
        for call in ancestors(backward.calls, [backward.loss]):
            for one in call.inputs:
                forward = outputs.get(id(one))
                if forward is not None:
                    forward.phase = "data"
                    self._making.add(forward.where)
        self._ungraded.clear()

    def stepped(self) -> bool:
        """A step is over: what was before the step before it is taken off. True: an evaluation was seen."""
        found = [one for one in self._settle() if one.phase == "evaluate"]
        if found and self.evaluating is None:
            self.evaluating = False
            later = [one.tick for each in self.recordings() for one in each.trained if one.tick > found[-1].tick]
            if self.tape.rolls and later and self.hooks.at_rest:
                self._cut(min(later), len(self.tape.calls))  # where training goes on
            return True
        if self.tape.rolls and not self.tape.paused and not self.evaluating and self.hooks.at_rest:
            self._cut(self._kept, self._last)
            self._last = len(self.tape.calls)
        return False

    def end(self, whole: bool) -> None:
        """Of what was kept last, only an evaluation stays; `whole`: the script has come to its end."""
        if whole:
            self._settle(ended=True)
        measured = [one for each in self.recordings() for one in each.measured if one.tick >= self._kept]
        if self.tape.rolls and not self.tape.paused and not measured:
            self._cut(self._kept, len(self.tape.calls))

    def _cut(self, begin: int, end: int) -> None:
        counted = min(end, self._counted)
        self._numbers -= _numbers(self.tape.calls[begin:counted])
        self._counted -= max(0, counted - begin)
        self.hooks.cut(begin, end)
        for one in self.recordings():
            one.forget(begin, end)

    def _settle(self, ended: bool = False) -> list[Forward]:
        """The measurements among the passes by now; they are marked."""
        late = [one for one in self._open if ended or one.is_late]
        if not late:
            return []
        self._open = [one for one in self._open if one not in late]
        if self.tape.paused:
            return []
        calls = self.tape.calls
        used = _used(calls[min(one.forward.tick for one in late) :])
        found = [one for one in late if not any(id(made) in used for made in one.outputs)]
        found = [one for one in found if _is_judged(calls[one.forward.tick :], one.outputs)]
        found = [one for one in found if not _is_skipped(one, found)]
        for one in found:
            one.forward.idle = True
        for one in found:
            if _follows_a_step(one):
                one.forward.phase = "evaluate"
        return [one.forward for one in found]


def _numbers(calls: Iterable[Call]) -> int:
    return sum(out.numel() for call in calls for out in call.outputs)


def _used(calls: Sequence[Call]) -> set[int]:
    """The ids of all that a gradient was asked of, and of what that was computed from."""
    ends = [one for call in calls if call.name in ("backward", "grad") for one in call.inputs]
    kept = ancestors(calls, ends)
    return {id(one) for one in ends} | {id(one) for node in kept for one in node.inputs}


def _is_judged(calls: Iterable[Call], outputs: Sequence[torch.Tensor]) -> bool:
    """Is one number made of the comparison of these outputs with something that is given?"""
    derived, compared = set(map(id, outputs)), set[int]()
    for call in calls:
        given = call.inputs
        if not any(id(one) in derived for one in given):
            continue
        others = [one for one in given if id(one) not in derived and not is_live(one) and one.ndim]
        judges = any(id(one) in compared for one in given) or (call.name in _COMPARES and bool(others))
        made = call.outputs
        if judges and any(one.numel() == 1 for one in (*made, *(given if call.name == "item" else ()))):
            return True
        derived.update(map(id, made))
        if judges:
            compared.update(map(id, made))
    return False


def _follows_a_step(one: Open) -> bool:
    """Has an optimizer stepped, and no training pass begun since?"""
    before = [step.order for step in one.recording.steps if step.order < one.forward.order]
    learned = [other.order for other in one.recording.trained if other.order < one.forward.order]
    return bool(before) and before[-1] > max(learned, default=-1)


def _is_skipped(one: Open, found: Sequence[Open]) -> bool:
    """Is it a training pass that the script went on without, as where a loss is not finite?

    It was made by the same calls as those that train; an evaluation in the same loop takes batches of other data.
    """
    same = [other for other in one.recording.trained if other.frames == one.forward.frames]
    same = [other for other in same if all(other is not pending.forward for pending in found)]
    if not same:
        return False
    mine, theirs = one.forward.source, {id(other.source.loader.dataset) for other in same if other.source}
    return mine is None or not theirs or id(mine.loader.dataset) in theirs
