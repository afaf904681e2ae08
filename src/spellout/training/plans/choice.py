"""The rules: which model suits a list, with what is there, in so many seconds of training.

They depend on nothing else, so that the same command makes the same lines. Each was measured (bench/plans.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...data.prepared import Prepared
from ...models.candidates import MANY_TOKENS
from ..config import TrainingConfig
from .machine import Machine
from .timing import mixing
from .traits import LONGEST, Traits

TOKENS = {"gru-numpy": 600, "PyTorch": 1200}
"""Of long lines a step learns from so many as have about so many tokens."""
FEWEST = 4
"""And from so many lines at least."""
SHARE = 0.2
"""The part of the seconds that mixing counts may take before a network with memory learns from what is left: with
less time, the n-gram is the better start."""
FEW = 1000
"""A network in PyTorch has too little to learn of fewer lines."""
HALF_A_MINUTE, MINUTES = 30.0, 300.0
"""Seconds from which networks in PyTorch win, and from which large ones do."""
PLENTY = 60.0
"""Seconds that a training of so many steps is taken to have."""
GROWN = 100.0
"""Seconds from which one large network, a step of which is shared by two cores, makes more valid molecules than two
smaller ones side by side: 85 % against 76 % after 150 s, where these have the lower loss (docs/log.md)."""
SEVERAL = 25.0
"""With so many seconds, several networks of NumPy together win; measured on two splits of names."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        specification: the model.
        why: the reason, as the end of a sentence.
        at_once: how many members of an ensemble train side by side.
        threads: how many cores each of them is trained with.
    """

    specification: str
    why: str
    at_once: int = 1
    threads: int = 1

    def of(self, training: TrainingConfig) -> TrainingConfig:
        """Train with its threads, unless more are asked for."""
        return replace(training, threads=max(training.threads, self.threads))

    def __str__(self) -> str:
        """Say what is trained, and why."""
        return f"{self.specification} is trained: {self.why}"


def chosen(traits: Traits, machine: Machine, seconds: float) -> Choice:
    """Choose a network for a list, and what it starts from."""
    start = "counts" if traits.may_be_mixed else "ngram"
    fits = traits.longest <= LONGEST and traits.vocabulary_size <= MANY_TOKENS and traits.lines >= FEW
    if machine.torch and fits and seconds >= HALF_A_MINUTE:
        return _in_pytorch(traits, machine, seconds, start)
    about = f"lines of {traits.length - 1:.0f} tokens on average"
    if traits.long_lines and traits.vocabulary_size <= MANY_TOKENS:
        batch = _lines(traits, TOKENS["gru-numpy"])
        start = "counts" if traits.may_be_mixed and mixing(traits) <= SHARE * seconds else "ngram"
        return Choice(f"gru-numpy:128:batch={batch}+{start}", f"{about} want a memory")
    members = ":128:members=4" if seconds >= SEVERAL else ""
    if traits.longest > LONGEST:
        return Choice(f"mlp{members}+{start}", f"lines of up to {traits.longest:,} tokens are read in windows")
    return Choice(f"mlp{members}+{start}", f"of {about}, a window of the last learns the most in this time")


def chosen_for_training(prepared: Prepared, training: TrainingConfig) -> Choice:
    """Choose what `--model best` stands for on this machine. Steps without seconds are taken for plenty of time."""
    return chosen(Traits.of(prepared), Machine.here(), training.most_seconds or PLENTY)


def _in_pytorch(traits: Traits, machine: Machine, seconds: float, start: str) -> Choice:
    """Choose networks with memory, which win where there is time for PyTorch."""
    large, batch = seconds >= MINUTES, ""
    if traits.long_lines:
        batch = f":batch={_lines(traits, TOKENS['PyTorch'])}"
        start = "ngram"  # mixed counts have a lower loss on molecules, and fewer of those made are valid
        if seconds >= GROWN:
            network = f"gru:320{batch}:dropout={0.2 if large else 0.1}+{start}"
            threads = 1 if machine.gpu else min(2, machine.cores)
            return Choice(network, "PyTorch is there, and time for a large network with memory", threads=threads)
    gru = "gru:256:dropout=0.35:wide=384" if large else "gru:192"
    other = "transformer:96:heads=6:dropout=0.15" if large else "gru:160:wide=256"
    if machine.cores == 1 or machine.gpu:
        return Choice(f"{gru}{batch}+{start}", "PyTorch is there, and time for a network with memory")
    beside = "" if large else "+ngram"
    text = f"{gru}{batch}+{start} & {other}{batch}{beside}"
    return Choice(text, "PyTorch is there, two cores, and time for networks with memory", at_once=2)


def _lines(traits: Traits, tokens: int) -> int:
    """Say how many lines have about so many tokens; a few at least."""
    return max(FEWEST, round(tokens / traits.length))
