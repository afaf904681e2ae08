"""A model as a header for C99: functions that it needs, numbers as arrays, its step as calls."""

from __future__ import annotations

from .header import written

__all__ = ["written"]
