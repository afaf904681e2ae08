"""How long things usually take, in seconds, before anything is timed; measured on one core of an Intel Xeon.

What is planned follows from these and from the file, not from a clock, so that the same command makes the same
lines on machines of about that speed.
"""

from __future__ import annotations

from ...generation.evaluation import HIDDEN
from ...generation.judge import MEANWHILE
from ...models.arrays.first_layer import FEW_TOKENS
from ...models.candidates import MANY_TOKENS
from ...models.counts.views import MOST_VIEWS
from ...models.family import Specification
from .plan import EVALUATIONS
from .traits import Traits

AROUND = 0.7
"""Of a command, what is not planned for training: the last evaluation, making lines, leaving."""
READY = 0.5, 3.2e-7
"""Until the n-gram is there, and what each position of the text adds to that."""
BEGIN = 0.1, 2e-7
"""The same of a network until its first step."""
LEFT_OUT = 1.7e-6, 1 << 20
"""To work out what the n-gram says at a position for the first time, of so many positions at most."""
STEP = 1.2e-3, 2.5e-5, 1.2e-5
"""A step of one mlp, what each of the first `FEW_TOKENS` tokens of the vocabulary adds, and each further one
(bench/mlp_step.py)."""
LARGE = 3e-2, 3e-2
"""A step on more than `MANY_TOKENS`, whatever their number: what the n-gram says, and each network."""
ANEW = 2.2e-3
"""What a step takes longer where the n-gram has to be asked anew at every step, as of more positions than that."""
THROUGH_TIME = 9e-5, 5e-6, 4e-8, 1.3
"""A step of a recurrent network of 128 in NumPy: for each token of the longest of its lines, for each token of all
of them, for each of these and each token of the vocabulary; and how much longer than usual the longest line is."""
EVALUATED = 5e-6, 0.1
"""What such a network takes for a token when it is judged, and the part of the seconds that may go into that
meanwhile."""
TORCH = 3.0
"""Until PyTorch is there."""
END = 2.0, 2e-5, 400_000
"""At the end of an ensemble, to fit its weights, count anew and judge it: once, and for each position, of so many
at most."""
MIXED_BEFORE = 8e-6
"""For each position until the counts are mixed, beside the n-gram's."""
MIXING = 2.5e-7, 4e-5
"""What a view takes for each position, and for each step of the mixer (bench/counts.py)."""
JUDGED = 1.2e-6, 3.5e-7, 200_000
"""For each position to judge mixed counts as models of new lines, and what each view adds to them; more positions
than the last take no longer, as for those the mass is drawn, or some lines stand for all."""
OF_A_NETWORK = 1.2
"""What a network that starts from mixed counts takes of these, before its first step and at its end together."""
OF_THE_NGRAM = 1.5e-6
"""The same of the n-gram, which comes before: for each position."""


def until_the_ngram(traits: Traits) -> float:
    """Until the n-gram is there and judged, on a machine with no other work."""
    return of_positions(READY, traits.positions) + OF_THE_NGRAM * min(traits.positions, JUDGED[2])


def until_the_network(traits: Traits, mixed: bool) -> float:
    """From then until the first step of a network, and what it takes at its end; of one that starts from mixed
    counts, these included."""
    return of_positions(BEGIN, traits.positions) + (mixing(traits) if mixed else 0.0)


def mixing(traits: Traits) -> float:
    """What a network that starts from mixed counts takes for these."""
    return traits.positions * MIXED_BEFORE + OF_A_NETWORK * judged(traits, MOST_VIEWS)


def judged(traits: Traits, views: int) -> float:
    """Judging so many views, mixed, with the pass along the training lines."""
    return min(traits.positions, JUDGED[2]) * (JUDGED[0] + JUDGED[1] * views)


def learning(traits: Traits, seconds: float) -> float:
    """What is left of the seconds without what the n-gram says at every position, which is worked out once."""
    return seconds - LEFT_OUT[0] * min(traits.positions, LEFT_OUT[1])


def usual_step(specification: Specification, traits: Traits) -> float | None:
    """A step of a network; None if that is not known."""
    anew = ANEW if traits.positions > LEFT_OUT[1] else 0.0
    config, size = specification.config, traits.vocabulary_size
    if specification.family.name == "gru-numpy":
        tokens = config.batch * traits.length
        longest = min(THROUGH_TIME[3] * traits.length, traits.longest + 1)
        return THROUGH_TIME[0] * longest + tokens * (THROUGH_TIME[1] + THROUGH_TIME[2] * size) + anew
    if specification.family.name != "mlp":
        return None
    if size > MANY_TOKENS:
        return LARGE[0] + config.members * LARGE[1]
    few = min(size, FEW_TOKENS)
    return float(config.members * (STEP[0] + STEP[1] * few + STEP[2] * (size - few)) + anew)


def before_torch(specification: Specification) -> float:
    """Until PyTorch is there, if a network needs it."""
    return TORCH if any(one.family.torch for one in specification.alone) else 0.0


def the_end(traits: Traits) -> float:
    """What an ensemble takes once its members are trained."""
    return of_positions(END[:2], min(traits.positions, END[2]))


def evaluations(specification: Specification, traits: Traits, seconds: float) -> int:
    """How often a network can be judged meanwhile, on dev lines and along training lines."""
    if specification.family.name != "gru-numpy":
        return EVALUATIONS
    tokens = min(2 * MEANWHILE // (traits.vocabulary_size + HIDDEN), traits.positions)
    return max(1, min(EVALUATIONS, int(EVALUATED[1] * seconds / (EVALUATED[0] * tokens))))


def of_positions(seconds: tuple[float, float], positions: int) -> float:
    """What is there once, and what each position adds."""
    once, each = seconds
    return once + each * positions
