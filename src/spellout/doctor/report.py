"""The doctor speaks in pages (one per kind of mistake) and findings (one per mistake), which a report holds.

A page is what can be said about a mistake without seeing the program; a finding adds the numbers and the line. An
*error* rests on exact evidence, a *warning* on a measured effect, a *note* is worth knowing.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Severity = Literal["error", "warning", "note"]
Facts = dict[str, float | int | str]
_ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One kind of mistake: its stable id and everything that is always true about it."""

    id: str
    """Stable words joined by hyphens; `--ignore` and `--explain` take it."""
    number: int
    """Which of the 25 families of checks it belongs to."""
    severity: Severity = "error"
    """How sure the evidence makes us, unless a finding says less."""
    title: str
    """The mistake in a few words."""
    why: str
    """What it does to the training."""
    evidence: str
    """What is measured."""
    legitimate: str = "Never."
    """When the same thing is meant."""
    cure: str
    """What to write instead."""
    symptom: bool = False
    """Shown only where no error explains it."""

    def found(self, evidence: str, where: str | None = None, severity: Severity | None = None) -> Finding:
        """This mistake, seen in a program."""
        return Finding(page=self, evidence=evidence, where=where, severity=severity or self.severity)

    def __str__(self) -> str:
        return (
            f"{self.id} ({self.severity}): {self.title}\n\nwhy         {self.why}\nevidence    {self.evidence}\n"
            f"legitimate  {self.legitimate}\ncure        {self.cure}"
        )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One mistake in one program."""

    page: Page
    """The kind of mistake."""
    evidence: str
    """What was measured, with numbers."""
    where: str | None = None
    """`file:line` of the user's code, or the name of the module."""
    severity: Severity
    """As the page says, or what the evidence of this case allows."""

    @property
    def id(self) -> str:
        """The stable id."""
        return self.page.id

    @property
    def title(self) -> str:
        """The mistake in a few words."""
        return self.page.title

    @property
    def cure(self) -> str:
        """What to write instead."""
        return self.page.cure

    @property
    def when_legitimate(self) -> str:
        """When the same thing is meant."""
        return self.page.legitimate

    def to_json(self) -> dict[str, str | None]:
        """All fields as JSON."""
        fields = ("id", "severity", "title", "evidence", "where", "cure", "when_legitimate")
        return {name: getattr(self, name) for name in fields}

    def __str__(self) -> str:
        where = f"\n  where       {self.where}" if self.where else ""
        return (
            f"{self.severity}: {self.title} [{self.id}]{where}\n  evidence    {self.evidence}\n"
            f"  cure        {self.cure}\n  legitimate  {self.when_legitimate}"
        )


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything one examination found."""

    findings: tuple[Finding, ...] = ()
    """The worst first."""
    symptoms: tuple[Finding, ...] = ()
    """What an error among the findings may explain; examine again when it is mended."""
    not_examined: tuple[str, ...] = ()
    """What could not be judged, and what is missing for it."""
    facts: Facts = field(default_factory=dict)
    """Losses and counts measured on the way."""

    @classmethod
    def of(cls, findings: Iterable[Finding], missing: Iterable[str], facts: Facts) -> Report:
        """Sort findings, say each once, and put symptoms aside where an exact cause was found."""
        once: dict[object, Finding] = {}
        for finding in findings:
            once.setdefault((finding.id, finding.where or finding.evidence), finding)
        # Two checks may see one mistake, and only one of them the user's line.
        lines = {finding.id for finding in once.values() if _has_line(finding)}
        once = {key: one for key, one in once.items() if one.id not in lines or _has_line(one)}
        ordered = sorted(once.values(), key=lambda finding: (_ORDER.index(finding.severity), finding.page.number))
        causes = any(finding.severity == "error" for finding in ordered)
        aside = tuple(finding for finding in ordered if causes and finding.page.symptom)
        shown = tuple(finding for finding in ordered if finding not in aside)
        return cls(findings=shown, symptoms=aside, not_examined=tuple(missing), facts=facts)

    @classmethod
    def together(cls, reports: Mapping[str, Report]) -> Report:
        """Put the reports of several programs in one; every finding says of which it is."""

        def named(part: Literal["findings", "symptoms"]) -> tuple[Finding, ...]:
            found = [
                replace(finding, evidence=f"{name}: {finding.evidence}")
                for name, report in reports.items()
                for finding in getattr(report, part)
            ]
            return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))

        missing = tuple(f"{name}: {line}" for name, report in reports.items() for line in report.not_examined)
        facts = {f"{name}: {fact}": value for name, one in reports.items() for fact, value in one.facts.items()}
        return cls(findings=named("findings"), symptoms=named("symptoms"), not_examined=missing, facts=facts)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are certain."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that rest on a measured effect."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def healthy(self) -> bool:
        """Neither an error nor a warning."""
        return not self.errors and not self.warnings

    def to_json(self) -> dict[str, object]:
        """All fields as JSON."""
        return {
            "healthy": self.healthy,
            "findings": [finding.to_json() for finding in self.findings],
            "symptoms": [finding.to_json() for finding in self.symptoms],
            "not_examined": list(self.not_examined),
            "facts": self.facts,
        }

    def _summary(self) -> str:
        counts = [(sum(f.severity == severity for f in self.findings), severity) for severity in _ORDER]
        return ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count) or "healthy"

    def __str__(self) -> str:
        parts = [self._summary(), *(str(finding) for finding in self.findings)]
        if self.symptoms:
            names = ", ".join(finding.id for finding in self.symptoms)
            parts.append(f"also seen, perhaps only because of the errors: {names}")
        if self.not_examined:
            parts.append("not examined:\n" + "\n".join(f"  {line}" for line in self.not_examined))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{finding.severity}</td><td><b>{html.escape(finding.title)}</b><br><code>{finding.id}</code></td>"
            f"<td><code>{html.escape(finding.where or '')}</code></td><td>{html.escape(finding.evidence)}</td>"
            f"<td>{html.escape(finding.cure)}</td></tr>"
            for finding in self.findings
        )
        skipped = "".join(f"<li>{html.escape(line)}</li>" for line in self.not_examined)
        head = "<tr><th>severity</th><th>what</th><th>where</th><th>evidence</th><th>cure</th></tr>"
        table = f"<table>{head}{rows}</table>" if rows else ""
        more = f"<p>not examined:</p><ul>{skipped}</ul>" if skipped else ""
        return f"<p>{self._summary()}</p>{table}{more}"

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_json(), ensure_ascii=False)


def _has_line(finding: Finding) -> bool:
    """Does it name a line? The same mistake seen without the user's code around it names only a module."""
    return re.search(r":\d+", finding.where or "") is not None
