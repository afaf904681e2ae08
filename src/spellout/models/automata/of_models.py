"""Which models have states that come again and again, and so are worth a table."""

from __future__ import annotations

from ..contract import LanguageModel
from ..new_lines.model import Weighted
from ..new_lines.sharper import Sharper
from ..ngram.model import NgramModel
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
