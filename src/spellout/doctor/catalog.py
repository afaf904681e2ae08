"""Every page of the doctor by its id: the one table that the report, `--explain` and the docs are read from."""

from __future__ import annotations

from . import failures, modes, stepping
from .report import Page

_FAMILIES = (stepping, modes, failures)
PAGES: dict[str, Page] = {
    page.id: page
    for page in sorted((page for family in _FAMILIES for page in family.PAGES), key=lambda page: page.number)
}
