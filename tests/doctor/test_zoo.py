"""Healthy code stays silent: no error anywhere, and at most one warning in the whole zoo."""

import pytest
import torch

import doctor.more_zoo  # noqa: F401  (adds to the zoo)
from doctor.zoo import ZOO
from spellout.doctor import examine

WARNINGS = []


@pytest.mark.parametrize("program", ZOO, ids=lambda program: program.__name__)
def test_a_healthy_program_has_no_error(program):
    torch.manual_seed(0)
    report = examine(**program())
    assert not report.errors, str(report)
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined
    WARNINGS.extend(report.warnings)
    assert len(WARNINGS) <= 1, [str(finding) for finding in WARNINGS]
