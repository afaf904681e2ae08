"""The learning-rate finder, on a problem whose answer is known: gradient descent on a parabola."""

import math

import pytest

from spellout.api import train
from spellout.app.commands.experiments.lr_find import print_curve
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.experiments.lr_finder import HIGHEST, LOWEST, LrCurve, find_lr, find_lr_for


class Parabola:
    """f(w) = 10 + curvature w² / 2 by gradient descent: it falls below, and explodes above, lr = 2 / curvature.

    Every batch adds its own noise to the loss.
    """

    examples, batch, lr = 1000, 10, 0.1

    def __init__(self, curvature, noise=0.0, start=1.0):
        self.w, self.curvature, self.noise = start, curvature, noise

    def step(self, chosen, lr):
        loss = 10.0 + 0.5 * self.curvature * self.w**2 + self.noise * math.sin(chosen.sum())
        self.w -= lr * self.curvature * self.w
        return loss


@pytest.mark.parametrize("noise", [0.0, 2.0])
@pytest.mark.parametrize("curvature", [1.0, 10.0, 100.0])
def test_the_suggestion_is_below_where_a_parabola_explodes(curvature, noise):
    curve = find_lr(Parabola(curvature, noise), Parabola(curvature, noise), steps=300)
    limit = 2 / curvature
    assert limit / 60 < curve.suggestion < limit
    assert curve.diverged == (limit < 1)


def test_rates_are_even_in_their_logarithm():
    curve = find_lr(Parabola(0.1), Parabola(0.1), steps=7)
    assert [math.log10(rate) for rate in curve.rates] == pytest.approx([-5, -4, -3, -2, -1, 0, 1])
    assert (LOWEST, HIGHEST) == (1e-5, 10.0)


@pytest.mark.parametrize("start", [0.0, math.nan])
def test_where_nothing_can_be_gained_nothing_is_suggested(start, capsys):
    curve = find_lr(Parabola(1.0, 1.0, start), Parabola(1.0, 1.0, start), steps=100)
    assert curve.suggestion is None
    assert curve.diverged == math.isnan(start)
    print_curve(curve)
    assert "no rate lowered the loss" in capsys.readouterr().err


def test_the_suggestion_for_the_neural_bigram_trains_it(few, neural):
    curve = find_lr_for(few, parse_specification("neural"), steps=100, batch=256)
    done = {
        lr: train(few, "neural", training=TrainingConfig(steps=100, lr=lr, patience=0)).dev.nats_per_char
        for lr in (curve.suggestion / 100, curve.suggestion, 10.0)
    }
    assert min(done, key=done.__getitem__) == curve.suggestion


def test_the_curve_of_a_network_that_starts_well_is_not_its_noise(few, neural):
    """Started from the order it can express at best, hardly anything is left to learn, at any rate."""
    curve = find_lr_for(few, parse_specification("neural:noise=0", "ngram:2"), steps=100, batch=16)
    assert max(curve.losses[:50]) - min(curve.losses[:50]) > 0.3
    assert max(curve.smoothed[:50]) - min(curve.smoothed[:50]) < 0.03


def test_an_empty_curve_is_printed(capsys):
    print_curve(LrCurve([], [], [], None, True))
    assert capsys.readouterr().out == "lr\tloss\tsmoothed\n"
