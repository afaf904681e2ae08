"""What in the beginning of a file looks like more than a list: each with the flag that handles it, if there is one.

Nothing is changed by that: a prefix that all lines share may be part of them. So what is noticed is said, and who
reads it decides.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .config import BLANK, SourceConfig
from .json_lines import is_json_lines
from .tables import delimiter_of, rows_of

NEARLY_ALL = 0.98
FEWEST = 8
"""In fewer lines, all may have something in common by chance."""
MOST_LABELS = 20
_NAMED = {",": "a comma", "\t": "a tab", ";": "a semicolon", ":": "a colon"}
_HEADERS = {"id", "key", "label", "line", "lines", "name", "names", "smiles", "text", "title", "word", "words"}
_NUMBERED = re.compile(r"\(?(\d{1,9})[.):]*\s+")
_LINE_ENDS = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class Notice:
    """Something that was noticed: what, as a sentence without its full stop, and what to add to the command."""

    what: str
    flag: str | None = None

    def __str__(self) -> str:
        """Say both."""
        return self.what if self.flag is None else f"{self.what}: {self.flag}"


def notices(begin: str, config: SourceConfig = SourceConfig()) -> list[Notice]:
    """Look at the text that a file begins with; what `config` handles already is not noticed."""
    raw = _LINE_ENDS.sub("\n", begin).split("\n")
    lines = [line for line in map(str.strip, raw) if line]
    if len(lines) < FEWEST:
        return []
    found: list[Notice | None] = []
    if not config.table:
        if is_json_lines(lines[0]) and _share(lines, lambda line: line[0] == "{" and line[-1] == "}") > NEARLY_ALL:
            return [Notice(f"its lines are JSON objects ({', '.join(_keys(lines[0]))})", "--column KEY takes one")]
        found += _table(lines, config)
        if config.separator is None:
            found.append(_separator(raw, lines))
            if not found[0]:
                found += [_header(lines, config), _numbers(lines, config), _around(lines, config)]
    found += [_ends(begin), _capitals(lines)]
    return [one for one in found if one is not None]


def _share(lines: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(bool(test(line)) for line in lines) / len(lines)


def _keys(line: str) -> list[str]:
    return re.findall(r'"([^"\\]{1,40})"\s*:', line)[:6]


def _table(lines: list[str], config: SourceConfig) -> list[Notice | None]:
    """Rows of cells: the same number of them in nearly all lines."""
    delimiter = delimiter_of(lines)
    rows = [] if delimiter not in _NAMED else rows_of(lines, delimiter)
    if not rows:
        return [None]
    width, times = Counter(map(len, rows)).most_common(1)[0]
    first, *others = [row for row in rows if len(row) == width]
    columns = list(zip(*others, strict=True))
    labels = [place for place, cells in enumerate(columns) if _are_labels(cells)]
    # A comma may be part of names and sentences, so it takes more to make a table.
    if times < NEARLY_ALL * len(rows) or (not labels and (delimiter == ":" or (delimiter != "\t" and width < 3))):
        return [None]
    header = not any(first[place] in columns[place] for place in labels) and _is_header(first, columns)
    line = next((place for place in range(width) if place not in labels and not _are_numbers(columns[place])), 0)
    names = [first[place].strip() if header else str(place + 1) for place in range(width)]
    asked = f"--column {shlex.quote(names[line])}" if width > 2 or not labels else ""
    text = f"its lines are rows of {width} cells with {_NAMED[str(delimiter)]} between"
    text += f" and a header ({', '.join(names)[:80]})" if header else ""
    found: list[Notice | None] = [Notice(text, f"--column {shlex.quote(names[line])} takes one as the lines")]
    for place in labels[:2]:
        values = sorted(Counter(columns[place]).items(), key=lambda one: (-one[1], one[0]))
        some = ", ".join(f"{value} ×{times:,}" for value, times in values[:4]) + ", …" * (len(values) > 4)
        flags = f"{asked} --label {shlex.quote(names[place])}".strip()
        if header and not asked:
            flags = f"--column {shlex.quote(names[line])} {flags}"
        found.append(Notice(f"its column {names[place]} may be a label ({some})", flags))
    return found


def _are_labels(cells: Sequence[str]) -> bool:
    """A few values, that many rows share, and no numbers that count something."""
    values = Counter(cells)
    few = len(values) <= min(MOST_LABELS, len(cells) // 4)
    return (
        few and len(values) > 1 and "" not in values and not all(re.fullmatch(r"-?\d+\.\d+", one) for one in values)
    )


def _are_numbers(cells: Sequence[str]) -> bool:
    return _share(cells, lambda cell: re.fullmatch(r"\s*-?[\d.,]+\s*", cell)) > NEARLY_ALL


def _is_header(first: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """A first row of names: known ones, or words above columns of numbers or of labels."""
    names = [cell.strip().lower() for cell in first]
    if not all(names) or len(set(names)) < len(names) or _are_numbers([names[0]]):
        return False
    for name, cells in zip(names, columns, strict=True):
        if not _are_numbers([name]) and _are_numbers(cells):
            return True
    return bool(_HEADERS.intersection(names)) or (
        all(
            name not in (cell.strip().lower() for cell in cells) for name, cells in zip(names, columns, strict=True)
        )
        and any(map(_are_labels, columns))
    )


def _header(lines: list[str], config: SourceConfig) -> Notice | None:
    if config.skip_header or not (lines[0].lower().strip("# ") in _HEADERS and lines.count(lines[0]) == 1):
        return None
    return Notice(f"its first line, {lines[0]!r}, looks like a header", "--skip-header")


def _numbers(lines: list[str], config: SourceConfig) -> Notice | None:
    """Lines that begin with rising numbers."""
    found = [match for line in lines if (match := _NUMBERED.match(config.stripped(line)))]
    numbers = [int(match[1]) for match in found]
    if len(found) < NEARLY_ALL * len(lines) or numbers != sorted(set(numbers)):
        return None
    return Notice(f"its lines are numbered ({lines[0][:30]!r})", "--strip " + shlex.quote(r"\(?\d+[.):]*\s+"))


def _around(lines: list[str], config: SourceConfig) -> Notice | None:
    """What nearly all lines begin or end with."""
    lines = [config.stripped(line) for line in lines]
    before = _shared(lines)
    after = _shared([line[::-1] for line in lines])[::-1]
    if not before and not after:
        return None
    if after and before and _share(lines, lambda line: line == before) > 0.5:
        return None  # all of a line: then lines repeat
    said = [f"begin with {before!r}"] * bool(before) + [f"end with {after!r}"] * bool(after)
    pattern = "|".join(_escaped(one) for one in dict.fromkeys([before, after]) if one)
    return Notice(f"its lines {' and '.join(said)}; if that is no part of them", f"--strip {shlex.quote(pattern)}")


def _escaped(text: str) -> str:
    """A pattern for a text, with as few signs as it takes."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def _shared(lines: Sequence[str]) -> str:
    """The longest beginning of nearly all lines that is no chance: three characters, or a sign and another one."""
    best = ""
    while True:
        length = len(best) + 1
        begin, times = Counter(line[:length] for line in lines).most_common(1)[0]
        if len(begin) < length or times < NEARLY_ALL * len(lines) or length > 200:
            break
        best = begin
    best = best.strip()
    signs = any(not one.isalnum() for one in best)
    return best if len(best) >= (2 if signs else 3) and not _inside(lines, best) else ""


def _inside(lines: Sequence[str], begin: str) -> bool:
    """Whether it stops in the middle of a word or of a number, such as the century of years."""
    return begin[-1].isalnum() and _share(lines, lambda line: line[len(begin) : len(begin) + 1].isalnum()) > 0.5


def _separator(raw: list[str], lines: list[str]) -> Notice | None:
    """Lines that stand between things: blank ones, or the same sign again and again."""
    inside = raw[raw.index(next(line for line in raw if line.strip())) :]
    while inside and not inside[-1].strip():
        inside.pop()
    gaps = sum(not line.strip() and bool(before.strip()) for before, line in pairwise(inside))
    if gaps >= 2 and len(lines) >= 1.5 * (gaps + 1):
        return Notice("blank lines stand between things of several lines, it seems", f"--separator {BLANK}")
    line, times = Counter(lines).most_common(1)[0]
    apart = not any(one == other == line for one, other in pairwise(lines))
    if times >= 3 and apart and not any(map(str.isalnum, line)) and len(lines) >= 2.5 * times:
        return Notice(
            f"{line!r} stands between things of several lines, it seems", f"--separator {shlex.quote(line)}"
        )
    return None


def _ends(begin: str) -> Notice | None:
    kinds = Counter(_LINE_ENDS.findall(begin[:-1]))  # the last may be half of one
    if len(kinds) < 2 or min(kinds.values()) < 2:
        return None
    names = {"\r\n": "CR LF", "\r": "CR", "\n": "LF"}
    return Notice(f"its lines end in {' and '.join(names[one] for one in kinds)}, which are read alike")


def _capitals(lines: list[str]) -> Notice | None:
    """Some lines in capitals among others that are not."""
    letters = [line for line in lines if sum(map(str.isalpha, line)) > 2]
    capital = [line for line in letters if line.isupper()]
    usual = sum(line.istitle() or line.islower() for line in letters)
    if len(capital) < 2 or len(capital) > 0.3 * len(letters) or usual < 0.9 * (len(letters) - len(capital)):
        return None
    return Notice(
        f"{len(capital):,} of its first {len(lines):,} lines are in capitals, such as {capital[0][:40]!r}"
    )
