"""Mutations of two small Transformers are named; what nothing can name is not accused, nor are healthy ones.

Here every sixth of each table; `bench/doctor_tables.py` examines all.
"""

import pytest
import torch

import doctor.mutations_decoder
import doctor.mutations_encoder  # noqa: F401  (both add to the table)
from doctor.mutations import MUTATIONS
from doctor.zoo_transformers import TRANSFORMERS
from spellout.doctor import PAGES, examine
from spellout.doctor.checks import catalog

NAMED = [(ids, program) for _, ids, _, program in MUTATIONS if ids]
UNDETECTABLE = [program for _, ids, _, program in MUTATIONS if not ids]


def name(value):
    return getattr(value, "__name__", "")


def run(program, monkeypatch, *ids):
    """Only the room of attention is asked, and whatever else can find one of these ids."""
    asked = [
        (evidence, fits, check)
        for evidence, fits, check in catalog.CHECKS
        if ".attention." in check.__name__ or {page.id for page in check.PAGES} & set(ids)
    ]
    monkeypatch.setattr(catalog, "CHECKS", asked)
    torch.manual_seed(0)
    report = examine(**{**program(), "step": None, "evaluate": None})
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined
    return report


@pytest.mark.parametrize(("ids", "program"), NAMED[::6], ids=name)
def test_the_mutation_is_named(ids, program, monkeypatch):
    report = run(program, monkeypatch, *ids)
    assert {finding.id for finding in (*report.findings, *report.symptoms)} & set(ids), str(report)


@pytest.mark.parametrize("program", [*UNDETECTABLE, *TRANSFORMERS][::6], ids=name)
def test_nothing_is_accused_that_is_right(program, monkeypatch):
    report = run(program, monkeypatch)
    assert report.healthy, str(report)


def test_the_table_is_full():
    programs = [program.__name__ for _, _, _, program in MUTATIONS]
    assert len(set(programs)) == len(programs) >= 90
    assert len({category for category, *_ in MUTATIONS}) >= 9
    assert all(ids or reason for _, ids, reason, _ in MUTATIONS)
    assert {one for _, ids, _, _ in MUTATIONS for one in ids or ()} <= set(PAGES)
    assert len({program.__name__ for program in TRANSFORMERS}) == len(TRANSFORMERS) >= 35
