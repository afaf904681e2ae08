"""`last.safetensors`: where a training is, in one file that is replaced as a whole.

It holds the learner's state and the best weights as arrays, and the loop's state and the best model's settings as
JSON in its header. So a training killed at any moment goes on from one consistent moment.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from ...errors import RunError
from ...models.stored import DAMAGE, said, stored_config
from ...models.weights import under
from ..loop import LoopState

_LEARNER, _BEST = "learner/", "best/"


@dataclass(frozen=True)
class Checkpoint:
    """Holds the loop's and the learner's state, and the best model so far as its settings and arrays."""

    state: LoopState
    learner: dict[str, np.ndarray]
    settings: dict[str, Any]
    best: dict[str, np.ndarray]

    def to_bytes(self) -> bytes:
        """Write it as the content of a safetensors file."""
        arrays = {_LEARNER + name: array for name, array in self.learner.items()}
        arrays |= {_BEST + name: array for name, array in self.best.items()}
        return save(arrays, {"loop": json.dumps(asdict(self.state)), "settings": json.dumps(self.settings)})

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read what `to_bytes` wrote to a file. `RunError` if it is damaged."""
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                names = list(file.keys())
                arrays = {name: file.get_tensor(name) for name in names}
            state, settings = stored_config(LoopState, json.loads(header["loop"])), json.loads(header["settings"])
        except (*DAMAGE, OSError) as error:
            raise RunError(f"{path} is damaged ({said(error)}); train again") from None

        return cls(state, under(_LEARNER, arrays), settings, under(_BEST, arrays))
