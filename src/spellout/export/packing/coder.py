"""Bits in little room: each is predicted, and costs as much as the prediction was wrong.

Six contexts, which are hashes, each know how often a 1 came after them (`chances`). Their logarithmic odds are
mixed with weights that learn from every bit (Mahoney 2005, "Adaptive weighing of context models for lossless data
compression"), and the bit is written by arithmetic coding with that chance. Whoever reads makes the same
predictions from what was read before. All of it is whole numbers, so that JavaScript, where this is written once
more (`html/packed.js`), predicts the same to the last bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...programs.kernels.compiling import part

CONTEXTS = 6
PHASES = 8
"""What a bit says: each kind has mixing weights of its own."""
_WORD = 0xFFFFFFFF
_SLOW = 255
_FASTEST_LEARNING = 14
_LARGEST_ODDS, _LARGEST_MIXED = 2047, 3071
WRITES, LOW, HIGH, READ, PLACE, SHIFT = range(6)
"""Places in `Coder.numbers`: 1 if bits are written, the interval, what was read, where, and how hashes are cut."""

ODDS = np.array(
    [max(-_LARGEST_ODDS, min(_LARGEST_ODDS, round(math.log((i + 0.5) / (4095.5 - i)) * 256))) for i in range(4096)]
)
"""Logarithmic odds times 256, of a chance in 12 bits."""
CHANCE = np.array(
    [
        max(1, min(65535, round(65536 / (1 + math.exp(-i / 256)))))
        for i in range(-_LARGEST_MIXED, _LARGEST_MIXED + 1)
    ]
)
"""The chance in 16 bits, of logarithmic odds times 256."""
RATE = np.array([int(32768 / (n + 1.5)) for n in range(_SLOW + 1)])
"""How far a chance moves to what came, in 15 bits, when so many came before."""


class Coder(NamedTuple):
    """What is learned while bits are written or read, and the bytes."""

    chances: np.ndarray
    times: np.ndarray
    weights: np.ndarray
    hashes: np.ndarray
    places: np.ndarray
    odds: np.ndarray
    numbers: np.ndarray
    data: np.ndarray


def coder(data: np.ndarray, slots: int, writes: bool) -> Coder:
    """Make a coder with 2 to the power `slots` contexts that writes to bytes, or reads them."""
    numbers = np.array([int(writes), 0, _WORD, 0, 0, 32 - slots])
    made = Coder(
        np.full(1 << slots, 32768, np.uint16),
        np.zeros(1 << slots, np.uint8),
        np.full(PHASES * 16 * CONTEXTS, 26214),
        np.zeros(CONTEXTS, np.int64),
        np.zeros(CONTEXTS, np.int64),
        np.zeros(CONTEXTS, np.int64),
        numbers,
        data,
    )
    if not writes:
        numbers[READ] = int.from_bytes(bytes(data[:4]).ljust(4, b"\0"), "big")
        numbers[PLACE] = 4
    return made


def finish(made: Coder) -> int:
    """Write what tells the last bits, and say how many bytes all needed, perhaps more than there are."""
    numbers = made.numbers
    for shift in (24, 16, 8, 0):
        if numbers[PLACE] < len(made.data):
            made.data[numbers[PLACE]] = int(numbers[HIGH]) >> shift & 255
        numbers[PLACE] += 1
    return int(numbers[PLACE])


@part
def mixed(a: int, b: int) -> int:
    """A hash of two numbers, of 32 bits."""
    h = ((a ^ b) * 0x9E3779B1) & 0xFFFFFFFF
    return h ^ (h >> 15)


@part
def bucket(n: int) -> int:
    """Small numbers as they are, larger ones by their order of magnitude."""
    k = 0
    while n > 7:
        n >>= 1
        k += 1
    return n + 4 * k


@part
def coded(made: Coder, phase: int, bit: int) -> int:
    """Write a bit, or read one, in the contexts that stand in `made.hashes`; give the bit."""
    chances, times, weights, places, odds = made.chances, made.times, made.weights, made.places, made.odds
    for i in range(6):
        h = ((made.hashes[i] + i * 0x3C6EF372) * 0x85EBCA6B) & 0xFFFFFFFF
        places[i] = h >> made.numbers[5]
    # How often the first two contexts were met says how far they are to be believed.
    first = ((phase * 4 + min(3, times[places[0]])) * 4 + min(3, times[places[1]])) * 6
    total = 0
    for i in range(6):
        odds[i] = ODDS[chances[places[i]] >> 4]
        total += odds[i] * weights[first + i]
    chance = CHANCE[max(-3071, min(3071, total >> 16)) + 3071]
    bit = narrowed(made, chance, bit)
    wrong = (bit << 16) - chance
    for i in range(6):
        weights[first + i] += (odds[i] * wrong * 14) >> 20
        place = places[i]
        before = np.int64(chances[place])
        chances[place] = before + (((65535 * bit - before) * RATE[times[place]]) >> 15)
        if times[place] < 255:
            times[place] += 1
    return bit


@part
def narrowed(made: Coder, chance: int, bit: int) -> int:
    """Arithmetic coding of one bit, which is 1 with a chance in 16 bits."""
    numbers, data = made.numbers, made.data
    low, high = numbers[1], numbers[2]
    middle = low + (((high - low) * chance) >> 16)
    if not numbers[0]:
        bit = 1 if numbers[3] <= middle else 0
    if bit:
        high = middle
    else:
        low = middle + 1
    while ((low ^ high) & 0xFF000000) == 0:
        place = numbers[4]
        if numbers[0]:
            if place < len(data):
                data[place] = high >> 24
        else:
            following = data[place] if place < len(data) else 0
            numbers[3] = ((numbers[3] << 8) & 0xFFFFFFFF) | following
        numbers[4] = place + 1
        low, high = (low << 8) & 0xFFFFFFFF, ((high << 8) & 0xFFFFFFFF) | 255
    numbers[1], numbers[2] = low, high
    return bit
