"""spellout: see every gradient, make more of a list, mend a training that does not learn.

The public names below are imported when they are first used, so that `import spellout` and `spellout --help`
stay instant and never import torch or Numba.
"""

from __future__ import annotations

from importlib import import_module

from .version import __version__

_HOME = {  # public name -> the module that defines it
    "DataConfig": "data.config",
    "Layer": "nn.layers",
    "Lines": "data.lines",
    "MLP": "nn.layers",
    "MarkovSource": "data.markov",
    "Module": "nn.module",
    "Neuron": "nn.layers",
    "NgramConfig": "models.ngram.model",
    "NgramModel": "models.ngram.model",
    "Prepared": "training.prepared",
    "Run": "training.runs.run",
    "SamplingConfig": "generation.config",
    "SpelloutError": "errors",
    "TrainingConfig": "training.config",
    "Value": "autograd.value",
    "assert_healthy": "doctor.examination",
    "check_rules": "autograd.gradcheck",
    "Program": "programs.program",
    "Recorded": "programs.recorded",
    "Trainer": "programs.trainer",
    "cos": "autograd.ops",
    "draw": "pictures.drawing",
    "erf": "autograd.ops",
    "evaluate": "generation.evaluation",
    "examine": "doctor.examination",
    "exp": "autograd.ops",
    "explain": "pictures.explain",
    "expm1": "autograd.ops",
    "grad": "autograd.gradients",
    "freeze": "autograd.functions",
    "gradcheck": "autograd.gradcheck",
    "hessian": "autograd.gradients",
    "load_run": "api",
    "log": "autograd.ops",
    "log1p": "autograd.ops",
    "nearest": "generation.novelty",
    "operation": "autograd.ops",
    "pick": "autograd.functions",
    "record": "programs.recording",
    "sample": "generation.sampling",
    "save_run": "training.runs.run",
    "score_lines": "generation.scoring",
    "sin": "autograd.ops",
    "sqrt": "autograd.ops",
    "tan": "autograd.ops",
    "tanh": "autograd.ops",
    "train": "api",
    "watch": "doctor.watching",
    "where": "autograd.functions",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'spellout' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
