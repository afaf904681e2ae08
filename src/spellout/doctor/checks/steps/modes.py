"""Train mode and eval mode (families 2, 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...names import RANDOM
from ...patient import Patient
from ...recording import Forward, Recording
from ...report import Finding, Page
from ...tape import Call, Tape, tensors_in

TRAIN_IN_EVAL = Page(
    id="training-in-eval-mode",
    number=2,
    severity="error",
    title="the model is trained in eval mode",
    why="Dropout is off and BatchNorm neither uses nor updates the statistics of the batch.",
    evidence="In the user's step a forward pass with gradients ran while every module was in eval mode, and "
    "train mode "
    "would have computed something else.",
    legitimate="Fine-tuning with all statistics frozen; leave the model itself in train mode and freeze its "
    "BatchNorms.",
    cure="Call `model.train()` at the beginning of the step (an evaluation before it may have left eval mode on).",
)
EVAL_IN_TRAIN = Page(
    id="evaluating-in-train-mode",
    number=3,
    severity="error",
    title="the model is evaluated in train mode",
    why="Dropout makes the result noisy and worse; BatchNorm uses the statistics of the batch and learns from "
    "test data.",
    evidence="In the user's evaluation a forward pass ran in train mode, where eval mode would have computed "
    "something else.",
    legitimate="Monte Carlo dropout, measured on purpose.",
    cure="Call `model.eval()` before evaluating and `model.train()` after it.",
)
UNGRADED = Page(
    id="no-grad-forward-in-train-mode",
    number=3,
    severity="error",
    title="a measurement inside the step runs in train mode",
    why="It updates BatchNorm's running statistics (with data that may not be training data) and drops units at "
    "random.",
    evidence="Inside the step a forward pass of the whole model without gradients ran in train mode, besides one "
    "with gradients.",
    legitimate="Estimating statistics on purpose; a target network is another module and is not meant.",
    cure="Use the output of the training pass, or wrap the measurement in `model.eval()` … `model.train()`.",
)
RANDOM_IN_EVAL = Page(
    id="random-in-eval-mode",
    number=4,
    severity="error",
    title="the output is random in eval mode",
    why="The same input gives another answer every time; evaluation measures noise.",
    evidence="Two forward passes in eval mode with different random seeds differ; the first call that draws "
    "numbers is named.",
    legitimate="Monte Carlo dropout; sampling with a learned scale (a variational autoencoder) is only a note.",
    cure="`F.dropout(x, p, training=self.training)`, or `nn.Dropout`; add noise only `if self.training`.",
)
REMEMBERS = Page(
    id="state-between-calls",
    number=4,
    severity="warning",
    title="the output depends on earlier calls",
    why="Samples that were seen before change the answer; shuffled batches then mix unrelated sequences.",
    evidence="Two forward passes in eval mode on the same input and random state differ.",
    legitimate="Recurrent nets that carry their state from one chunk of a text to the next.",
    cure="Reset the state for every batch, or pass it in and out.",
)
PAGES = (TRAIN_IN_EVAL, EVAL_IN_TRAIN, UNGRADED, RANDOM_IN_EVAL, REMEMBERS)


def check_modes(patient: Patient, recording: Recording) -> Iterator[Finding]:
    """The modes of the forward passes in the user's step and evaluation."""
    if not patient.mode_matters:
        return
    steps = [forward for forward in recording.forwards if forward.phase == "step"]
    learning = _learning(steps, recording.arrivals)
    wrong = [forward for forward in learning if forward.all_eval]
    if wrong:
        evaluated = any(
            forward.phase == "evaluate" and forward.tick < wrong[0].tick for forward in recording.forwards
        )
        left = "; the evaluation before it left eval mode on" if evaluated and not learning[0].all_eval else ""
        yield TRAIN_IN_EVAL.found(
            f"{len(wrong)} of {len(learning)} training passes in eval mode{left}", wrong[0].where
        )
    measured = [forward for forward in recording.forwards if forward.phase == "evaluate"]
    wrong = [forward for forward in measured if forward.training]
    if wrong:
        yield EVAL_IN_TRAIN.found(
            f"{len(wrong)} of {len(measured)} passes of the evaluation in train mode", wrong[0].where
        )
    wrong = [forward for forward in steps if forward.training and not forward.tracking]
    if wrong and learning:
        yield UNGRADED.found(f"{len(wrong)} passes without gradients beside {len(learning)} with", wrong[0].where)


def _learning(forwards: list[Forward], arrivals: list[int]) -> list[Forward]:
    """The passes that gradients came from: the last with gradients before each arrival."""
    passes: dict[int, Forward] = {}
    for tick in sorted(set(arrivals)):
        before = [forward for forward in forwards if forward.tracking and forward.tick <= tick]
        if before:
            passes[id(before[-1])] = before[-1]
    return list(passes.values())


def check_random(patient: Patient) -> Iterator[Finding]:
    """Is the output a function of the input in eval mode?"""
    one, other = patient.settled
    if one.error or other.error or not _difference(one.output, other.output):
        return
    with patient.borrowed(seed=1, train=False), torch.no_grad():
        one = patient.run(patient.batch, loss=False, taped=False)
        torch.manual_seed(1)
        again = patient.run(patient.batch, loss=False, taped=False)
    with patient.borrowed(seed=2, train=False), torch.no_grad():
        other = patient.run(patient.batch, loss=False, taped=False)
    if one.error or again.error or other.error:
        return
    moved = _difference(one.output, again.output)
    if moved:
        yield REMEMBERS.found(f"largest difference {moved:.3g} between two calls on the same input")
        return
    moved = _difference(one.output, other.output)
    if moved:
        call = _first_random(patient)
        learned = call is not None and _scale_is_learned(patient.evaluation.tape, call)
        what = f"`{call.name}` draws numbers; " if call is not None else ""
        more = "; their scale is learned, as in a variational autoencoder" if learned else ""
        yield RANDOM_IN_EVAL.found(
            f"{what}largest difference {moved:.3g} between two seeds{more}",
            call.where if call is not None else None,
            severity="note" if learned else "error",
        )


def _difference(left: object, right: object) -> float:
    pairs = zip(tensors_in(left), tensors_in(right), strict=False)
    sizes = [
        float((a.float() - b.float()).abs().max()) for a, b in pairs
        if a.shape == b.shape and a.numel() and not torch.equal(a.nan_to_num(), b.nan_to_num())
    ]  # fmt: skip
    return max(sizes, default=0.0)


def _first_random(patient: Patient) -> Call | None:
    return next((call for call in patient.evaluation.tape.calls if _draws(call)), None)


def _draws(call: Call) -> bool:
    if call.name not in RANDOM or call.phase != "model":
        return False
    if "dropout" in call.name and call.name != "dropout1d":
        return bool(call.argument(2, "training", True)) and call.argument(1, "p", 0.5) != 0
    return True


def _scale_is_learned(tape: Tape, call: Call) -> bool:
    """Noise times something that has a gradient: reparameterization, or noisy weights."""
    if call.name == "gumbel_softmax":
        return True
    if any(tensor.requires_grad for tensor in call.inputs) and call.name in ("normal", "bernoulli", "multinomial"):
        return True  # samples of a learned distribution
    noise = call.outputs
    for use in tape.calls[call.index :]:
        others = [tensor for tensor in use.inputs if not any(tensor is one for one in noise)]
        if len(others) == len(use.inputs):
            continue
        if use.name == "mul" and any(tensor.requires_grad for tensor in others):
            return True
        if use.name in ("to", "float", "view", "reshape", "mul", "log", "neg", "clamp", "sub"):
            noise = [*noise, *use.outputs]
    return False
