"""What a network may start from: an n-gram, or many counts mixed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ngram.model import NgramModel
from .model import CountsModel

Prior = NgramModel | CountsModel


def restore_prior(settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Prior:
    """Invert a prior's `settings` and `arrays`; ValueError or KeyError if they are of none."""
    family: type[Prior] = CountsModel if "views" in settings else NgramModel
    return family.restore(settings, arrays)
