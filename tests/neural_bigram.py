"""The lecture's neural bigram in plain NumPy: a learner that holds the training loop to its interface.

One row of logits for every last token, softmax, Adam, and a little noise on the gradient from a random stream, so
that a resumed training must restore that too. `install` makes it the model `neural` of the table.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from spellout.models.family import Family
from spellout.models.table import MODELS


@dataclass(frozen=True)
class NeuralConfig:
    noise: int = 1
    """In thousandths of a gradient."""
    explode: int | None = None
    """The step at which the loss is not finite."""
    sleep: int = 0
    """Milliseconds that a step waits."""


class NeuralBigram:
    context = 1

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits
        self.vocabulary_size, self.parameters = len(logits), logits.size
        self._logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def log_probabilities(self, tokens):
        return self._logs[tokens]

    def score(self, tokens, targets):
        return self._logs[tokens, targets]

    def reader(self, lines):
        return self

    def read(self, tokens):
        return self._logs[tokens]

    def keep(self, rows):
        pass

    def settings(self):
        return {}

    def arrays(self):
        return {"logits": self.logits}

    @classmethod
    def restore(cls, settings, arrays):
        return cls(arrays["logits"])


class NeuralLearner:
    batch, lr = 256, 0.1

    def __init__(self, stream, vocabulary_size, config, prior, seed) -> None:
        self.last, self.next = stream[:-1].astype(np.int64), stream[1:].astype(np.int64)
        self.examples, self.config = len(self.last), config
        self.random = np.random.Generator(np.random.Philox(key=seed))
        size = (vocabulary_size, vocabulary_size)
        logits = self.random.normal(size=size)
        if prior is not None:
            rows = np.column_stack([np.zeros(vocabulary_size, int), np.arange(vocabulary_size)])
            logits = np.array(prior.log_probabilities(rows)[:, 1])
        self.weights = {"logits": logits, "mean": np.zeros(size), "square": np.zeros(size), "steps": np.zeros(1)}

    def step(self, chosen, lr):
        time.sleep(self.config.sleep / 1000)
        logits, mean, square, steps = self.weights.values()
        last, following = self.last[chosen], self.next[chosen]
        chances = np.exp(logits[last] - logits[last].max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        loss = -np.log(chances[np.arange(len(chosen)), following]).mean()
        if steps[0] == self.config.explode or not np.isfinite(loss):
            return np.nan
        chances[np.arange(len(chosen)), following] -= 1.0
        gradient = np.zeros_like(logits)
        np.add.at(gradient, last, chances / len(chosen))
        gradient += self.config.noise / 1000 * self.random.normal(size=gradient.shape) / len(chosen)
        steps += 1
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        unbiased = mean / (1 - 0.9**steps), square / (1 - 0.999**steps)
        logits -= lr * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        return loss

    def model(self):
        return NeuralBigram(self.weights["logits"].copy())

    def state(self):
        random = self.random.bit_generator.state
        place = [random["state"]["counter"], random["state"]["key"], random["buffer"]]
        flags = np.array([random["buffer_pos"], random["has_uint32"], random["uinteger"]], np.uint64)
        return {
            **{name: array.copy() for name, array in self.weights.items()},
            "random": np.concatenate([*place, flags]),
        }

    def load_state(self, state):
        for name, array in self.weights.items():
            array[...] = state[name]
        random = state["random"]
        self.random.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": random[:4], "key": random[4:6]},
            "buffer": random[6:10],
            "buffer_pos": int(random[10]),
            "has_uint32": int(random[11]),
            "uinteger": int(random[12]),
        }


NEURAL = Family(
    name="neural",
    sentence="one row of logits for every last letter",
    paper="the second lecture",
    dial="noise",
    config=NeuralConfig,
    model=NeuralBigram,
    learner=NeuralLearner,
)


def install() -> None:
    """For processes of their own; tests in this one use monkeypatch."""
    MODELS["neural"] = NEURAL
    from spellout.training import loop

    if "CHECKPOINTS" in os.environ:
        loop.SECONDS_BETWEEN_CHECKPOINTS = float(os.environ["CHECKPOINTS"])
        loop.CHECKPOINT_SHARE = np.inf


if __name__ == "__main__":
    from spellout.app.cli import main

    install()
    main()
