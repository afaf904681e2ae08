"""Functions of torch's are wrapped while something is watched, and put back in reverse."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


class Patches:
    """What is wrapped just now."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """From now on `owner.name(...)` is `around(before, ...)`."""
        before = getattr(owner, name)

        @wraps(before)
        def heard(*args: Any, **kwargs: Any) -> Any:
            return around(before, *args, **kwargs)

        self._before.append((owner, name, before))
        setattr(owner, name, heard)

    def undo(self) -> None:
        """Put all of them back."""
        for owner, name, before in reversed(self._before):
            setattr(owner, name, before)
        self._before.clear()
