"""Where in a line something went wrong: the stretch of letters that noise explains better than the list does.

Whether a line is odd is not how surprising its letters are: those of a licence plate are hard to guess, and all
plates are alike in that. It is how much likelier the line becomes if a stretch of it is noise, letters drawn
without regard to what stands before them. That is a likelihood ratio; the best stretch is found as the largest sum
of consecutive numbers (Bentley 1984, "Algorithm design techniques"), and pays for having been chosen among all
stretches (a scan statistic, Glaz, Naus & Wallenstein 2001). So long lines are not odder than short ones, and one
wrong letter in a long line counts. A line may also be a little odd everywhere, which `excess` measures.

    L lines · P positions, one for each letter and each end of a line
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Damage:
    """The stretch of each line that is best explained by noise.

    Attributes:
        nats: by how much noise explains it better, (L,); below 0 where the list explains the line.
        starts, stops: the stretch, (L,) each, counted from the line's first letter; its end counts as one.
    """

    nats: np.ndarray
    starts: np.ndarray
    stops: np.ndarray


def damage(stream: np.ndarray, nats: np.ndarray, letters: np.ndarray) -> Damage:
    """Find it in the lines of a stream `0 line 0 line 0`, from the surprise (P,) at every position.

    `letters` (V,) is how often each token stands in the list: noise is half of such letters, half of any.
    """
    boundaries = np.flatnonzero(stream == 0)
    first, lengths = boundaries[:-1], np.diff(boundaries)
    line = np.repeat(np.arange(len(lengths)), lengths)
    noise = -np.log(0.5 * letters / letters.sum() + 0.5 / len(letters))
    gains = nats - noise[stream[1:]]
    whole = np.add.reduceat(gains, first)
    sums = np.cumsum(gains)
    sums -= (sums - gains)[first][line]  # of each line's own
    before = sums - gains  # the sum of what stands before each position
    # A running minimum that begins anew in every line, as each line lies far below the one before it.
    far = 2.0 * float(np.abs(before).max()) + 1.0
    lowest = np.minimum.accumulate(before - far * line)
    places = np.arange(len(gains))
    start_at = np.maximum.accumulate(np.where(before - far * line <= lowest, places, 0))
    best = sums - before[start_at]
    # The last position of each line at which the best stretch ends.
    order = np.lexsort((best, line))
    stop_at = order[np.cumsum(lengths) - 1]
    stretches = np.log(lengths * (lengths + 1.0) / 2.0)
    ratio = np.logaddexp(best[stop_at] - stretches, whole) - np.log(2.0)
    return Damage(ratio, start_at[stop_at] - first, stop_at + 1 - first)


def excess(nats: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give by how many standard deviations or so each line (L,) is more surprising than lines of its length.

    `nats` (L,) are of whole lines, of so many positions, `lengths` (L,). What a line costs grows with its length,
    and how much that varies with the root of it.
    """
    longest = np.quantile(lengths, 0.99)
    usual = lengths <= longest  # the few others would decide where the line goes
    design = np.stack([lengths, np.ones(len(lengths))], axis=1).astype(float)
    slope_and_offset, *_ = np.linalg.lstsq(design[usual], nats[usual], rcond=None)
    return (nats - design @ slope_and_offset) / np.sqrt(lengths)
