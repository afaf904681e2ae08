"""spellout: see every gradient, make more of a list, mend a training that does not learn.

The public names below are imported when they are first used, so that `import spellout` and `spellout --help`
stay instant and never import torch or Numba.
"""

from __future__ import annotations

from importlib import import_module

from .version import __version__

_NAMES = {  # module -> the public names that it defines
    "api": "compare load_run train",
    "autograd.functions": "freeze pick where",
    "autograd.gradcheck": "check_rules gradcheck",
    "autograd.gradients": "grad hessian",
    "autograd.ops": "cos erf exp expm1 log log1p operation sin sqrt tan tanh",
    "autograd.value": "Value",
    "data.config": "DataConfig",
    "data.lines": "Lines",
    "data.markov": "MarkovSource",
    "data.prepared": "Prepared",
    "doctor.examination": "assert_healthy examine",
    "doctor.scripts.watching": "watch",
    "errors": "SpelloutError",
    "generation.config": "SamplingConfig",
    "generation.evaluation": "evaluate",
    "generation.novelty": "nearest",
    "generation.sampling": "sample",
    "generation.scoring": "score_lines",
    "models.ngram.config": "NgramConfig",
    "models.ngram.model": "NgramModel",
    "nn.layers": "Layer MLP Neuron",
    "nn.module": "Module",
    "pictures.drawing": "draw",
    "pictures.explain": "explain",
    "programs.export.writing": "export_program",
    "programs.program": "Program",
    "programs.recorded": "Recorded record",
    "programs.trainer": "Trainer",
    "training.config": "TrainingConfig",
    "training.runs.run": "Run save_run",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'spellout' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
