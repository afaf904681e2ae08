"""Attention that torch does in one call is done once more, for its weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from ...tape import Call, Tape, words
from .seen import Attention

NAMES = words("scaled_dot_product_attention multi_head_attention_forward")
"""The fused function, and what torch's module calls."""
_MOST = 4_000_000
"""Weights, beyond which it is not done again."""
_MODULE = inspect.signature(F.multi_head_attention_forward)


def read(tape: Tape) -> Iterator[Attention]:
    """Every call of the fused function, and of torch's module, while the model ran."""
    for call in tape.calls:
        if call.phase == "model" and isinstance(call.out, torch.Tensor | tuple):
            if call.name == "scaled_dot_product_attention":
                yield from _function(call)
            elif call.name == "multi_head_attention_forward":
                yield from _module(call)


def _function(call: Call) -> Iterator[Attention]:
    query, key, value = (call.argument(i, name) for i, name in enumerate(("query", "key", "value")))
    mask, causal = call.argument(3, "attn_mask"), call.argument(5, "is_causal", False)
    if query.is_nested or query.ndim < 2 or query.numel() // query.shape[-1] * key.shape[-2] > _MOST:
        return
    with torch.no_grad():
        q, k = query.detach(), key.detach()
        if call.kwargs.get("enable_gqa"):  # several heads of queries share one of keys
            k = k.repeat_interleave(q.shape[-3] // k.shape[-3], -3)
        scores = q @ k.transpose(-2, -1) * scale_of(call)
        if causal:
            scores = scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), -math.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.detach()
        weights = scores.softmax(-1)
    masks = [mask] if mask is not None and not mask.requires_grad else []
    yield Attention(call, weights, call.outputs[0], [query, key, value], masks=masks)


def scale_of(call: Call) -> float:
    """What the fused function multiplies the scores with."""
    told = call.argument(6, "scale")
    return float(call.argument(0, "query").shape[-1] ** -0.5 if told is None else told)


def _module(call: Call) -> Iterator[Attention]:
    try:
        given: dict[str, Any] = _MODULE.bind(*call.args, **call.kwargs).arguments
    except TypeError:
        return
    query, key, value = given["query"], given["key"], given["value"]
    if (
        query.is_nested or query.dtype != given["out_proj_weight"].dtype
    ):  # a pass in float64, whose weights are float32 again
        return
    samples = query.shape[1] if query.ndim == 3 else 1
    if query.shape[0] * key.shape[0] * samples * given["num_heads"] > _MOST:
        return
    asked = {**given, "need_weights": True, "average_attn_weights": False, "training": False}
    with torch.no_grad():
        _, weights = F.multi_head_attention_forward(**asked)
    masks = [mask for name in ("attn_mask", "key_padding_mask") if (mask := given.get(name)) is not None]
    if weights is not None:
        yield Attention(call, weights, call.outputs[0], [query, key, value], masks=masks)
