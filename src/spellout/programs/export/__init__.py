"""Programs of scalars as code in other languages: forward and gradient, written from the rows of the table."""

from __future__ import annotations

from .writing import export_program

__all__ = ["export_program"]
