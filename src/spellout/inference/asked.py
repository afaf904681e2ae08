"""Lines as they were asked for: understood before a training, made after it, and what is said of how they come."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import GenerationError, UsageError
from ..generation.asked.config import Asked
from ..generation.config import SamplingConfig
from .listener import QUIET, Listener

if TYPE_CHECKING:
    import numpy as np

    from ..data.vocabulary.protocol import Vocabulary
    from ..generation.asked.making import Made
    from ..generation.asked.thinning import Plan
    from ..generation.asked.wish import Wish
    from ..generation.sampling import Sample
    from ..models.contract import LanguageModel
    from ..training.runs.run import Run

GUIDING = 2000
"""So many lines that a network makes guide it, if those that it has learned from were not kept."""


def wish_of(
    asked: Asked, vocabulary: Vocabulary, lines: Sequence[str] | None, sampling: SamplingConfig
) -> Wish | None:
    """Understand what was asked of lines, without their labels; None if nothing was.

    An error if no line can be so, before any training.
    """
    from ..data.labels import plain, texts
    from ..generation.asked.wish import Wish

    if asked == Asked(best_of=asked.best_of):
        return None
    if lines is None and asked.case == "as-in-list":
        raise UsageError(
            "--case as-in-list: the run keeps no training lines, so nobody knows how they were written"
        )
    wish = Wish.of(asked, plain(vocabulary), texts(vocabulary, lines or ()), sampling.prefix)
    shortest = wish.automaton.shortest() if wish.automaton else None
    if shortest is not None and sampling.max_length is not None and shortest > sampling.max_length:
        raise UsageError(
            f"{asked.said}: the shortest line that is so has {shortest} tokens, and --max-length "
            f"{sampling.max_length} cuts it; leave one out"
        )
    return wish


def longest_asked(wish: Wish | None, usual: int) -> int:
    """Say how many tokens a line may have, for what was asked of it to be made."""
    if wish is None or wish.automaton is None:
        return 0
    return max(wish.asked.lengths[1] or 0, (wish.automaton.shortest() or 0) + usual)


def check_best(asked: Asked, count: int, sampling: SamplingConfig) -> None:
    """`UsageError` if the best of too few lines are asked for."""
    if asked.best_of is not None and asked.best_of <= count:
        raise UsageError(f"--best-of {asked.best_of}: must be more than the {count} lines of -n that are printed")
    if asked.best_of is not None and sampling.greedy:
        raise UsageError(f"--best-of {asked.best_of}: --greedy makes one line only; leave one out")


def best_of(
    run: Run,
    made: Iterator[Sample],
    count: int,
    most: int,
    known: Sequence[str],
    written: Callable[[str], str],
    listener: Listener = QUIET,
) -> Iterator[Sample]:
    """Make many lines, and yield the best of them, the very best first.

    `written` says how a line is printed, which is what is compared with those that are known.
    """
    from itertools import islice

    import numpy as np

    from ..generation.asked.best import choose
    from ..generation.scoring import score_lines

    some = list(listener.track(islice(made, most), most, "making"))
    if not some:
        return
    scores = score_lines(run.model, run.vocabulary, [one.line for one in some])
    surprises = np.array([-score.log_probability for score in scores])
    lines = [written(one.text) for one in some]
    for number in choose(lines, surprises, known, count):
        yield some[number]


def lines_asked(
    run: Run,
    sampling: SamplingConfig,
    wish: Wish,
    unlike: Collection[str] | None,
    otherwise: Callable[[], LanguageModel],
    *,
    accept: Callable[[str], bool],
    cut: Callable[[Sample], bool],
    patience: int,
    listener: Listener = QUIET,
) -> Iterator[Sample]:
    """Yield lines that will do, and none that is `unlike` these. `otherwise` is the model that makes any.

    Where lines have labels, nothing guides to what was asked: all lines are made, and others thrown away.
    `GenerationError` if no such line is left.
    """
    from ..data.labels import Labelled
    from ..generation.asked.thinning import drawn, plan
    from ..generation.sampling import encode_prefix, sample

    def sampled(model: LanguageModel) -> Iterator[Sample]:
        tick = listener.tick
        return sample(model, run.vocabulary, sampling, accept=accept, cut=cut, patience=patience, tick=tick)

    if wish.automaton is None or isinstance(run.vocabulary, Labelled):
        return sampled(otherwise())
    prefix = encode_prefix(run.vocabulary, sampling.prefix)
    made = _made(run, prefix, wish, unlike, listener)
    by_letters = sampling.temperature != 1 or sampling.greedy or (sampling.top_k or sampling.top_p) is not None
    if made.exact or by_letters:
        listener.note(_said_share(made.share(prefix), unlike is not None, wish, made.exact))
        return sampled(made.model)
    planned = plan(made, run.vocabulary, sampling, listener.tick)
    if planned.is_often:
        return sampled(otherwise())
    _say_plan(planned, unlike is not None, wish, listener)
    return drawn(
        *(made, run.vocabulary, sampling, planned),
        accept=accept,
        cut=cut,
        patience=patience,
        tick=listener.tick,
    )


def _made(run: Run, prefix: np.ndarray, wish: Wish, unlike: Collection[str] | None, listener: Listener) -> Made:
    """Make the model of what was asked."""
    from ..generation.asked.making import make_model

    power = 1.0 if unlike is None else run.power
    try:
        made = make_model(
            run.model, run.vocabulary, _stream(run, listener), wish, unlike or (), power, listener.tick
        )
        possible = made.can_begin(prefix)
    except ValueError:
        possible = False
    if not possible:
        raise GenerationError(
            f"{wish.asked.said}: every line that is so is in the list, or among those to avoid, so none is new; "
            "--as-it-is makes those of the list"
        )
    return made


def _stream(run: Run, listener: Listener) -> np.ndarray:
    """Give the lines that the model has learned from, or lines that it makes."""
    from itertools import islice

    from ..generation.sampling import sample

    if run.lines is not None:
        return run.stream
    config = SamplingConfig(max_length=run.length_limit)
    made = sample(run.model, run.vocabulary, config, cut=lambda one: False, patience=GUIDING, tick=listener.tick)
    return run.vocabulary.encode([one.text for one in islice(made, GUIDING)])


def _said_share(share: float, new: bool, wish: Wish, exact: bool) -> str:
    """Say how many lines are so, and that others come approximately."""
    if exact:
        return f"{_of_lines(share, new)}: {wish.asked.said}"
    return (
        f"{wish.asked.said}, approximately: an n-gram, by which {_of_lines(share, new)}, tells which letters lead "
        "there"
    )


def _say_plan(planned: Plan, new: bool, wish: Wish, listener: Listener) -> None:
    """Say that lines come approximately, or that there are too few."""
    if planned.kept == 0:
        listener.warn(f"{wish.asked.said}: the model makes such lines too seldom to say how likely they are")
        return
    listener.note(
        f"{wish.asked.said}, approximately: {_of_lines(planned.share, new)}, and an n-gram finds them; their "
        f"distribution is off by about {max(planned.lacking, 0.001):.1%}"
    )


def _of_lines(share: float, new: bool) -> str:
    """Say how many of the lines that are made are so."""
    so = "new and so" if new else "so"
    if share >= 0.1:
        return f"{share:.1%} of the model's lines are {so}"
    if share < 1e-9:
        return f"one in 10^{round(-math.log10(max(share, 1e-300)))} of the model's lines is {so}"
    return f"one in {float(f'{1 / share:.2g}'):,.0f} of the model's lines is {so}"
