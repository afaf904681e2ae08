"""What a command line calls the model that is chosen: it costs no import to know that."""

from __future__ import annotations

BEST = "best"
"""`--model best` stands for what `choice.chosen` chooses; a run keeps what that was."""
