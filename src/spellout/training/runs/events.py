"""Which events of a training are worth a line of their own, beside how far it is."""

from __future__ import annotations

BEGINNING = "device", "first_loss"
"""Those that each training begins with."""
TOLD = "lessons", *BEGINNING, "hurried"
"""All of them, with what a teacher made before, and that the clock decides."""
