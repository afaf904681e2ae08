"""Libraries that the base install does not bring, and the extra that brings each."""

from __future__ import annotations

from importlib import import_module

from .errors import UsageError

EXTRAS = {
    "torch": ("torch", "PyTorch"),
    "matplotlib": ("plots", "matplotlib"),
    "optuna": ("tune", "optuna"),
    "regex": ("graphemes", "regex"),
    "pyppmd": ("compressors", "pyppmd"),
    "pyarrow": ("parquet", "pyarrow"),
    "zstandard": ("zstd", "zstandard"),
    "onnx": ("onnx", "onnx"),
}
"""For each library its extra, and what people call it."""


def require(library: str, what: str) -> None:
    """`UsageError` if a library of `EXTRAS`, which `what` needs, is not installed."""
    sentence = missing(library, what)
    if sentence is not None:
        raise UsageError(sentence)


def missing(library: str, what: str) -> str | None:
    """Say how to install a library of `EXTRAS`, which `what` needs; None if it is installed."""
    try:
        import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        extra, name = EXTRAS[library]
        return f"{what} needs {name}, which is not installed: pip install 'spellout[{extra}]'"
    return None
