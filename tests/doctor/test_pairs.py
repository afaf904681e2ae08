"""The mistakes of the table are found by their ids; their healthy look-alikes get neither error nor warning.

Here the first program of every kind; `bench/doctor_tables.py` examines all.
"""

import importlib

import pytest
import torch

from doctor.table import FAULTY, HEALTHY
from spellout.doctor import PAGES, examine

PARTS = (
    *("steps", "losses", "structure", "parameters", "numbers", "data"),
    *("leaves", "objectives", "logits", "padding", "lengths"),
    *("updates", "batches", "evaluation", "time"),
    *("equivalences", "thorough"),
    *("flows", "policies", "schedules", "terms"),
)
for part in PARTS:
    importlib.import_module(f"doctor.pairs_{part}")


def firsts(table):
    """The first program of every id."""
    return list({name: (name, program) for name, program in reversed(table)}.values())


def run(program):
    torch.manual_seed(0)
    report = examine(**program())
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined
    return report


@pytest.mark.parametrize(("name", "program"), firsts(FAULTY), ids=lambda value: getattr(value, "__name__", value))
def test_the_mistake_is_named(name, program):
    report = run(program)
    assert name in {finding.id for finding in (*report.findings, *report.symptoms)}, str(report)


@pytest.mark.parametrize(("name", "program"), firsts(HEALTHY), ids=lambda value: getattr(value, "__name__", value))
def test_the_look_alike_is_left_alone(name, program):
    report = run(program)
    assert report.healthy, str(report)


def test_every_check_has_two_pairs():
    for table in (FAULTY, HEALTHY):
        for number in range(1, 28):
            ids = {page.id for page in PAGES.values() if page.number == number}
            assert sum(name in ids for name, _ in table) >= 2, number
    assert {name for name, _ in FAULTY} <= set(PAGES)
