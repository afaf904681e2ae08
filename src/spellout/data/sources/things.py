"""Things of several lines, with something between them: each becomes one line of the model.

Where a thing has a line end, its line has `SourceConfig.line_end`, a visible sign, of which `in_lines` makes a line
end again. White space at the end of each of its lines is trimmed, at their beginning it is kept, but not before the
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...errors import DataError
from .config import BLANK, SourceConfig, check_free
from .text import LONGEST_LINE, with_ends


class Things:
    """Joins the lines of each thing.

    Attributes:
        between: the first line that stood between two things, as it is written; None if none did.
    """

    def __init__(self, config: SourceConfig, between: str | None = None) -> None:
        self._config, self.between = config, between

    def of(self, blocks: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[int, str]]:
        """Turn blocks of lines, each with the number of its first line, into blocks of things, one a line."""
        thing: list[str] = []
        length = 0
        for first, text in blocks:
            check_free(text, name, first)
            done: list[str] = []
            for number, line in enumerate(with_ends(text), first):
                line = line.rstrip()
                if self._config.separates(line.strip()):
                    self.between = line.strip() if self.between is None else self.between
                    done.append(self.joined(thing))
                    thing, length = [], 0
                    continue
                thing.append(line)
                length += len(line) + 1
                if length > LONGEST_LINE:
                    raise DataError(
                        f"{name}, line {number}: a thing of more than {LONGEST_LINE:,} characters, as no line here "
                        f"is --separator {self._config.separator}; name another one"
                    )
            if done := [one for one in done if one]:
                yield first, "\n".join(done) + "\n"
        if last := self.joined(thing):
            yield 0, last + "\n"

    def joined(self, lines: list[str]) -> str:
        """Make one line of the lines of a thing."""
        return self._config.line_end.join("\n".join(lines).strip().split("\n"))


def none_between(config: SourceConfig, name: str) -> DataError:
    """Say that all of a file would be one thing."""
    what = "empty" if config.separator == BLANK else f"what --separator {config.separator} says"
    return DataError(f"{name}: no line is {what}, so all of it would be one thing; name another --separator")
