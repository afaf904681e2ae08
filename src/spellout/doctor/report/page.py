"""The report as HTML for a notebook. Colours are taken from the page, so that it reads in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from .findings import Finding
from .source import excerpt, position

_STYLE = """
.spellout-report{max-width:52em;line-height:1.45;overflow-wrap:break-word}
.spellout-report details,.spellout-report section{border-left:3px solid;padding:.1em 0 .1em .8em;margin:.7em 0}
.spellout-report .error{border-color:#d3453b}.spellout-report .warning{border-color:#c28a1b}
.spellout-report .note{border-color:#4a8fc4}
.spellout-report .chip{color:#fff;border-radius:3px;padding:.05em .45em;font-size:.85em;margin-right:.4em}
.spellout-report .error .chip{background:#b3261e}.spellout-report .warning .chip{background:#8a5a00}
.spellout-report .note .chip{background:#2b628c}
.spellout-report pre{background:rgba(127,127,127,.13);color:inherit;padding:.5em .7em;margin:.5em 0;overflow-x:auto}
.spellout-report pre b{font-weight:700}.spellout-report pre i{opacity:.7;font-style:normal}
.spellout-report dl{display:grid;grid-template-columns:6.5em 1fr;gap:.15em .6em;margin:.4em 0}
.spellout-report dt{opacity:.75}.spellout-report dd{margin:0}
.spellout-report summary{cursor:pointer}
"""


def page_of(
    summary: str, findings: Sequence[Finding], symptoms: Sequence[Finding], not_examined: Sequence[str]
) -> str:
    """The cause open, the other findings to be opened."""
    parts = [f"<style>{_STYLE}</style><p><b>{escape(summary)}</b></p>"]
    for place, finding in enumerate(findings):
        title = (
            f'<span class="chip">{finding.severity}</span><b>{escape(finding.title)}</b> '
            f"<code>{escape(finding.id)}</code>"
        )
        if place:
            title = f"<summary>{title}</summary>"
            parts.append(f'<details class="{finding.severity}">{title}{_body(finding)}</details>')
        else:
            parts.append(f'<section class="{finding.severity}">{title}{_body(finding)}</section>')
    if symptoms:
        names = ", ".join(f"<code>{escape(finding.id)}</code>" for finding in symptoms)
        parts.append(f"<p>also seen, perhaps only because of the errors: {names}</p>")
    if not_examined:
        items = "".join(f"<li>{escape(line)}</li>" for line in not_examined)
        parts.append(f"<p>not examined:</p><ul>{items}</ul>")
    return f'<div class="spellout-report">{"".join(parts)}</div>'


def _body(finding: Finding) -> str:
    there = position(finding.where)
    rows = excerpt(there, None) if there is not None else []
    code = "\n".join(
        f"<i>{escape(margin)}</i>" + (f"<b>{escape(text)}</b>" if margin.startswith(">") else escape(text))
        for margin, text in rows
    )
    because = f"{finding.because}, found above, explains it" if finding.because else ""
    fields = {
        "where": finding.where, "evidence": finding.evidence, "because": because, "cure": finding.cure,
        "legitimate": finding.when_legitimate,
    }  # fmt: skip
    told = "".join(f"<dt>{name}</dt><dd>{_prose(text)}</dd>" for name, text in fields.items() if text)
    return (f"<pre>{code}</pre>" if code else "") + f"<dl>{told}</dl>"


def _prose(text: str) -> str:
    """Text with its code between backticks set as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
