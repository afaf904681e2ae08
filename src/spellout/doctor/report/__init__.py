"""The doctor speaks in pages (one per kind of mistake) and findings (one per mistake), which a report holds.

A page is what can be said about a mistake without seeing the program; a finding adds the numbers and the line. An
*error* rests on exact evidence, a *warning* on a measured effect, a *note* is worth knowing. A check needs pages
and findings alone; how they are told (`report.py` and what it calls) stands above the checks.
"""

from .findings import Facts, Finding, Page, Severity

__all__ = ["Facts", "Finding", "Page", "Severity"]
