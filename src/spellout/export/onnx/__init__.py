"""A step as an ONNX graph: one token of each line in, log-probabilities and the new state out.

    token              int64 (batch,)       the token that is read: 0, the boundary, at the beginning of a line
    log_probabilities  float32 (batch, V)   of the token after it, nats
    NAME, new_NAME     the state before and after; all zeros before a line begins, and no row of what was read

The texts of the tokens and what is known of the model stand in the metadata, as JSON.
"""

from __future__ import annotations

import json

from ...optional import require
from ..portable import Portable


def written(portable: Portable) -> bytes:
    """Give the ONNX file of a model. `UsageError` if the library that writes it is missing."""
    require("onnx", "-o FILE.onnx")
    from .operations import Writer

    writer = Writer(portable.step, str(portable.about.get("weights", "float32")))
    row = writer.write()
    described = {
        "name": portable.name,
        "texts": json.dumps(portable.texts),
        "between": portable.between,
        "labels": json.dumps(portable.labels),
        "shares": json.dumps(portable.shares),
        "never": json.dumps(portable.never),
        "max_length": str(portable.max_length),
        "about": json.dumps(dict(portable.about)),
    }
    model = writer.graph.finished(row, portable.step.vocabulary_size, described)
    return bytes(model.SerializeToString())
