"""A model as a header for C99: the functions that it needs, its numbers as arrays, its step as calls of functions."""

from __future__ import annotations

from .header import written

__all__ = ["written"]
