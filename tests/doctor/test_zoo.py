"""Healthy code stays silent: neither error nor warning, whatever kind of program it is."""

import pytest
import torch

import doctor.more_zoo  # noqa: F401  (adds to the zoo)
from doctor.zoo import ZOO
from spellout.doctor import examine


@pytest.mark.parametrize("program", ZOO, ids=lambda program: program.__name__)
def test_a_healthy_program_is_left_alone(program):
    torch.manual_seed(0)
    report = examine(**program())
    assert report.healthy, str(report)
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined


def test_the_zoo_is_full():
    assert len({program.__name__ for program in ZOO}) == len(ZOO) >= 40
