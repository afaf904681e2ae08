"""Mend: a doctor for PyTorch training names the mistake, the line and the cure. It needs the extra `[torch]`."""

from ..errors import ExaminationError

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ExaminationError("the doctor needs PyTorch: pip install 'spellout[torch]'") from error

from .case import Case
from .checks.catalog import PAGES
from .examination import assert_healthy, examine
from .report import Finding, Page
from .report.report import Report
from .scripts.watching import load_ipython_extension as load_ipython_extension
from .scripts.watching import watch

__all__ = [
    "PAGES",
    "Case",
    "Finding",
    "Page",
    "Report",
    "assert_healthy",
    "examine",
    "load_ipython_extension",
    "watch",
]
