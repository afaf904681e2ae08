"""A module's parameters in a safetensors file: numbers by name, and nothing that could run."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import RunError
from ..files import told
from .module import Module


def save_state(module: Module, path: str | os.PathLike[str]) -> None:
    """Write every parameter as float64 to `path`; an interrupted write leaves the old file as it was."""
    import numpy
    from safetensors.numpy import save

    arrays = {name: numpy.array(numbers, dtype=numpy.float64) for name, numbers in module.state_dict().items()}
    target = Path(path)
    partial = target.with_name(f"{target.name}.partial")
    with told(target, "written"):
        with open(partial, "wb") as file:
            file.write(save(arrays))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)


def load_state(module: Module, path: str | os.PathLike[str]) -> None:
    """Set every parameter from a file that `save_state` wrote.

    Raises:
        RunError: the file is missing or damaged.
        ShapeError: it is of a module with other names or shapes.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with told(path, "read"):
            arrays = load(Path(path).read_bytes())
    except SafetensorError as error:
        raise RunError(f"{path} is not a safetensors file, or damaged: {error}") from None
    module.load_state_dict({name: array.tolist() for name, array in arrays.items()})
