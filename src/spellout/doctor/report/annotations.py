"""Findings as commands of GitHub's workflows: they appear beside the lines of a pull request.

The form is in GitHub's documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from ..place import short
from .findings import Finding
from .source import position

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def annotation(finding: Finding) -> str:
    """One finding as one line."""
    there, properties = position(finding.where), {}
    if there is not None:
        properties = {"file": short(there.file), "line": str(there.line)}
        if there.text:
            properties |= {"col": str(there.start + 1), "endColumn": str(there.end + 1)}
    properties["title"] = f"{finding.title} [{finding.id}]"
    known = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    place = "" if there is not None or not finding.where else f"{finding.where}: "
    told = _escaped(f"{place}{finding.evidence}\n{finding.cure}")
    return f"::{_COMMANDS[finding.severity]} {known}::{told}"


def _escaped(text: str, more: str = "") -> str:
    for sign in "%\r\n" + more:  # the percent sign first: the others are written with it
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
