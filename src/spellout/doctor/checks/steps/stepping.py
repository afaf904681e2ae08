"""The user's step is watched for stale gradients, and for things done in the wrong order (families 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ... import graph
from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.account import Thrown
from ...tape import Call, Tape

STALE = Page(
    id="stale-gradients",
    number=5,
    title="gradients are not zeroed: the optimizer uses old ones again",
    why="`.backward()` adds to `.grad`. Without `zero_grad` every step follows the sum of all gradients so far, "
    "which acts like a growing learning rate with endless momentum.",
    evidence="`.grad` was not zero when a new gradient arrived, "
    "although the optimizer had stepped since it was filled.",
    legitimate="Never for accumulation, which zeroes after each optimizer step; "
    "eligibility traces in reinforcement learning keep old gradients on purpose.",
    cure="Call `optimizer.zero_grad()` once between one optimizer step and the next backward pass.",
)
REPEATED = Page(
    id="step-without-backward",
    number=5,
    title="the optimizer steps again on gradients that it has already used",
    why="The second step follows the same gradient from a place where it no longer holds.",
    evidence="No gradient arrived between two steps of one optimizer, and `.grad` was not zero.",
    legitimate="Optimizers that look ahead on purpose.",
    cure="Call `loss.backward()` before every `optimizer.step()`, and `step()` once.",
)
ZEROED = Page(
    id="zeroed-before-step",
    number=6,
    title="the optimizer steps where there is no gradient: zeroed, or not computed yet",
    why="The optimizer sees no gradient, so nothing is learned.",
    evidence="Gradients that were not zero arrived, and all were zero or None when the optimizer stepped.",
    legitimate="Masking the gradients of some parameters; then others still have one.",
    cure="Order: zero_grad, forward, backward, step.",
)
NEVER = Page(
    id="optimizer-never-steps",
    number=6,
    title="the optimizer never steps",
    why="Gradients are computed and thrown away; the parameters stay what they are.",
    evidence="Gradients arrived and were zeroed again, and no optimizer stepped and no parameter moved.",
    legitimate="A step that only measures gradients.",
    cure="Call `optimizer.step()` after `loss.backward()`.",
)
CLIP = Page(
    id="clip-after-step",
    number=6,
    title="gradients are clipped where it has no effect",
    why="Clipping must happen after backward and before the step; elsewhere it changes gradients nobody uses.",
    evidence="Every optimizer step came with no clipping since the last gradient had arrived, "
    "yet gradients were clipped.",
    legitimate="Measuring the norm; use `max_norm=inf`, or `torch.nn.utils.get_total_norm`.",
    cure="Order: backward, clip_grad_norm_, step.",
)
SCHEDULER = Page(
    id="scheduler-before-optimizer",
    number=6,
    title="the learning-rate scheduler steps before the optimizer",
    why="The first value of the schedule is never used, and every later one comes a step early.",
    evidence="The scheduler's count went up inside the step before the optimizer's did.",
    legitimate="Learning rates set by hand before the step are not meant.",
    cure="Call `optimizer.step()` first, then `scheduler.step()`.",
)
THROWN = Page(
    id="gradient-thrown-away",
    number=6,
    title="gradients are zeroed before the optimizer has stepped on them",
    why="Of the parts of an accumulated batch only the last one counts; the work for the others is lost.",
    evidence="Before every step a backward pass gave gradients that nothing read, and that were gone at the next.",
    legitimate="Gradients of another loss that only some other part is to learn from are not meant.",
    cure="Call `zero_grad()` once for each `step()`, not for each `backward()`.",
)
PAGES = (STALE, REPEATED, ZEROED, NEVER, CLIP, SCHEDULER, THROWN)


def check(patient: Patient) -> Iterator[Finding]:
    """All orders."""
    for look in (_stale, _order, _clip, _scheduler, _thrown):
        yield from look(patient.recording)
    if not patient.recording.calls and patient.case.step is None and not patient.live:
        patient.missing.append("zero_grad, the order of the step, train and eval mode: give step=")


def _stale(recording: Recording) -> Iterator[Finding]:
    bad = [step for step in recording.steps if step.stale]
    moved = [account for account in recording.accounts.values() if account.moved and account.stale]
    if bad:
        worst = max(bad, key=lambda step: step.stale_share)
        names = ", ".join(account.name for account in worst.stale[:3])
        yield STALE.found(
            f"{len(worst.stale)} parameters ({names}…) stepped with old gradients: "
            f"{worst.stale_share:.0%} of the norm is older than the previous step",
            worst.where,
        )
    elif moved and not recording.steps:
        yield STALE.found(f"{len(moved)} parameters, updated by hand, still hold the gradient of the update before")
    # Only where every gradient was used before: a part that rests for a step, as in a GAN, is no mistake.
    repeated = next((step for step in recording.steps if step.repeated and step.repeated == len(step.driven)), None)
    if repeated is not None:
        evidence = f"{repeated.repeated} parameters, no new gradient since the last step"
        yield REPEATED.found(evidence, repeated.where)


def _order(recording: Recording) -> Iterator[Finding]:
    for optimizer in recording.optimizers:
        steps = recording.steps_of(optimizer)
        empty = [step for step in steps if step.zeroed and not step.driven]
        if empty:
            yield ZEROED.found(f"{len(empty)} of {len(steps)} steps saw no gradient at all", empty[0].where)
    moved = any(account.moved for account in recording.accounts.values())
    if not recording.arrivals or recording.steps or moved or recording.calls < 2 or recording.strangers:
        return
    if recording.lost:
        yield NEVER.found(f"in {recording.calls} calls {len(set(recording.lost))} parameters lost their gradients")
    else:
        yield NEVER.found(
            f"gradients arrived in {recording.calls} calls and nothing moved; "
            "an accumulation over more calls would look the same",
            severity="warning",
        )


def _clip(recording: Recording) -> Iterator[Finding]:
    if not recording.clips or not recording.steps:
        return
    for step in recording.steps:
        # A tick counts the calls on the tape, so it says what came between a gradient and the step.
        arrived = max((tick for tick in recording.arrivals if tick <= step.tick), default=-1)
        if step.closure or any(arrived <= call.index < step.tick for call in recording.clips):
            return
    yield CLIP.found(
        f"{len(recording.steps)} optimizer steps, none with clipping between backward and step",
        recording.clips[0].where,
    )


def _scheduler(recording: Recording) -> Iterator[Finding]:
    # Only the first step tells: from then on a scheduler that steps last looks like one that steps first.
    for step in recording.steps[:1]:
        mine = zip(recording.schedulers, recording.counts, strict=True)
        before = [count for one, count in mine if one.optimizer is step.optimizer]
        if any(now > then for now, then in zip(step.schedulers, before, strict=True)):
            yield SCHEDULER.found(
                f"count {before} before the user's step, {step.schedulers} at its first optimizer step",
                recording.steps[-1].where,
            )


def _thrown(recording: Recording) -> Iterator[Finding]:
    """A backward pass all of whose gradients went, before each of the steps."""
    tape, steps = recording.tape, recording.placed
    if tape is None or len(steps) < 2 or any(step.closure for step in steps):
        return
    lost: dict[int, list[Thrown]] = {}
    for one in recording.thrown:
        lost.setdefault(one.since, []).append(one)
    whole = [
        since
        for since, gone in lost.items()
        if len(gone) == recording.arrivals.count(since) and _is_waste(recording, tape, gone)
    ]
    ticks = [-1, *(step.tick for step in steps)]
    counts = [sum(after < since <= until for since in whole) for after, until in pairwise(ticks)]
    if all(counts):
        passes = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        yield THROWN.found(
            f"{passes} backward passes for nothing before each of {len(steps)} steps", steps[0].where
        )


def _is_waste(recording: Recording, tape: Tape, gone: list[Thrown]) -> bool:
    """Did the pass serve nothing else: no input, no other model, and nobody who read the gradients?"""
    one = gone[0]
    root = next((call for call in reversed(tape.calls[: one.since]) if call.name == "backward"), None)
    if root is None or not all(id(leaf) in recording.accounts for leaf in graph.leaves(root.inputs[0])):
        return False
    known = {one.identity: one.account.parameter.shape for one in gone}
    return not any(
        not given.requires_grad and known.get(id(given)) == given.shape
        for call in tape.calls[one.since : one.until]
        if not _zeroes(call) and not call.clips
        for given in call.inputs
    )


def _zeroes(call: Call) -> bool:
    return call.name in ("zero", "_foreach_zero") or (call.name == "detach" and call.changed is not None)
