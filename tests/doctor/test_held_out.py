"""The held-out pairs: the mistake found, no false alarm. Every fourth one; `bench/doctor_tables.py` has all."""

import pytest
import torch

import doctor.held_out_more  # noqa: F401  (adds to the pairs)
from doctor.held_out import PAIRS
from spellout.doctor import examine


@pytest.mark.parametrize(("name", "program"), PAIRS[::4], ids=lambda value: getattr(value, "__name__", value))
def test_the_mistake_is_named_and_its_twin_left_alone(name, program):
    torch.manual_seed(0)
    report = examine(**program(False))
    assert name in {finding.id for finding in (*report.findings, *report.symptoms)}, str(report)
    torch.manual_seed(0)
    report = examine(**program(True))
    assert report.healthy, str(report)
