"""Healthy Transformers in many styles, none of which may get an error or a warning from the room of attention."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from doctor.mutations_decoder import Decoder, Fused, Inside, every, fit, inside, text
from doctor.mutations_encoder import Cached, Encoder, classify, sentences

TRANSFORMERS = []
LETTERS, WIDTH, HEADS = 19, 32, 2


def member(program):
    TRANSFORMERS.append(program)
    return program


class Mixer(nn.Module):
    """A decoder or encoder with one kind of attention; `kind` says which."""

    def __init__(self, kind, causal=True, layers=2):
        super().__init__()
        self.kind, self.causal, d = kind, causal, WIDTH // HEADS
        self.table, self.head = nn.Embedding(LETTERS, WIDTH), nn.Linear(WIDTH, LETTERS)
        self.layers = nn.ModuleList()
        for _ in range(layers):
            layer = nn.ModuleDict({
                "norm": nn.LayerNorm(WIDTH), "q": nn.Linear(WIDTH, WIDTH, bias=False),
                "k": nn.Linear(WIDTH, d if kind == "multi-query" else WIDTH, bias=False),
                "v": nn.Linear(WIDTH, d if kind == "multi-query" else WIDTH, bias=False),
                "out": nn.Linear(WIDTH, WIDTH), "norm2": nn.LayerNorm(WIDTH), "up": nn.Linear(WIDTH, 64),
                "down": nn.Linear(64, WIDTH),
            })  # fmt: skip
            if kind == "t5":
                nn.init.normal_(layer["q"].weight, std=(WIDTH * d) ** -0.5)
                nn.init.normal_(layer["k"].weight, std=WIDTH**-0.5)
            if kind == "zero":
                nn.init.zeros_(layer["out"].weight)
                nn.init.zeros_(layer["down"].weight)
            if kind == "parallel":
                del layer["norm2"]
            self.layers.append(layer)
        if kind == "t5":
            self.bias = nn.Embedding(32, HEADS)
        if kind == "cosine":
            self.heat = nn.Parameter(torch.full((HEADS, 1, 1), 2.3))
        if kind == "layer scale":
            self.gain = nn.ParameterList([nn.Parameter(torch.full((WIDTH,), 1e-4)) for _ in range(layers)])
        self.place = nn.Parameter(torch.zeros(1, 32, WIDTH))

    def heads(self, x):
        return x.unflatten(-1, (-1, WIDTH // HEADS)).transpose(1, 2)

    def scores(self, q, k):
        T, d, kind = q.shape[2], q.shape[-1], self.kind
        if kind == "cosine":
            return F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * self.heat.clamp(max=4.6).exp()
        if kind == "t5":
            distance = (torch.arange(T)[:, None] - torch.arange(T)).clamp(-8, 7) + 8
            return torch.einsum("bhqd,bhkd->bhqk", q, k) + self.bias(distance).permute(2, 0, 1)
        if kind == "alibi":
            slope = torch.tensor([0.5, 0.25])[:, None, None]
            return q @ k.mT / math.sqrt(d) - slope * (torch.arange(T)[:, None] - torch.arange(T)).abs()
        if kind == "rope":
            q, k = self.turned(q), self.turned(k)
        if kind == "scaled before rope":
            q, k = self.turned(q * d**-0.5), self.turned(k)
            return q @ k.mT
        if kind == "fourth root":
            return (q / d**0.25) @ (k / d**0.25).mT
        if kind == "capped":
            return 20 * torch.tanh(q @ k.mT / math.sqrt(d) / 20)
        if kind == "baddbmm":
            flat = torch.baddbmm(q.new_zeros(1, 1, 1), q.flatten(0, 1), k.flatten(0, 1).mT, beta=0, alpha=d**-0.5)
            return flat.unflatten(0, q.shape[:2])
        return q @ k.mT / d**0.5

    def turned(self, x):
        half = x.shape[-1] // 2
        angle = torch.arange(x.shape[2])[:, None] / 100 ** (torch.arange(half) / half)
        one, two = x[..., :half], x[..., half:]
        return torch.cat([one * angle.cos() - two * angle.sin(), one * angle.sin() + two * angle.cos()], -1)

    def attend(self, x, layer):
        q, k, v = (self.heads(layer[name](x)) for name in "qkv")
        T = x.shape[1]
        keep = torch.ones(T, T).tril() if self.causal else torch.ones(T, T)
        if self.kind == "linear":
            q, k = F.elu(q) + 1, F.elu(k) + 1
            state = torch.einsum("bhtd,bhte->bhtde", k, v).cumsum(2)
            out = torch.einsum("bhtd,bhtde->bhte", q, state) / (q * k.cumsum(2)).sum(-1, keepdim=True)
        elif self.kind == "window":
            keep = keep * torch.ones(T, T).triu(-3)
            out = self.scores(q, k).masked_fill(keep == 0, -math.inf).softmax(-1) @ v
        elif self.kind == "sigmoid":
            out = (self.scores(q, k) - math.log(T)).sigmoid() * keep @ v
        elif self.kind == "gpt-1":
            s = self.scores(q, k)
            out = F.softmax(s * keep - 1e9 * (1 - keep), -1) @ v
        elif self.kind == "by hand":
            s = self.scores(q, k) + torch.full((T, T), -1e9).triu(1) * (1 if self.causal else 0)
            e = (s - s.max(-1, keepdim=True).values).exp()
            out = e / e.sum(-1, keepdim=True) @ v
        else:
            out = self.scores(q, k).masked_fill(keep == 0, -1e9).softmax(-1) @ v
        return out.transpose(1, 2).flatten(2)

    def forward(self, x):
        h = self.table(x) + self.place[:, : x.shape[1]]
        for number, layer in enumerate(self.layers):
            if self.kind == "parallel":
                n = layer["norm"](h)
                h = h + layer["out"](self.attend(n, layer)) + layer["down"](F.silu(layer["up"](n)))
                continue
            if self.kind == "post-norm":
                h = layer["norm"](h + layer["out"](self.attend(h, layer)))
                h = layer["norm2"](h + layer["down"](F.gelu(layer["up"](h))))
                continue
            scale = self.gain[number] if self.kind == "layer scale" else 1
            gate = torch.sigmoid(layer["q"](h)) if self.kind == "gated" else 1
            h = h + scale * layer["out"](gate * self.attend(layer["norm"](h), layer))
            h = h + scale * layer["down"](F.gelu(layer["up"](layer["norm2"](h))))
        return self.head(h)


KINDS = (
    "plain", "t5", "cosine", "alibi", "rope", "scaled before rope", "fourth root", "capped", "baddbmm",
    "multi-query", "linear", "window", "sigmoid", "gpt-1", "by hand", "parallel", "post-norm", "layer scale",
    "gated", "zero",
)  # fmt: skip
for kind in KINDS:

    def mixer(kind=kind):
        return fit(Mixer(kind))

    mixer.__name__ = f"decoder_{kind.replace(' ', '_').replace('-', '_')}"
    member(mixer)


@member
def nothing_wrong():
    return fit(Decoder())


@member
def tokens_and_targets_in():
    return inside(Inside(), text())


@member
def labels_are_the_inputs_and_the_model_shifts():
    x, _ = text()
    return inside(Inside("shifts"), (x, x))


@member
def fused():
    return fit(Fused())


@member
def fused_with_a_boolean_mask():
    return fit(Fused(lambda T: torch.ones(T, T, dtype=torch.bool).tril()))


@member
def padded_encoder():
    return classify(Encoder())


@member
def keys_and_values_kept():
    return fit(Cached(), loss=lambda out, y: every(out[0], y))


@member
def masked_language_model():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.place, self.kind = (nn.Embedding(n, WIDTH) for n in (LETTERS + 1, 32, 2))
            layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.1, "gelu", batch_first=True)
            self.net, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(WIDTH, 20)

        def forward(self, x):
            kinds = torch.zeros_like(x)
            return self.head(self.net(self.table(x) + self.place(torch.arange(x.shape[1])) + self.kind(kinds)))

    x, _ = text()
    hidden = torch.rand(x.shape) < 0.3
    y = torch.where(hidden, x, torch.tensor(-100))
    return fit(Masked(), (torch.where(hidden, LETTERS, x), y))


@member
def translation():
    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.place = nn.Embedding(19, WIDTH), nn.Parameter(torch.randn(1, 32, WIDTH))
            self.net = nn.Transformer(WIDTH, 4, 2, 2, 64, 0.1, batch_first=True)
            self.head = nn.Linear(WIDTH, 19)

        def forward(self, source, given):
            one, two = (self.table(x) * WIDTH**0.5 + self.place[:, : x.shape[1]] for x in (source, given))
            mask = nn.Transformer.generate_square_subsequent_mask(given.shape[1])
            return self.head(self.net(one, two, tgt_mask=mask, tgt_is_causal=True))

    x, y = text()
    source = torch.randint(0, 19, (6, 7))
    model = Translator()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        every(model(source, x), y).backward()
        optimizer.step()

    return {"model": model, "loss": every, "batch": ((source, x), y), "optimizer": optimizer, "step": step}


@member
def perceiver():
    class Perceiver(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.place = nn.Linear(5, WIDTH), nn.Parameter(torch.randn(1, 16, WIDTH) * 0.5)
            self.latent = nn.Parameter(torch.randn(1, 4, WIDTH) * 0.5)
            self.cross = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
            self.net, self.out = (
                nn.TransformerEncoderLayer(WIDTH, 2, 64, 0.0, batch_first=True),
                nn.Linear(WIDTH, 3),
            )

        def forward(self, x):
            h = self.first(x) + self.place
            latent = self.cross(self.latent.expand(len(x), -1, -1), h, h)[0]
            return self.out(self.net(latent).mean(1))

    return classify(Perceiver(), (torch.randn(6, 16, 5), torch.arange(6) % 3))


@member
def windows_that_shift():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, WIDTH, 2, stride=2)
            self.qkv = nn.ModuleList([nn.Linear(WIDTH, 96) for _ in range(2)])
            self.table, self.out = nn.Parameter(torch.randn(49, HEADS) * 0.02), nn.Linear(WIDTH, 4)

        def attend(self, x, qkv, mask):
            q, k, v = qkv(x).reshape(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            places = torch.cartesian_prod(torch.arange(4), torch.arange(4))
            apart = (places[:, None] - places + 3) @ torch.tensor([7, 1])
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
            scores = scores + self.table[apart.view(-1)].view(16, 16, -1).permute(2, 0, 1)
            if mask is not None:
                scores = scores.view(-1, len(mask), HEADS, 16, 16) + mask[:, None]
                scores = scores.view(-1, HEADS, 16, 16)
            return (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)

        def cut(self, x):
            return x.unflatten(2, (2, 4)).unflatten(1, (2, 4)).transpose(2, 3).flatten(3, 4).flatten(0, 2)

        def joined(self, x, B):
            return x.view(B, 2, 2, 4, 4, -1).transpose(2, 3).reshape(B, 8, 8, -1)

        def forward(self, x):
            h, B = self.patch(x).permute(0, 2, 3, 1), len(x)
            h = h + self.joined(self.attend(self.cut(h), self.qkv[0], None), B)
            region = torch.tensor([0] * 4 + [1] * 2 + [2] * 2)
            area = self.cut((region[:, None] * 3 + region)[None, :, :, None].float())[..., 0]
            mask = (area[:, None] != area[:, :, None]).float() * -100
            turned = h.roll((-2, -2), (1, 2))
            h = h + self.joined(self.attend(self.cut(turned), self.qkv[1], mask), B).roll((2, 2), (1, 2))
            return self.out(h.mean((1, 2)))

    return classify(Windows(), (torch.randn(5, 3, 16, 16), torch.arange(5) % 4))


@member
def attention_of_pixels_from_convolutions():
    class Pixels(nn.Module):  # as in SAGAN: no scale, and a gain that starts at zero
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 16, 3, padding=1)
            self.q, self.k, self.v = nn.Conv2d(16, 4, 1), nn.Conv2d(16, 4, 1), nn.Conv2d(16, 16, 1)
            self.gain, self.out = nn.Parameter(torch.zeros(1)), nn.Linear(16, 4)

        def forward(self, x):
            h = self.first(x)
            q, k, v = self.q(h).flatten(2), self.k(h).flatten(2), self.v(h).flatten(2)
            seen = torch.bmm(q.transpose(1, 2), k).softmax(-1)
            h = h + self.gain * torch.bmm(v, seen.transpose(1, 2)).view_as(h)
            return self.out(h.mean((2, 3)))

    return classify(Pixels(), (torch.randn(5, 3, 6, 6), torch.arange(5) % 4))


@member
def decoder_looks_at_the_encoder():
    class Dot(nn.Module):  # Luong's attention: a plain product of states
        def __init__(self):
            super().__init__()
            self.table, self.read = nn.Embedding(19, WIDTH), nn.GRU(WIDTH, WIDTH, batch_first=True)
            self.write, self.out = nn.GRU(WIDTH, WIDTH, batch_first=True), nn.Linear(2 * WIDTH, 19)

        def forward(self, source, given):
            memory, state = self.read(self.table(source))
            h, _ = self.write(self.table(given), state)
            seen = torch.bmm(torch.bmm(h, memory.transpose(1, 2)).softmax(-1), memory)
            return self.out(torch.cat([h, seen], -1))

    x, y = text()
    source = torch.randint(0, 19, (6, 7))
    model = Dot()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        every(model(source, x), y).backward()
        optimizer.step()

    return {"model": model, "loss": every, "batch": ((source, x), y), "optimizer": optimizer, "step": step}


@member
def slots():
    class Slots(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.start = nn.Linear(5, WIDTH), nn.Linear(5, 3 * WIDTH)
            self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
            self.out = nn.Linear(WIDTH, 3)

        def forward(self, x):
            h, slot = self.first(x).relu(), self.start(x.mean(1)).unflatten(-1, (3, -1))
            for _ in range(2):
                share = (self.k(h) @ self.q(slot).mT / WIDTH**0.5).softmax(-1) + 1e-8
                slot = slot + (share / share.sum(1, keepdim=True)).mT @ self.v(h)
            return self.out(slot.mean(1))

    return classify(Slots(), (torch.randn(6, 9, 5), torch.arange(6) % 3))


@member
def set_of_points():
    class Points(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.out = nn.Linear(3, WIDTH), nn.Linear(WIDTH, 4)
            self.net = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True, norm_first=True)

        def forward(self, x):
            return self.out(self.net(self.first(x)).amax(1))

    return classify(Points(), (torch.randn(6, 12, 3), torch.arange(6) % 4))


@member
def time_first():
    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.place = nn.Embedding(19, WIDTH), nn.Parameter(torch.randn(32, 1, WIDTH) * 0.1)
            self.net, self.head = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.1), nn.Linear(WIDTH, 19)

        def forward(self, x):
            mask = torch.full((len(x), len(x)), -math.inf).triu(1)
            return self.head(self.net(self.table(x) + self.place[: len(x)], src_mask=mask))

    x, y = text()
    return fit(TimeFirst(), (x.T.contiguous(), y.T.contiguous()), batch_axis=1)


@member
def adapters_on_queries_and_values():
    class Adapted(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.down, self.up = inner, nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False)
            nn.init.zeros_(self.up.weight)

        def forward(self, x):
            return self.inner(x) + self.up(self.down(x))

    model = Decoder()
    model.requires_grad_(False)
    for block in model.blocks:
        block.attention.query = Adapted(block.attention.query)
        block.attention.value = Adapted(block.attention.value)
    return fit(model)


@member
def one_layer_looped_on_purpose():
    class Universal(Decoder):
        def forward(self, x):
            h = self.token(x) + self.positions(x)
            for _ in range(3):
                h = self.blocks[0](h)
            return self.head(self.norm(h))

    return fit(Universal(layers=1))


@member
def sentence_encoder_with_a_mask_among_its_inputs():
    class Given(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Encoder()

        def forward(self, input_ids, attention_mask):
            return self.net(input_ids * attention_mask)

    x, y = sentences()
    model = Given()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch = {"input_ids": x, "attention_mask": (x != 0).long(), "labels": y}

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x, (x != 0).long()), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": batch, "optimizer": optimizer, "step": step}
