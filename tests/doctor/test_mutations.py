"""Every mutation of the two small Transformers is named; what nothing can name is said to be so, and not accused."""

import pytest
import torch

import doctor.mutations_decoder
import doctor.mutations_encoder  # noqa: F401  (both add to the table)
from doctor.mutations import MUTATIONS
from spellout.doctor import PAGES, examine

NAMED = [(ids, program) for _, ids, _, program in MUTATIONS if ids]
UNDETECTABLE = [program for _, ids, _, program in MUTATIONS if not ids]


def name(value):
    return getattr(value, "__name__", "")


def run(program):
    torch.manual_seed(0)
    report = examine(**program(), overfit_seconds=0.0)
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined
    return report


@pytest.mark.parametrize(("ids", "program"), NAMED, ids=name)
def test_the_mutation_is_named(ids, program):
    report = run(program)
    assert {finding.id for finding in (*report.findings, *report.symptoms)} & set(ids), str(report)


@pytest.mark.parametrize("program", UNDETECTABLE, ids=name)
def test_what_nothing_can_show_is_not_accused(program):
    report = run(program)
    assert not report.errors, str(report)
    assert not report.warnings, str(report)


def test_the_table_is_full():
    programs = [program.__name__ for _, _, _, program in MUTATIONS]
    assert len(set(programs)) == len(programs) >= 60
    assert len({category for category, *_ in MUTATIONS}) >= 8
    assert all(ids or reason for _, ids, reason, _ in MUTATIONS)
    assert {name for _, ids, _, _ in MUTATIONS for name in ids or ()} <= set(PAGES)
