"""Training does what it did: the losses written down by `golden_losses.py`."""

import pytest

from golden_losses import PATH, SPECIFICATIONS, TOLERANCE, loss_of

WRITTEN = dict(line.split() for line in PATH.read_text("utf-8").splitlines())


def test_every_one_is_written_down():
    assert list(WRITTEN) == SPECIFICATIONS


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_the_loss_is_what_it_was(specification):
    assert loss_of(specification) == pytest.approx(float(WRITTEN[specification]), abs=TOLERANCE)
