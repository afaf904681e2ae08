"""The networks in PyTorch against plain formulas and PyTorch's own modules, in float64, with copied weights."""

import numpy as np
import pytest
import torch
from torch import nn

from spellout.models.neural import log_softmax
from spellout.models.pytorch.bow import BowModel
from spellout.models.pytorch.mlp_bn import MlpBnModel
from spellout.models.pytorch.recurrent import GruModel, LstmModel, RnnModel
from spellout.models.pytorch.transformer import TransformerModel
from spellout.models.pytorch.wavenet import WavenetModel

LINES, LENGTH, SIZE = 6, 11, 13


@pytest.fixture
def tokens():
    random = np.random.default_rng(3)
    return np.column_stack([np.zeros(LINES, int), random.integers(1, SIZE, (LINES, LENGTH - 1))])


def made(family, **settings):
    """A model with random weights that are not small anywhere, and its weights as float64 tensors."""
    config = family.Config(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = family.build(config, SIZE, prior=False)
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor += 0.3 * torch.rand(tensor.shape) if "var" in name else 0.3 * torch.randn(tensor.shape)
    arrays = {name: t.numpy() for name, t in network.state_dict().items() if t.is_floating_point()}
    weights = {name: torch.tensor(array, dtype=torch.float64) for name, array in arrays.items()}
    return family(config, SIZE, arrays), weights


def assert_same(model, tokens, logits):
    np.testing.assert_allclose(model.log_probabilities(tokens), log_softmax(logits.numpy()), rtol=0, atol=1e-10)


def windows_of(tokens, context):
    padded = np.pad(tokens, ((0, 0), (context - 1, 0)))
    return torch.tensor(np.lib.stride_tricks.sliding_window_view(padded, context, axis=1).copy())


def batch_norm(x, w, name):
    scale = w[f"{name}.weight"] / torch.sqrt(w[f"{name}.running_var"] + 1e-5)
    return (x - w[f"{name}.running_mean"]) * scale + w[f"{name}.bias"]


def test_mlp_bn_normalises_by_what_it_learned(tokens):
    model, w = made(MlpBnModel, context=4, embedding=5, hidden=7)
    x = w["embedding.weight"][windows_of(tokens, 4)].flatten(2) @ w["hidden.weight"].T
    hidden = torch.tanh(batch_norm(x, w, "norm"))
    assert_same(model, tokens, hidden @ w["head.weight"].T + w["head.bias"])
    assert "hidden.bias" not in w


def test_wavenet_is_dilated_convolutions(tokens):
    """The tree of pairs is a stack of causal convolutions over pairs, 1, 2 and 4 tokens apart."""
    model, w = made(WavenetModel, levels=3, embedding=5, hidden=7)
    x = w["embedding.weight"][torch.tensor(np.pad(tokens, ((0, 0), (7, 0))))].transpose(1, 2)
    for level in range(3):
        pairs = w[f"fuse.{level}.weight"].view(7, 2, -1).transpose(1, 2)
        x = nn.functional.conv1d(x, pairs, dilation=2**level)
        x = torch.tanh(batch_norm(x.transpose(1, 2), w, f"norms.{level}")).transpose(1, 2)
    assert_same(model, tokens, x.transpose(1, 2) @ w["head.weight"].T + w["head.bias"])


@pytest.mark.parametrize("wide", [None, 9])
@pytest.mark.parametrize(
    ("family", "cell"),
    [(RnnModel, nn.RNNCell), (GruModel, nn.GRUCell), (LstmModel, nn.LSTMCell)],
)
def test_recurrent_networks_are_their_cells_one_token_after_the_other(tokens, family, cell, wide):
    model, w = made(family, hidden=7, embedding=5, wide=wide)
    one = cell(5, 7).double()
    one.load_state_dict({name: w[f"layer.{name}_l0"] for name, _ in one.named_parameters()})
    state, rows = None, []
    for column in torch.tensor(tokens.T):
        state = one(w["embedding.weight"][column], state)
        shown = state[0] if isinstance(state, tuple) else state
        if wide:
            shown = nn.functional.gelu(shown @ w["wide.weight"].T + w["wide.bias"])
        rows.append(shown @ w["head.weight"].T + w["head.bias"])
    assert_same(model, tokens, torch.stack(rows, 1).detach())


@pytest.mark.parametrize("places", [4, 20])
def test_bow_is_an_average_and_a_hidden_layer(tokens, places):
    model, w = made(BowModel, hidden=7, embedding=5, places=places)
    place = torch.arange(LENGTH).clamp(max=places - 1)
    x = w["embedding.weight"][torch.tensor(tokens)] + w["place_embedding.weight"][place]
    x = x + torch.tril(torch.ones(LENGTH, LENGTH, dtype=torch.float64)) @ x / torch.arange(1, LENGTH + 1)[:, None]
    hidden = torch.tanh(x @ w["hidden.weight"].T + w["hidden.bias"])
    x = x + hidden @ w["back.weight"].T + w["back.bias"]
    assert_same(model, tokens, x @ w["head.weight"].T + w["head.bias"])


@pytest.mark.parametrize("tied", ["no", "yes"])
def test_transformer_is_pytorchs_encoder_with_a_causal_mask(tokens, tied):
    model, w = made(TransformerModel, width=8, heads=2, layers=2, places=6, tied=tied)
    place = torch.arange(LENGTH).clamp(max=5)
    x = w["embedding.weight"][torch.tensor(tokens)] + w["place_embedding.weight"][place]
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.out.",
        "linear1.": "wide.",
        "linear2.": "back.",
        "norm1.": "norm1.",
        "norm2.": "norm2.",
    }
    mask = nn.Transformer.generate_square_subsequent_mask(LENGTH, dtype=torch.float64)
    for number in range(2):
        layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double()
        layer.load_state_dict(
            {
                theirs + end: w[f"blocks.{number}.{ours}{end}"]
                for theirs, ours in names.items()
                for end in ("weight", "bias")
            }
        )
        x = layer(x, src_mask=mask)
    x = nn.functional.layer_norm(x, (8,), w["norm.weight"], w["norm.bias"])
    head = w["embedding.weight"] if tied == "yes" else w["head.weight"]
    assert_same(model, tokens, (x @ head.T + (0.0 if tied == "yes" else w["head.bias"])).detach())


@pytest.mark.parametrize("family", [GruModel, BowModel, TransformerModel])
def test_lines_side_by_side_are_lines_alone(family, tokens):
    """In training, lines of different lengths are read together without padding."""
    model, _ = made(family, **({} if family is GruModel else {"places": 8}))
    lengths = np.array([11, 9, 9, 4, 1, 1])
    left = np.arange(LENGTH)[:, None] < lengths
    packed = torch.tensor(np.broadcast_to(tokens.T, left.shape)[left])
    logits = model.module(packed, torch.tensor(left.sum(1))).detach().numpy()
    expected = model.logits(tokens, None).transpose(1, 0, 2)[left]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("family", "settings", "reach"),
    [
        (MlpBnModel, {"context": 4, "hidden": 8}, 4),
        (WavenetModel, {"levels": 2, "hidden": 8}, 4),
        (RnnModel, {"hidden": 8}, LENGTH),
        (GruModel, {"hidden": 8}, LENGTH),
        (LstmModel, {"hidden": 8}, LENGTH),
        (BowModel, {"hidden": 8, "places": 5}, LENGTH),
        (TransformerModel, {"width": 8, "layers": 2, "places": 5}, LENGTH),
    ],
)
def test_logits_move_with_every_token_in_reach_and_with_no_other(tokens, family, settings, reach):
    """makemore's recurrent network ignored its own past, and nobody saw it in the losses."""
    model, _ = made(family, **settings)
    logits = model.logits(tokens, None)
    for place in range(1, LENGTH):
        changed = tokens.copy()
        changed[:, place] = changed[:, place] % (SIZE - 1) + 1
        moved = np.abs(model.logits(changed, None) - logits).max(axis=(0, 2)) > 1e-12
        distance = np.arange(LENGTH) - place
        assert np.array_equal(moved, (distance >= 0) & (distance < reach)), place
