"""CSV and TSV: text in rows, whose cells are separated by a comma, a tab, a semicolon or a bar (RFC 4180).

Which of them it is, a file's name says (.csv, .tsv), or its first rows do: the one that cuts most of them into the
same number of cells. Where none does, a colon may, as after a label.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ...errors import DataError
from .columns import Row, choose, lines_of, named
from .compressed import unpacked_name
from .config import SourceConfig
from .text import with_ends

DELIMITERS = "\t,;|:"
FIRST_ROWS = 100


def lines_of_table(blocks: Iterable[tuple[int, str]], name: str, config: SourceConfig) -> Iterator[str]:
    """Yield blocks of the lines in a column. `DataError` says what is wrong with the table, and where."""
    begun = list(islice(blocks, 1))
    if not begun:
        return
    delimiter = delimiter_of(with_ends(begun[0][1])[:FIRST_ROWS], name)
    if delimiter is None:
        raise DataError(
            f"{name}: its first lines are no rows of several cells, cut by a comma, tab, semicolon, bar or colon; "
            "leave out --column and --label, or give a table"
        )
    rows = _rows(chain(begun, blocks), name, delimiter)
    first = next(rows, None)
    if first is None:
        return
    names = [str(cell).strip() for cell in first[1]] if named(config) else None
    chosen = choose(config, names, len(first[1]), name, f", line {first[0]}")
    if names is None and not config.skip_header:
        rows = chain([first], rows)
    yield from lines_of(rows, chosen, config, name, "line")


def delimiter_of(lines: list[str], name: str = "") -> str | None:
    """Find what separates the cells of rows; None if nothing does."""
    return _delimiter_of(lines, name, strict=True) or _delimiter_of(lines, name, strict=False)


def _delimiter_of(lines: list[str], name: str, strict: bool) -> str | None:
    ending = unpacked_name(name).lower().rpartition(".")[2]
    best, score = None, (0.5, 0)
    for delimiter in DELIMITERS:
        if delimiter == ":" and best is not None:
            break
        rows = rows_of(lines, delimiter, strict)
        if not rows:
            continue
        width, times = Counter(map(len, rows)).most_common(1)[0]
        likely = (delimiter == "\t" and ending in ("tsv", "tab")) or (delimiter == "," and ending == "csv")
        if width > 1 and (likely or (times / len(rows), width) > score):
            best, score = delimiter, (times / len(rows), width)
            if likely and times > 0.9 * len(rows):
                break
    return best


def rows_of(lines: list[str], delimiter: str, strict: bool = True) -> list[list[str]]:
    """Cut lines into cells; nothing if they are no such rows. The last one may be cut off inside a cell.

    If not `strict`, quotes may stand anywhere.
    """
    rows: list[list[str]] = []
    try:
        rows.extend(filter(None, csv.reader(lines, delimiter=delimiter, strict=strict)))
    except csv.Error as error:
        return rows if "unexpected end" in str(error) else []
    return rows


def _rows(blocks: Iterable[tuple[int, str]], name: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows that are not empty, each with the number of the line where it begins."""
    reader = csv.reader((line for _, text in blocks for line in with_ends(text)), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{name}, line {begins}: {_why(error)}") from None
        if cells:
            yield begins, cells
        begins = reader.line_num + 1


def _why(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a cell here has more than {csv.field_size_limit():,} characters: is a quote not closed?"
    if "unexpected end" in str(error):
        return "a quote that opens here is not closed; close it, or double each quote that is part of a text"
    if "expected after" in str(error):
        return "text follows a closing quote; double each quote that is part of a text"
    return f"no row of a table ({error})"
