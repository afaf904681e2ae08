"""Does the same do the same again: the model in eval mode, the step from the same state (families 4 and 25)?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from ...case import UsersError, difference, users_code
from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...snapshot import borrowed
from ...tape import DROPOUTS, RANDOM, Call, Tape

RANDOM_IN_EVAL = Page(
    id="random-in-eval-mode",
    number=4,
    title="the output is random in eval mode",
    why="The same input gives another answer every time; evaluation measures noise.",
    evidence="Two forward passes in eval mode with different random seeds differ; "
    "the first call that draws numbers is named.",
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
DIFFERS = Page(
    id="step-not-reproducible",
    number=25,
    severity="warning",
    title="the step does something else each time from the same state",
    why="A run cannot be repeated or resumed, and a mistake in it cannot be searched for.",
    evidence="The step was run twice from the same parameters, optimizer state and random state, "
    "on the same inputs, and parameters differ.",
    legitimate="Fast nondeterministic kernels on a GPU.",
    cure="Take random numbers from generators that are seeded; keep no state outside modules and optimizers.",
)
PAGES = (RANDOM_IN_EVAL, REMEMBERS, DIFFERS)


def check(patient: Patient) -> Iterator[Finding]:
    """The output in eval mode, and the user's step once more."""
    yield from _output(patient)
    if patient.case.step is None or patient.recording.error is not None:
        return
    if patient.brief:
        patient.missing.append("whether the step does the same again: the model is large; thorough=True asks it")
    else:
        yield from _step(patient, patient.case.step)


def _output(patient: Patient) -> Iterator[Finding]:
    """Is the output a function of the input in eval mode?"""
    if not patient.case.has_modes or not difference(*patient.settled):
        return
    # The second of the two passes had another seed and another past; now each of these alone.
    (one, again), (other,) = patient.in_eval(1, 1), patient.in_eval(2)
    between_calls, between_seeds = difference(one, again), difference(one, other)
    if between_calls:
        spread = float(one.main.detach().float().std()) if one.main.numel() > 1 else 1.0
        yield REMEMBERS.found(
            f"largest difference {between_calls:.3g} between two calls on the same input",
            # A slow average that goes on in eval mode moves the answer by a trifle.
            severity="warning" if between_calls > 1e-3 * spread else "note",
        )
    elif between_seeds:
        tape = patient.trial(train=False).tape
        call = next((call for call in tape.calls if _draws(call)), None)
        learned = call is not None and _scale_is_learned(tape, call)
        what = f"`{call.name}` draws numbers; " if call is not None else ""
        more = "; their scale is learned, as in a variational autoencoder" if learned else ""
        yield RANDOM_IN_EVAL.found(
            f"{what}largest difference {between_seeds:.3g} between two seeds{more}",
            call.where if call is not None else None,
            severity="note" if learned else "error",
        )


def _draws(call: Call) -> bool:
    if call.name not in RANDOM or call.phase != "model":
        return False
    return call.name not in DROPOUTS or call.drops > 0


def _scale_is_learned(tape: Tape, call: Call) -> bool:
    """Noise times something that has a gradient: reparameterization, or noisy weights."""
    if call.name == "gumbel_softmax":
        return True
    if any(tensor.requires_grad for tensor in call.inputs) and call.name in ("normal", "bernoulli", "multinomial"):
        return True  # samples of a learned distribution
    noise = {id(tensor) for tensor in call.outputs}
    for use in tape.calls[call.index :]:
        others = [tensor for tensor in use.inputs if id(tensor) not in noise]
        if len(others) == len(use.inputs):
            continue
        if use.name == "mul" and any(tensor.requires_grad for tensor in others):
            return True
        if use.name in ("to", "float", "view", "reshape", "mul", "log", "neg", "clamp", "sub"):
            noise |= {id(tensor) for tensor in use.outputs}
    return False


def _step(patient: Patient, step: Callable[[], Any]) -> Iterator[Finding]:
    """Run the step once more as the first recorded call ran; fresh data from a loader is not held against it."""
    recording = patient.recording
    again = Recording(patient.model, patient.optimizers, recording.schedulers, calls=1)
    with borrowed(*patient.roots, recording.schedulers), again:
        try:
            with users_code():
                step()
        except UsersError:  # then it is not this that differs
            return
        now = {name: p.detach().clone() for name, p in patient.parameters()}
    first = recording.inputs
    if not first or len(again.inputs) != len(first) or not all(map(torch.equal, again.inputs, first)):
        return
    differ = {
        name: float((old - now[name]).abs().max())
        for name, old in recording.after_first.items()
        if name in now and not torch.equal(old.nan_to_num(), now[name].nan_to_num())
    }
    if differ:
        yield DIFFERS.found(
            f"{len(differ)} parameters differ by up to {max(differ.values()):.3g}; first {next(iter(differ))}"
        )
