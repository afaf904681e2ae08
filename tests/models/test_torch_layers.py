"""Layers of our own against PyTorch's."""

import pytest

torch = pytest.importorskip("torch")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils.rnn import PackedSequence  # noqa: E402

from spellout.models.pytorch.layers import Blend, FastDropout, PackedGru  # noqa: E402
from spellout.models.pytorch.transformer import causal_self_attention  # noqa: E402


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_the_gru_and_its_derivative_are_pytorchs(sizes, seed):
    sizes = sorted(sizes, reverse=True)
    torch.manual_seed(seed)
    layer, reference = PackedGru(3, 4).double(), nn.GRU(3, 4).double()
    layer.load_state_dict(reference.state_dict())
    x = torch.randn(sum(sizes), 3, dtype=torch.float64, requires_grad=True)
    wanted, last = torch.randn(sum(sizes), 4, dtype=torch.float64), torch.randn(sizes[0], 4, dtype=torch.float64)

    def derivatives(gru):
        packed, state = gru(PackedSequence(x, torch.tensor(sizes)))
        value = (packed.data * wanted).sum() + (state * last).sum()
        return [packed.data, state, *torch.autograd.grad(value, [x, *gru.parameters()])]

    for one, other in zip(derivatives(layer), derivatives(reference), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "settings", [{"bidirectional": True}, {"num_layers": 2}, {"bias": False}], ids=lambda settings: min(settings)
)
def test_a_gru_that_ours_does_not_know_is_pytorchs(settings):
    torch.manual_seed(0)
    layer, reference = PackedGru(3, 4, **settings), nn.GRU(3, 4, **settings)
    layer.load_state_dict(reference.state_dict())
    lines = PackedSequence(torch.randn(5, 3), torch.tensor([3, 2]))
    assert torch.equal(layer(lines)[0].data, reference(lines)[0].data)
    unsorted = nn.utils.rnn.pack_padded_sequence(
        torch.randn(4, 3, 3), torch.tensor([1, 4, 2]), enforce_sorted=False
    )
    assert torch.equal(layer(unsorted)[1], reference(unsorted)[1])


@pytest.mark.parametrize("length", [1, 7, 130])
def test_attention_on_a_cpu_is_the_fused_one(length):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, length, 4, dtype=torch.float64).requires_grad_().unbind()
    fused = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    ours = causal_self_attention(q, k, v, FastDropout(0.5).eval())
    wanted = torch.randn_like(ours)
    torch.testing.assert_close(ours, fused, rtol=1e-12, atol=1e-12)
    for one, other in zip(
        *(torch.autograd.grad((y * wanted).sum(), [q, k, v]) for y in (ours, fused)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def test_dropout_leaves_out_its_part_and_keeps_the_mean():
    layer, x = FastDropout(0.3), torch.ones(1000, 1001, requires_grad=True)
    torch.manual_seed(1)
    y = layer(x)
    kept = (y != 0).double()
    assert abs(float(kept.mean()) - 0.7) < 5 * (0.21 / x.numel()) ** 0.5
    assert y.detach().unique().tolist() == [0.0, pytest.approx(1 / 0.7, rel=1e-4)]
    for lag in range(1, 9):  # four units share a random word: they must not know of each other
        pairs = kept.flatten()[lag:] * kept.flatten()[:-lag]
        assert abs(float(pairs.mean()) - 0.49) < 2e-3
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    torch.manual_seed(1)
    assert torch.equal(layer(x), y)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(FastDropout(0.0)(x), x)


def test_dropout_of_halves_keeps_the_type():
    assert FastDropout(0.5)(torch.ones(3, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_blend_is_a_product_whose_powers_depend_on_the_network():
    blend, random = Blend(3), torch.Generator().manual_seed(3)
    logits, counted = torch.randn(2, 5, 3, generator=random), torch.randn(2, 5, 3, generator=random).log_softmax(-1)
    torch.testing.assert_close(blend(logits, counted), logits + counted)
    with torch.no_grad():
        blend.powers.copy_(torch.tensor([0.4, 0.6]))
        blend.trust.copy_(torch.tensor([0.1, -0.2, 0.3]) * 3**0.5)
    powers = 0.6 + 0.1 * logits[..., 0] - 0.2 * logits[..., 1] + 0.3 * logits[..., 2]
    product = logits.exp() ** 0.4 * counted.exp() ** powers[..., None]
    torch.testing.assert_close(blend(logits, counted).exp(), product)
