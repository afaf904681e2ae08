"""A page says what is always true of a kind of mistake; a finding is one in a program, with numbers and a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Facts = dict[str, float | int | str]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
"""The surest first."""


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
    because: str | None = None
    """The id of another finding of the same report that explains this one."""

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
        fields = ("id", "severity", "title", "evidence", "where", "cure", "when_legitimate", "because")
        return {name: getattr(self, name) for name in fields}
