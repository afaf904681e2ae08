"""When this command began: what its `--seconds` are counted from, importing Python's modules included."""

from time import perf_counter

_began = perf_counter()


def start(moment: float) -> None:
    """Say when a command began, as `time.perf_counter` told it."""
    global _began
    _began = moment


def began() -> float:
    """When the command that runs began; without a command, when this was imported."""
    return _began
