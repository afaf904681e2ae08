"""The views of what was read: which columns of the past (`past.py`) a context is made of, the most important first.

Each view is an n-gram model of its own, whose "tokens of context" are its columns (`ngram/model.py`): what was not
seen after all of them is taken from what was seen after fewer. Alone most are poor; what they know beside the last
letters is how long lines are, how they begin, which classes of letters take turns, and what stands two or three
letters back, whatever stands between.
"""

from __future__ import annotations

from dataclasses import dataclass

RECENT = 12
"""So many last tokens can be looked at."""
FIRST = 2
"""So many first tokens."""


@dataclass(frozen=True)
class View:
    """Columns that make a context.

    Attributes:
        columns: their names, the most important first.
        continuation: whether shorter contexts count after how many longer ones a token was seen (Kneser & Ney
            1995), which is good where the columns are tokens in a row; else all counts are of occurrences.
    """

    columns: tuple[str, ...]
    continuation: bool = False


def _view(columns: str, continuation: bool = False) -> View:
    return View(tuple(columns.split()), continuation)


OF_THE_FIRST = (
    _view("f1 c1 c2 c3 c4 c5"),
    _view("c1 f1 c2 c3 c4"),
    _view("c1 c2 f1 c3 c4 c5"),
)
"""Where a line's first token says much of all that follows."""
OTHERS = (
    _view("c1 place c2 c3"),
    _view("c1 c4 c5"),
    _view("c1", continuation=True),
    _view("c2 c3 c4", continuation=True),
    _view("c1 c2 k3 k4 k5 k6 k7"),
    _view("c1 k2 c3 c4 c5"),
    _view("f1 f2 c1 c2 c3"),
    _view("c1 c2 place f1 f2 c3"),
    _view("place c1 c3 c2"),
    _view("c1 c2 c3 c4", continuation=True),
    _view("place k1 k2 k3 k4 k5 k6 k7 k8"),
    _view("c3 c4 c5", continuation=True),
    _view("c1 c2 c4 c5"),
    _view("place c1 c2 c3 c4"),
    _view("c1 c2 c3 c4 c5 c6 c7 c8", continuation=True),
)
"""Beside the last tokens. On training lines of names, each in its place helps most beside those before it, or
nearly so; some are there for lists whose lengths and beginnings say more."""
MOST_VIEWS = 1 + len(OTHERS)


def views(number: int, order: int, first: str = "no") -> list[View]:
    """Give the first `number` views; the first of all is the n-gram of the last tokens, of this order.

    If the `first` token is to be kept in view ("yes"), the next are those that do.
    """
    last = View(tuple(f"c{back}" for back in range(1, max(2, min(order, RECENT + 1)))), continuation=True)
    return [last, *[*OF_THE_FIRST * (first == "yes"), *OTHERS][: number - 1]]


def checked_view(columns: str, continuation: bool) -> View:
    """Make a view as someone else wrote it. ValueError if there are no such columns."""
    view = _view(columns, continuation)
    known = {"place"}
    known |= {f"{kind}{back}" for kind in "ck" for back in range(1, RECENT + 1)}
    known |= {f"f{number}" for number in range(1, FIRST + 1)}
    if not view.columns or not known.issuperset(view.columns):
        raise ValueError(f"a view of {columns[:40]!r}")
    return view
