"""What was asked of lines, understood: which lines will do, as an automaton over tokens and as a test of a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from ...data.sources.config import line_ends_close
from ...data.sources.reading import read_blocks
from ...data.vocabulary.protocol import Vocabulary
from ...errors import DataError, UsageError
from .automaton import DEAD, Automaton, of_lengths
from .config import Asked
from .expression import compiled, deterministic, positions_of
from .spelling import Spelling
from .writing import Writing, writing_of

_LINE = r"\S(.*\S)?"


@dataclass(frozen=True)
class Wish:
    """Says which lines will do.

    Attributes:
        asked: what was asked.
        automaton: of the tokens of the lines that will do, as far as letters say; None where everything will do, or
            where tokens are not made of letters.
        avoided: lines that will not do.
        writing: how a line is written that was made; None: as it is.
        between: what stands between two tokens, but not at a line end: there, nothing counts.
    """

    asked: Asked
    automaton: Automaton | None
    avoided: Collection[str]
    writing: Writing | None
    between: str
    _tests: Sequence[Callable[[str], bool]]

    @classmethod
    def of(cls, asked: Asked, vocabulary: Vocabulary, lines: Sequence[str], prefix: str = "") -> Wish:
        """Understand what was asked of lines made after these ones, if all begin with a prefix.

        `UsageError` or `DataError` if there can be no such line.
        """
        avoided = _lines_of(asked.avoid, vocabulary) if asked.avoid is not None else frozenset()
        writing, between = writing_of(asked.case, lines), vocabulary.between
        contains, ends = (line_ends_close(text, between) for text in (asked.contains, asked.ends))
        asked = replace(asked, contains=contains, ends=ends)
        tests = _tests_of(asked)
        if not asked.is_pattern:
            return cls(asked, None, avoided, writing, between, tests)
        _check_length(asked, [line_ends_close(line, between) for line in lines])
        spelling = Spelling.of(vocabulary, asked.case)
        automaton = _automaton(asked, vocabulary, spelling, prefix) if spelling else None
        return cls(asked, automaton, avoided, writing, between, tests)

    def written(self, line: str) -> str:
        """Write a line that was made as was asked."""
        return line if self.writing is None else self.writing(line)

    def is_so(self, line: str) -> bool:
        """Say of a line, as it is written, whether its letters are as was asked."""
        line = line_ends_close(line, self.between)
        return all(test(line) for test in self._tests)

    def will_do(self, line: str) -> bool:
        """Say the same, and that it is not to be avoided."""
        return line not in self.avoided and self.is_so(line)


def _lines_of(file: str, vocabulary: Vocabulary) -> frozenset[str]:
    """Read the lines of a file as lines are compared: trimmed, in composed characters; words with one space."""
    lines, between = "".join(read_blocks(file)).split("\n"), vocabulary.between
    return frozenset(between.join(vocabulary.pieces(line)) if between else line for line in lines if line)


def _tests_of(asked: Asked) -> list[Callable[[str], bool]]:
    tests: list[Callable[[str], bool]] = []
    least, most = asked.lengths
    if asked.length is not None:
        tests.append(lambda line: least <= len(line) and (most is None or len(line) <= most))
    if asked.ends:
        tests.append(lambda line: line.endswith(asked.ends))
    if asked.contains:
        tests.append(lambda line: asked.contains in line)
    if asked.matches is not None:
        positions_of(asked.matches, _said("matches", asked.matches))
        pattern = compiled(asked.matches)
        tests.append(lambda line: pattern.fullmatch(line) is not None)
    return tests


def _said(name: str, value: str) -> str:
    return f"--{name} {value if value.isprintable() else repr(value)}"


def _check_length(asked: Asked, lines: Sequence[str]) -> None:
    """`UsageError` if lines are asked for that are far longer than any."""
    longest = max(map(len, lines), default=0)
    if longest and asked.lengths[0] > 2 * longest + 10:
        raise UsageError(
            f"{_said('length', asked.length or '')}: the longest line has {longest} characters, so none is made "
            "that is so long; ask for shorter ones"
        )


def _automaton(asked: Asked, vocabulary: Vocabulary, spelling: Spelling, prefix: str) -> Automaton:
    """Put together what was asked, over tokens; an error names the wish that cannot be."""
    said, together = "", of_lengths(*asked.lengths, len(spelling.letters))  # a line has a letter at least
    wishes = [(_said("length", asked.length), together)] if asked.length is not None else []
    for name, pattern in (("contains", r"(?s:.*{}.*)"), ("ends", r"(?s:.*{})")):
        if text := getattr(asked, name):
            _check_letters(name, text, spelling)
            positions = positions_of(pattern.format(re.escape(text)), name)
            wishes.append((_said(name, text), deterministic(positions, spelling.letters, name)))
    if asked.matches is not None:
        name = _said("matches", asked.matches)
        wishes.append((name, deterministic(positions_of(asked.matches, name), spelling.letters, name)))
    line = deterministic(positions_of(_LINE, ""), spelling.letters, "")
    for one, automaton in wishes:
        said = f"{said} {one}" if said else one
        try:
            together = together.both(automaton).minimal()
            empty = together.both(line).minimal().is_empty
        except OverflowError:
            raise UsageError(f"{said}: together they take too large an automaton; ask for less") from None
        if empty:
            raise _impossible(said, one, automaton)
    over_tokens = spelling.over_tokens(together).minimal()
    if over_tokens.is_empty:
        raise UsageError(
            f"{said}: no line of the {vocabulary.noun}s that the model knows is so; ask for something else"
        )
    if prefix:
        tokens = vocabulary.encode([prefix])[1:-1]
        if over_tokens.walk(tokens) == DEAD:
            raise UsageError(f"{_said('prefix', prefix)} {said}: no line that begins so can be so; leave one out")
    return over_tokens


def _impossible(said: str, last: str, automaton: Automaton) -> UsageError:
    if said != last:
        return UsageError(f"{said}: no line is all of that; leave one out")
    if automaton.minimal().is_empty:
        return UsageError(f"{said}: no line of the letters that the model knows matches; ask for something else")
    return UsageError(
        f"{said}: lines never begin or end with white space, so that none matches; ask for something else"
    )


def _check_letters(name: str, text: str, spelling: Spelling) -> None:
    """`DataError` if a text holds a character that no line is made of."""
    strange = [character for character in text if not spelling.knows(character)]
    if not strange:
        return
    for other in (text.lower(), text.upper(), text.title()):
        if all(map(spelling.knows, other)):
            raise DataError(f"{_said(name, text)}: no line is written so; these lines know --{name} {other}")
    raise DataError(
        f"{_said(name, text)}: {strange[0]!r} is in none of the lines the model learns from, so none has it"
    )
