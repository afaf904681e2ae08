"""Where no training was found: what was seen of it, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..place import Place
from ..report import Finding
from ..sights.unreached import Unreached
from ..tape import Tape
from . import failures

_EXAMINE = "hand the model, its loss and a batch to `spellout.doctor.examine`"
_NAME = f"name them: spellout doctor --model NAME --loss NAME SCRIPT, or {_EXAMINE}"


def unheard(unreached: Unreached, tape: Tape, ran: int, elsewhere: int) -> str:
    """What was seen instead of training: modules that `ran` so often, and what other threads did."""
    seen = [f"{kind} stepped {_times(steps)}" for kind, steps in unreached.by_hand]
    seen += [f"modules ran {_times(ran)}"] if ran else []
    blind = _switched_off(tape)
    if blind is not None:
        said = f"gradients were switched off at {blind} and never on again"
        return ", ".join([*seen, f"{said}: `torch.no_grad()` as a block ends by itself"])
    if elsewhere:
        said = f"modules or optimizers ran {_times(elsewhere)} in other threads, which are not heard"
        return f"{said}; train in the main thread, or {_EXAMINE}"
    if unreached.asked:
        return f"{', '.join([*seen, 'a gradient was asked for that reaches nothing trained'])}; {_NAME}"
    if not seen and not tape.calls:
        return "nothing of torch ran; does the script need other arguments?"
    if unreached.by_hand:
        return f"{', '.join(seen)}, on gradients that no `backward` brought (`torch.func`, or by hand); {_EXAMINE}"
    if not seen:
        seen = [f"torch was called {_times(len(tape.calls))}"]
    return f"{', '.join(seen)}, no `backward` and no optimizer's step were heard; if it trains, {_EXAMINE}"


def failed_outside(error: Exception, tape: Tape) -> Iterator[Finding]:
    """The exception of a script of which nothing was found before it was raised."""
    failed, blind = tape.failed, _switched_off(tape)
    backward = failed is not None and failed.name == "backward"
    for one in failures.explain(error, "backward" if backward else "script", failed):
        if backward and blind is not None and "does not require grad" in str(error):
            one = replace(
                one, evidence=f"{one.evidence}: gradients were switched off and never on again", where=blind
            )
        yield one


def _switched_off(tape: Tape) -> str | None:
    if tape.blind is None or tape.blind[0] is None:
        return None
    return Place.of(tape.blind[0], tape.blind[1])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
