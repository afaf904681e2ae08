"""Every page of the doctor by its id: the one table that the report, `--explain` and the docs are read from."""

from __future__ import annotations

from ..report import Page
from . import data, failures
from .losses import first_loss, learning_rate, nonfinite, overfit
from .steps import modes, parameters, reproducible, stepping
from .units import activations, normalization, units
from .wiring import broadcasting, dependence, reshapes

_FAMILIES = (
    overfit, modes, stepping, activations, dependence, reshapes, broadcasting, first_loss, normalization, units,
    learning_rate, parameters, nonfinite, data, failures, reproducible,
)  # fmt: skip
PAGES: dict[str, Page] = {
    page.id: page
    for page in sorted((page for family in _FAMILIES for page in family.PAGES), key=lambda page: page.number)
}
