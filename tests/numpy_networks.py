"""Small networks in NumPy that have learned a little, lines to ask them about, and other processes to ask."""

import os
import subprocess
import sys

import numpy as np

from spellout.models.arrays.learner import MlpLearner
from spellout.models.arrays.mlp import MlpConfig
from spellout.models.arrays.recurrent.gru import GruConfig
from spellout.models.arrays.recurrent.learner import GruLearner


def trained_mlp(prepared, prior, members):
    learner = MlpLearner(prepared.stream, prepared.vocabulary.size, MlpConfig(members=members), prior, 0)
    return _after(learner, 30)


def trained_gru(prepared, prior):
    return _after(GruLearner(prepared.stream, prepared.vocabulary.size, GruConfig(hidden=40), prior, 0), 10)


def _after(learner, steps):
    for step in range(steps):
        learner.step(np.arange(step, learner.examples, 3), 0.01)
    return learner.model()


def rows_of(few, count, length=9):
    return np.random.default_rng(0).integers(1, few.vocabulary.size, (count, length)) * (np.arange(length) > 0)


def output_of(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout
