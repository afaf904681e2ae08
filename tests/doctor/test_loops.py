"""What is named where the step and the evaluation are handed over is named in a loop that is only watched, too.

Here some of every kind of evidence; `bench/doctor_tables.py --watched` examines all.
"""

import importlib

import pytest
import torch

from doctor.loops import watched
from doctor.table import FAULTY, HEALTHY

for part in ("steps", "parameters", "logits", "leaves", "updates", "batches", "evaluation", "time"):
    importlib.import_module(f"doctor.pairs_{part}")

NAMED = (
    "forgot_eval", "handed_over_in_eval_mode", "evaluated_with_gradients", "the_training_noise_in_the_evaluation",
    "the_same_function_for_both", "percent_by_the_batches_among_others", "a_last_batch_of_four",
    "encoder_under_no_grad_in_the_step", "optimizer_of_another_copy", "backward_forgotten", "loss_wrapped_again",
    "put_back_after_every_step", "scheduler_first", "milestones_by_the_batch", "two_permutations",
    "the_slice_does_not_move", "a_loader_built_in_the_step", "a_state_and_random_rows",
)  # fmt: skip
LEFT_ALONE = (
    "tensor_moved_by_hand", "a_picture_is_optimised", "a_mean_over_time_that_comes_first",
    "scaled_and_unscaled_by_hand", "an_adversary_against_frozen_weights", "one_group_at_rest",
    "sums_by_the_number_of_samples", "gradients_by_the_inputs", "eval_mode_without_anything_that_minds",
)  # fmt: skip


def programs(table, names):
    return [(name, program) for name, program in table if program.__name__ in names]


def looked_at(program):
    torch.manual_seed(0)
    report = watched(program(), overfit_seconds=0.0)
    assert not [line for line in report.not_examined if "failed" in line], report.not_examined
    return report


@pytest.mark.parametrize(
    ("name", "program"), programs(FAULTY, NAMED), ids=lambda one: getattr(one, "__name__", one)
)
def test_the_mistake_is_named_in_a_loop(name, program):
    report = looked_at(program)
    assert name in {finding.id for finding in (*report.findings, *report.symptoms)}, str(report)


@pytest.mark.parametrize(
    ("name", "program"), programs(HEALTHY, LEFT_ALONE), ids=lambda one: getattr(one, "__name__", one)
)
def test_the_look_alike_is_left_alone_in_a_loop(name, program):
    report = looked_at(program)
    assert report.healthy, str(report)


def test_all_of_these_are_there():
    assert {program.__name__ for _, program in FAULTY} >= set(NAMED)
    assert {program.__name__ for _, program in HEALTHY} >= set(LEFT_ALONE)
