"""The user's own step and evaluation are watched for train mode and eval mode (families 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterator

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Forward

TRAIN_IN_EVAL = Page(
    id="training-in-eval-mode",
    number=2,
    title="the model is trained in eval mode",
    why="Dropout is off and BatchNorm neither uses nor updates the statistics of the batch.",
    evidence="In the user's step a forward pass with gradients ran while every module was in eval mode, "
    "and train mode would have computed something else.",
    legitimate="Fine-tuning with all statistics frozen; "
    "leave the model itself in train mode and freeze its BatchNorms.",
    cure="Call `model.train()` at the beginning of the step (an evaluation before it may have left eval mode on).",
)
EVAL_IN_TRAIN = Page(
    id="evaluating-in-train-mode",
    number=3,
    title="the model is evaluated in train mode",
    why="Dropout makes the result noisy and worse; "
    "BatchNorm uses the statistics of the batch and learns from test data.",
    evidence="In the user's evaluation a forward pass ran in train mode, "
    "where eval mode would have computed something else.",
    legitimate="Monte Carlo dropout, measured on purpose.",
    cure="Call `model.eval()` before evaluating and `model.train()` after it.",
)
UNGRADED = Page(
    id="no-grad-forward-in-train-mode",
    number=3,
    title="a measurement inside the step runs in train mode",
    why="It updates BatchNorm's running statistics (with data that may not be training data) "
    "and drops units at random.",
    evidence="Inside the step a forward pass of the whole model without gradients ran in train mode, "
    "besides one with gradients.",
    legitimate="Estimating statistics on purpose. Passes whose result enters the loss (guessed labels, targets) "
    "are not reported.",
    cure="Use the output of the training pass, or wrap the measurement in `model.eval()` … `model.train()`.",
)
PAGES = (TRAIN_IN_EVAL, EVAL_IN_TRAIN, UNGRADED)


def check(patient: Patient) -> Iterator[Finding]:
    """The modes of the forward passes that were seen."""
    recording = patient.recording
    seen = any(forward.phase == "evaluate" for forward in recording.forwards)
    if not seen and patient.case.evaluate is None and not patient.live:
        script = recording.calls and patient.case.step is None
        patient.missing.append(f"the mode of the evaluation: {'none was seen' if script else 'give evaluate='}")
    if not recording.forwards or not (patient.runs or patient.live) or not patient.mode_matters:
        return
    steps = [forward for forward in recording.forwards if forward.phase == "step"]
    measured = [forward for forward in recording.forwards if forward.phase == "evaluate"]
    learning = _learning(steps, recording.arrivals)
    wrong = [forward for forward in learning if forward.all_eval]
    evaluated = any(forward.tick < wrong[0].tick for forward in measured) if wrong else False
    left = "; the evaluation before it left eval mode on" if evaluated and not learning[0].all_eval else ""
    noisy = [forward for forward in measured if forward.training]
    ungraded = [
        forward
        for forward in steps
        if forward.training and not forward.tracking and learning and not _enters_the_loss(recording, forward)
    ]
    for page, passes, what in (
        (TRAIN_IN_EVAL, wrong, f"of {len(learning)} training passes in eval mode{left}"),
        (EVAL_IN_TRAIN, noisy, f"of {len(measured)} passes of the evaluation in train mode"),
        (UNGRADED, ungraded, f"passes without gradients beside {len(learning)} with"),
    ):
        if passes:
            yield page.found(f"{len(passes)} {what}", passes[0].where)


def _learning(forwards: list[Forward], arrivals: list[int]) -> list[Forward]:
    """The passes that gradients came from: the last with gradients before each arrival."""
    passes: dict[int, Forward] = {}
    for tick in sorted(set(arrivals)):
        before = [forward for forward in forwards if forward.tracking and forward.tick <= tick]
        if before:
            passes[id(before[-1])] = before[-1]
    return list(passes.values())


def _enters_the_loss(recording: Recording, forward: Forward) -> bool:
    """Is what this pass without gradients made used together with something that has a gradient?"""
    if recording.tape is None:
        return False
    parameters = {id(account.parameter) for account in recording.accounts.values()}
    made: dict[int, object] = {}  # the tape keeps the tensors alive
    for call in recording.tape.calls[forward.tick :]:
        tensors = call.inputs
        outs = call.outputs
        if any(id(one) in made for one in tensors):
            if any(one.requires_grad for one in outs):
                return True
            made.update((id(one), one) for one in outs)
        elif any(id(one) in parameters for one in tensors) and not any(one.requires_grad for one in outs):
            made.update((id(one), one) for one in outs)
    return False
