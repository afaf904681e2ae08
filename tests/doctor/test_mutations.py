"""Every mutation of two small Transformers is named; what nothing can name is not accused, nor are healthy ones."""

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
SLOW = ("learning_rate", "overfit", "units", "activations", "twins")
"""Files of checks that know nothing of attention."""


def name(value):
    return getattr(value, "__name__", "")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    kept = [row for row in catalog.CHECKS if row[1].__name__.rpartition(".")[2] not in SLOW]
    monkeypatch.setattr(catalog, "CHECKS", kept)


def run(program):
    torch.manual_seed(0)
    report = examine(**{**program(), "step": None, "evaluate": None})
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined
    return report


@pytest.mark.parametrize(("ids", "program"), NAMED, ids=name)
def test_the_mutation_is_named(ids, program):
    report = run(program)
    assert {finding.id for finding in (*report.findings, *report.symptoms)} & set(ids), str(report)


@pytest.mark.parametrize("program", [*UNDETECTABLE, *TRANSFORMERS], ids=name)
def test_nothing_is_accused_that_is_right(program):
    report = run(program)
    assert report.healthy, str(report)


def test_the_table_is_full():
    programs = [program.__name__ for _, _, _, program in MUTATIONS]
    assert len(set(programs)) == len(programs) >= 90
    assert len({category for category, *_ in MUTATIONS}) >= 9
    assert all(ids or reason for _, ids, reason, _ in MUTATIONS)
    assert {one for _, ids, _, _ in MUTATIONS for one in ids or ()} <= set(PAGES)
    assert len({program.__name__ for program in TRANSFORMERS}) == len(TRANSFORMERS) >= 35
