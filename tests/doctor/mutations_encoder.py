"""Mutations of a small encoder of padded sentences, on torch's own modules, and of models that keep a cache."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.mutations import mutation, switched
from doctor.mutations_decoder import Decoder, every, fit, text
from doctor.table import trained

WORDS, WIDTH, LENGTH = 17, 32, 11


def sentences(samples=6, length=LENGTH):
    """Token 0 fills up; the label is whether word 1 stands before word 2."""
    torch.manual_seed(0)
    x = torch.randint(1, WORDS, (samples, length))
    for row, size in enumerate((11, 7, 9, 5, 8, 6)):
        x[row, size:] = 0
    return x, torch.arange(samples) % 3


def classify(model, batch=None, **more):
    return trained(
        model, F.cross_entropy, batch or sentences(), torch.optim.Adam(model.parameters(), lr=1e-3), **more
    )


class Encoder(nn.Module):
    def __init__(self, flaw="", layers=2):
        super().__init__()
        self.flaw = flaw
        self.table, self.place = nn.Embedding(WORDS, WIDTH), nn.Parameter(torch.randn(1, 32, WIDTH) * 0.5)
        drop = 0.95 if flaw == "dropout of 0.95" else 0.1
        first = flaw != "batch first wrong"
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, drop, "gelu", batch_first=first)
        if flaw == "layer repeated":
            self.layers = nn.ModuleList([layer] * layers)
        else:
            self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).layers
        self.out = nn.Linear(WIDTH, 3)

    def mask(self, x):
        pads = x == 0
        if self.flaw == "padding mask inverted":
            return ~pads
        if self.flaw == "padding mask for another word":
            return x == WORDS + 1
        if self.flaw == "padding mask added as ones":
            return pads.float()
        if self.flaw == "no padding mask":
            return None
        return pads

    def forward(self, x):
        B, T = x.shape
        flaw = self.flaw
        h = self.table(x)
        if flaw == "positions by the batch":
            h = h + self.place[0, :B, None]
        elif flaw == "positions all the same":
            h = h + self.place[:, :1]
        elif flaw != "positions left out":
            h = h + self.place[:, :T]
        for number, layer in enumerate(self.layers):
            h = layer(h, src_key_padding_mask=None if flaw == "batch first wrong" else self.mask(x))
            if flaw == "residual cut" and number:
                h = layer.self_attn(h, h, h, key_padding_mask=self.mask(x))[0]
            if flaw == "norm over time" and number == 0:
                h = F.layer_norm(h.transpose(1, 2), (T,)).transpose(1, 2)
        real = (x != 0)[..., None].to(h.dtype)
        if flaw == "pooled with the padding":
            return self.out(h.mean(1))
        if flaw == "pooled over the batch":
            return self.out((h * real).sum(0)[:B] / B)
        if flaw == "first place of a causal model":
            return self.out(h[:, 0])
        return self.out((h * real).sum(1) / real.sum(1))


def encoder(flaw):
    return classify(Encoder(flaw))


switched(encoder, "mask", [
    ("padding mask inverted", "padding-is-seen"),
    ("padding mask for another word", "padding-is-seen"),
    ("padding mask added as ones", "mask-does-not-mask"),
    ("no padding mask", "padding-is-seen"),
    ("pooled with the padding", "padding-is-seen"),
])  # fmt: skip
switched(encoder, "positions", [
    ("positions by the batch", "place-in-batch-matters"),
    ("positions all the same", "order-ignored"),
    ("positions left out", "parameter-without-gradient"),
])  # fmt: skip
switched(encoder, "layers", [
    ("batch first wrong", "samples-mix"),
    ("layer repeated", "layer-repeated"),
    ("dropout of 0.95", "dropout-too-high"),
    ("norm over time", "padding-is-seen"),
])  # fmt: skip


@mutation("positions", "order-ignored")
def encoder_without_any_position():
    model = Encoder("positions left out")
    del model.place
    return classify(model)


@mutation("positions", "order-ignored")
def vision_transformer_without_positions():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, WIDTH, 4, stride=4)
            self.layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True)
            self.first, self.out = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Linear(WIDTH, 4)

        def forward(self, x):
            h = self.patch(x).flatten(2).transpose(1, 2)
            return self.out(self.layer(torch.cat([self.first.expand(len(h), -1, -1), h], 1))[:, 0])

    torch.manual_seed(0)
    return classify(Patches(), (torch.randn(6, 3, 12, 12), torch.arange(6) % 4))


class ByHand(nn.Module):
    """One layer whose padding mask is put on by hand."""

    def __init__(self, way):
        super().__init__()
        self.table, self.place = nn.Embedding(WORDS, WIDTH), nn.Embedding(32, WIDTH)
        self.qkv, self.out, self.way = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 3), way

    def forward(self, x):
        h = self.table(x) + self.place(torch.arange(x.shape[1]))
        q, k, v = (one.unflatten(-1, (2, -1)).transpose(1, 2) for one in self.qkv(h).chunk(3, -1))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        real = (x != 0)[:, None, :, None] if self.way == "queries" else (x != 0)[:, None, None]
        if self.way == "polarity":
            real = ~real
        scores = scores.masked_fill(~real, -1e9)
        h = h + (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.out(h[:, 0])


@mutation("mask", "padding-is-seen")
def padding_mask_along_the_queries():
    return classify(ByHand("queries"))


@mutation("mask", "padding-is-seen")
def padding_mask_by_hand_of_the_wrong_polarity():
    return classify(ByHand("polarity"))


@mutation("output", "reads-one-place")
def first_place_of_a_causal_encoder_is_read():
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = Decoder(), nn.Linear(19, 3)

        def forward(self, x):
            return self.out(self.net(x)[:, 0])

    return classify(First(), (text()[0], torch.arange(6) % 3))


@mutation("score", "attention-over-one-key")
def a_sample_is_a_sequence_of_one():
    class Tabular(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.out = nn.Linear(9, WIDTH), nn.Linear(WIDTH, 3)
            self.layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True)

        def forward(self, x):
            return self.out(self.layer(self.first(x).unsqueeze(1)).squeeze(1))

    torch.manual_seed(0)
    return classify(Tabular(), (torch.randn(12, 9), torch.arange(12) % 3))


class Cached(nn.Module):
    """A decoder that goes on from the keys and values of what it has read."""

    def __init__(self, flaw=""):
        super().__init__()
        self.flaw = flaw
        self.table, self.place = nn.Embedding(19, WIDTH), nn.Embedding(64, WIDTH)
        self.qkv, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 19)

    def forward(self, tokens, past=None):
        T, start = tokens.shape[1], 0 if past is None else past[0].shape[2]
        places = torch.arange(T) + (0 if self.flaw == "positions start again" else start)
        h = self.table(tokens) + self.place(places)
        q, k, v = (one.unflatten(-1, (2, -1)).transpose(1, 2) for one in self.qkv(h).chunk(3, -1))
        if past is not None:
            first, second = (v, k) if self.flaw == "values and keys exchanged" else (k, v)
            before = (past[0], past[1]) if self.flaw != "new before old" else None
            if before is None:
                k, v = torch.cat([k, past[0]], 2), torch.cat([v, past[1]], 2)
            else:
                k, v = torch.cat([before[0], first], 2), torch.cat([before[1], second], 2)
        keep = torch.ones(T, k.shape[2], dtype=torch.bool).tril(0 if self.flaw == "mask not moved" else start)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        return self.head(h + out.transpose(1, 2).flatten(2)), (k, v)


def cached(flaw):
    return fit(Cached(flaw), loss=lambda out, y: every(out[0], y))


switched(cached, "cache", [
    ("positions start again", "cache-differs"),
    ("values and keys exchanged", "cache-differs"),
    ("new before old", "cache-differs"),
    ("mask not moved", "cache-differs"),
])  # fmt: skip


@mutation("mask", "looks-ahead")
def decoder_layer_without_its_mask():
    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.place = nn.Embedding(19, WIDTH), nn.Parameter(torch.randn(1, 32, WIDTH))
            layer = nn.TransformerDecoderLayer(WIDTH, 4, 64, 0.0, batch_first=True)
            self.net, self.head = nn.TransformerDecoder(layer, 1), nn.Linear(WIDTH, 19)

        def forward(self, source, given):
            one, two = (self.table(x) + self.place[:, : x.shape[1]] for x in (source, given))
            return self.head(self.net(two, one))

    x, y = text()
    torch.manual_seed(1)
    source = torch.randint(0, 19, (6, 7))
    model = Translator()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        every(model(source, x), y).backward()
        optimizer.step()

    return {"model": model, "loss": every, "batch": ((source, x), y), "optimizer": optimizer, "step": step}
