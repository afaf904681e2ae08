"""The report for people: the cause on the first screen, then the other findings in full.

Text is wrapped between words and hangs under its beginning; what is longer than the width (a path, a name) stays
whole. Severity is said in words, and in colour where the reader has a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from .findings import Finding
from .source import excerpt, position

COLOURS = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_LEAST = 24
"""Narrower than this nothing can be read; lines are then longer than the terminal."""


@dataclass(frozen=True)
class Line:
    """One line, of parts in their styles (as the library `rich` names them)."""

    parts: tuple[tuple[str, str], ...]

    @property
    def plain(self) -> str:
        """The line without styles."""
        return "".join(text for text, _ in self.parts).rstrip()


def written(
    summary: str,
    findings: Sequence[Finding],
    symptoms: Sequence[Finding],
    not_examined: Sequence[str],
    width: int | None,
) -> list[Line]:
    """The whole report in lines."""
    width = None if width is None else max(width, _LEAST)
    lines = [Line(((summary, "bold"),))]
    if findings:
        lines += [_EMPTY, *_in_full(findings[0], width)]
    if len(findings) > 1:
        lines += [_EMPTY, Line((("also found (in full below)", "bold"),))]
        for finding in findings[1:]:
            lines += _in_short(finding, width)
    if symptoms:
        names = ", ".join(finding.id for finding in symptoms)
        lines += [_EMPTY, *_wrapped("", f"also seen, perhaps only because of the errors: {names}", width, 2)]
    if not_examined:
        lines += [_EMPTY, Line((("not examined", "bold"),))]
        for text in not_examined:
            lines += _wrapped("  ", text, width, 4)
    for finding in findings[1:]:
        lines += [_EMPTY, *_in_full(finding, width)]
    return lines


_EMPTY = Line(())


def _in_full(finding: Finding, width: int | None) -> Iterator[Line]:
    yield from _title(finding, width)
    if finding.where:
        yield from _wrapped("  ", str(finding.where), width, 4)
        yield from _source(finding, width)
    yield from _field("evidence", finding.evidence, width)
    if finding.because is not None:
        yield from _field("because", f"{finding.because}, found above, explains it", width)
    yield from _field("cure", finding.cure, width)
    yield from _field("legitimate", finding.when_legitimate, width, "dim")


def _title(finding: Finding, width: int | None, indent: str = "") -> Iterator[Line]:
    word = f"{finding.severity}:"
    first, *more = _wrapped(indent, f"{word} {finding.title} [{finding.id}]", width, len(indent) + 2, "bold")
    text = first.parts[1][0]
    yield Line(((indent, ""), (word, COLOURS[finding.severity]), (text.removeprefix(word), "bold")))
    yield from more


def _in_short(finding: Finding, width: int | None) -> Iterator[Line]:
    yield from _title(finding, width, "  ")
    if finding.where:
        yield from _wrapped("    ", str(finding.where), width, 6)


def _source(finding: Finding, width: int | None) -> Iterator[Line]:
    there = position(finding.where)
    if there is None:
        return
    for margin, text in excerpt(there, None if width is None else width - 4):
        style = COLOURS[finding.severity] if not text.strip("^ ") else "" if margin.startswith(">") else "dim"
        yield Line((("    ", ""), (margin, "dim"), (text, style)))


def _field(name: str, text: str, width: int | None, style: str = "") -> Iterator[Line]:
    """A name, and its text beside it; on a narrow terminal below it."""
    if width is not None and width < 50:
        yield Line(((f"  {name}", "bold"),))
        yield from _wrapped("    ", text, width, 4, style)
        return
    first, *more = _wrapped(f"  {name:<12}", text, width, 14, style)
    yield Line(((first.parts[0][0], "bold"), *first.parts[1:]))
    yield from more


def _wrapped(start: str, text: str, width: int | None, hanging: int, style: str = "") -> list[Line]:
    """Break a text between words; the lines after the first hang. A word that is too long stays whole."""
    lines, line, used = [], "", cell_len(start)
    for word in text.split():
        length = cell_len(word)
        if line and width is not None and used + 1 + length > width:
            lines.append(line)
            line, used = word, hanging + length
        else:
            used += length + bool(line)
            line = f"{line} {word}" if line else word
    starts = [start, *[" " * hanging] * len(lines)]
    return [Line(((begin, ""), (part, style))) for begin, part in zip(starts, [*lines, line], strict=True)]
