"""Is a line new, and which training line is it nearest to?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


def nearest(line: str, training: Sequence[str]) -> tuple[str, int]:
    """The training line with the smallest edit distance (Levenshtein 1966), and that distance.

    Of several equally near ones, the first.
    """
    from rapidfuzz.distance import Levenshtein  # only who asks for the nearest line waits for this import
    from rapidfuzz.process import extractOne

    match, distance, _ = extractOne(line, training, scorer=Levenshtein.distance, processor=None)
    return match, int(distance)


def only(*, unlike: Iterable[str] | None = None, unique: bool = False) -> Callable[[str], bool]:
    """A test for `sample`: True for lines that are not among `unlike` and, if `unique`, were not seen before."""
    refused = set(unlike or ())

    def accept(line: str) -> bool:
        new = line not in refused
        if unique:  # the next time it is no longer new
            refused.add(line)
        return new

    return accept
