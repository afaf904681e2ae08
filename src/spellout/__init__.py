"""spellout: see every gradient, make more of a list, mend a training that does not learn.

The public names below are imported when they are first used, so that `import spellout` and `spellout --help`
stay instant and never import torch or Numba.
"""

from __future__ import annotations

from importlib import import_module

from .version import __version__

_HOME = {  # public name -> the module that defines it
    "SpelloutError": "errors",
    "Value": "autograd.value",
    "grad": "autograd.gradients",
    "hessian": "autograd.gradients",
    "operation": "autograd.ops",
    "gradcheck": "autograd.gradcheck",
    "check_rules": "autograd.gradcheck",
    "draw": "autograd.drawing",
    "explain": "autograd.explain",
    "Module": "nn.module",
    "Neuron": "nn.layers",
    "Layer": "nn.layers",
    "MLP": "nn.layers",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'spellout' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
