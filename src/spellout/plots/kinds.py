"""The names of the pictures, apart from the drawing, so that help needs no matplotlib."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "loss", "bigrams", "embedding", "activations", "gradients", "saturation", "updates", "attention", "surprise"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_LINES: tuple[Kind, ...] = ("attention", "surprise")
"""Those that show one line."""
OF_TRAINING: tuple[Kind, ...] = ("loss", "updates")
"""Those that show the events of a training."""
FORMATS = ("png", "svg", "pdf")
