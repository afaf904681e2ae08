"""Lines of an exported model as the reference draws them, and the settings that every target is asked with."""

from itertools import islice

from spellout.export.reference import Reference
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample

SETTINGS = [
    {"seed": 1},
    {"seed": 2**64 - 1, "temperature": 0.7},
    {"seed": 3, "temperature": 1.3, "top_k": 4},
    {"seed": 4, "top_p": 0.8},
    {"seed": 5, "top_k": 9, "top_p": 0.9, "max_length": 5},
    {"seed": 6, "prefix": "An"},
]


def drawn(made, vocabulary, settings, count):
    config = SamplingConfig(**({"max_length": made.max_length} | settings))
    reference = Reference(made.step)
    found = islice(sample(reference, vocabulary, config, cut=lambda one: False), count)
    return [[one.candidate, one.line] for one in found]
