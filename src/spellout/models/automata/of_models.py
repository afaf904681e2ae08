"""Which models have states that come again and again, and so are worth a table."""

from __future__ import annotations

from ..contract import LanguageModel
from ..new_lines.model import Weighted
from ..new_lines.sharper import Sharper
from ..ngram.model import NgramModel
from .apart import Apart
from .automaton import Automaton
from .new_lines import SharperAutomaton, WeightedAutomaton
from .ngram import NgramAutomaton
from .shaped import ShapedAutomaton


def automaton_of(model: LanguageModel) -> Automaton | None:
    """Give the states of a model; None for one that has none, as a network."""
    # Of exactly these classes: another one that is made of them may say something else.
    if type(model) is NgramModel:
        contexts = NgramAutomaton(model)
        return contexts if model.shape is None else ShapedAutomaton(contexts, model.shape)
    if type(model) is Sharper or type(model) is Weighted:
        inner = automaton_of(model.model)
        if inner is None:
            return None
        return SharperAutomaton(model, inner) if isinstance(model, Sharper) else WeightedAutomaton(model, inner)
    return None


def apart_from_shape(model: LanguageModel) -> Apart | None:
    """Give the states of an n-gram, a sharper one, or one of new lines without the shape of its lines; None for
    another model, and if there is no shape."""
    inner, made_of = model, []
    for kind in (Weighted, Sharper):
        if type(inner) is kind:
            made_of.append(inner)
            inner = inner.model
    if type(inner) is not NgramModel or inner.shape is None:
        return None
    of_ngram = NgramAutomaton(inner)
    contexts: Automaton = of_ngram
    pairs: Automaton = ShapedAutomaton(of_ngram, inner.shape)
    power = 1.0
    for outer in reversed(made_of):
        if isinstance(outer, Sharper):
            contexts, pairs = SharperAutomaton(outer, contexts), SharperAutomaton(outer, pairs)
            power = outer.sharpness
        else:
            pairs = WeightedAutomaton(outer, pairs)
    return Apart(pairs, contexts, inner.shape, power)
