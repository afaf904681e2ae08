"""A report holds everything that one examination found, the cause first, and shows it in several ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from .annotations import annotation
from .causes import ECHOES, causes_first
from .findings import ORDER, Facts, Finding
from .fixes import fix
from .lines import Line, written
from .page import page_of
from .source import position


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
    examined: bool = True
    """Was there anything to examine?"""

    @classmethod
    def of(cls, findings: Iterable[Finding], missing: Iterable[str], facts: Facts) -> Report:
        """Sort findings, say each once, and put symptoms aside where an exact cause was found."""
        once: dict[object, Finding] = {}
        for finding in findings:
            once.setdefault((finding.id, finding.where or finding.evidence), finding)
        # Two checks may see one mistake, and only one of them the user's line.
        lines = {finding.id for finding in once.values() if position(finding.where) is not None}
        once = {key: one for key, one in once.items() if one.id not in lines or position(one.where) is not None}
        ordered = causes_first(once.values())
        causes = any(finding.severity == "error" for finding in ordered)
        aside = tuple(
            finding
            for finding in ordered
            if (causes and finding.page.symptom) or (finding.because, finding.id) in ECHOES
        )
        shown = tuple(finding for finding in ordered if finding not in aside)
        return cls(findings=shown, symptoms=aside, not_examined=tuple(missing), facts=facts)

    @classmethod
    def together(cls, reports: Mapping[str, Report]) -> Report:
        """Put the reports of several programs in one; a finding says of which it is, with numbers of the first."""

        def named(part: Literal["findings", "symptoms"]) -> tuple[Finding, ...]:
            found: dict[object, tuple[Finding, list[str]]] = {}
            for name, report in reports.items():
                for one in getattr(report, part):
                    shared = position(one.where) is not None  # a line is the same for all, and told once
                    key = (one.id, str(one.where)) if shared else (one.id, name, one.where, one.evidence)
                    found.setdefault(key, (one, []))[1].append(name)
            told = [
                replace(one, evidence=f"{', '.join(dict.fromkeys(names))}: {one.evidence}")
                for one, names in found.values()
            ]
            return tuple(sorted(told, key=lambda finding: ORDER.index(finding.severity)))

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
        """Something was examined, and there is neither an error nor a warning."""
        return self.examined and not self.errors and not self.warnings

    def to_json(self) -> dict[str, object]:
        """All fields as JSON."""
        return {
            "healthy": self.healthy,
            "findings": [finding.to_json() for finding in self.findings],
            "symptoms": [finding.to_json() for finding in self.symptoms],
            "not_examined": list(self.not_examined),
            "facts": self.facts,
        }

    @property
    def summary(self) -> str:
        """How many of each severity."""
        counts = [(sum(f.severity == severity for f in self.findings), severity) for severity in ORDER]
        return ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count) or (
            "healthy" if self.examined else "nothing was examined"
        )

    def lines(self, width: int | None = 80) -> list[Line]:
        """The report for people, at most so many columns wide; None: every text on one line."""
        return written(self.summary, self.findings, self.symptoms, self.not_examined, width)

    def fixes(self) -> str:
        """The small changes that are certain, as a unified diff; empty where there is none."""
        return "".join(change for finding in self.findings if (change := fix(finding)))

    def __str__(self) -> str:
        return "\n".join(line.plain for line in self.lines())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return page_of(self.summary, self.findings, self.symptoms, self.not_examined)

    def annotations(self) -> str:
        """The findings as commands of GitHub's workflows, one a line."""
        return "\n".join(annotation(finding) for finding in self.findings)

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_json(), ensure_ascii=False)
