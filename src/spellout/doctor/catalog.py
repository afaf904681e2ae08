"""Every page of the doctor by its id: the one table that the report, `--explain` and the docs are read from."""

from __future__ import annotations

from . import (
    activations,
    broadcasting,
    data,
    dependence,
    failures,
    first_loss,
    learning_rate,
    modes,
    nonfinite,
    normalization,
    overfit,
    parameters,
    reproducible,
    reshapes,
    stepping,
    units,
)
from .report import Page

_FAMILIES = (
    overfit, modes, stepping, activations, dependence, reshapes, broadcasting, first_loss, normalization, units,
    learning_rate, parameters, nonfinite, data, failures, reproducible,
)  # fmt: skip
PAGES: dict[str, Page] = {
    page.id: page
    for page in sorted((page for family in _FAMILIES for page in family.PAGES), key=lambda page: page.number)
}
