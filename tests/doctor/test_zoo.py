"""Healthy code stays silent: neither error nor warning, whatever kind of program it is.

`bench/doctor_zoo.py` examines the whole zoo; here are every sixth of its first rooms, and those programs of the
others that were once accused.
"""

import importlib

import pytest
import torch

import doctor.more_zoo  # noqa: F401  (adds to the zoo)
from doctor.zoo import ZOO
from spellout.doctor import examine

ROOMS = (
    "vision",
    "sequences",
    "generative",
    "decisions",
    "representations",
    "structures",
    "tables",
    "loops",
    "second",
)
ALWAYS = list(ZOO)
for room in ROOMS:
    importlib.import_module(f"doctor.animals.{room}")
KNOWN = {program.__name__: program for program in ZOO}
ONCE_ACCUSED = (
    "flattened_digits_with_a_black_border",
    "vgg_with_batchnorm_and_biases",
    "raw_bytes_through_batchnorm",
    "squeeze_and_excitation",
    "two_augmented_views_and_consistency",
    "the_loss_shifts_inside",
    "the_model_shifts_inside_and_returns_its_loss",
    "the_start_symbol_is_put_before_the_line_inside",
    "sentence_autoencoder_with_teacher_forcing",
    "sentence_vae",
    "captions_from_pictures",
    "transformer_tutorial_with_time_first",
    "word_language_model_with_carried_state",
    "hinge_gan_with_spectral_norm_and_an_average_generator",
    "duelling_double_q",
    "direct_preference_optimisation",
    "momentum_contrast",
    "siamese_digits_with_one_score",
    "angular_margin",
    "graph_convolution_with_a_sparse_adjacency_and_a_mask",
    "polynomial_as_in_the_tutorial",
    "words_by_skip_gram_with_negatives",
)


@pytest.mark.parametrize(
    "program", ALWAYS[::6] + [KNOWN[name] for name in ONCE_ACCUSED], ids=lambda program: program.__name__
)
def test_a_healthy_program_is_left_alone(program):
    torch.manual_seed(0)
    report = examine(**program())
    assert report.healthy, str(report)
    assert not [line for line in report.not_examined if "failed on this program" in line], report.not_examined


def test_the_zoo_is_full():
    assert len(KNOWN) == len(ZOO) >= 230
