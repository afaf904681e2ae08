"""Mutations of a small decoder that is written by hand, as tutorials write it."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from doctor.mutations import mutation, switched
from doctor.table import trained

LETTERS, WIDTH, HEADS, LENGTH = 19, 32, 2, 11


def text(samples=6, length=LENGTH):
    torch.manual_seed(0)
    line = torch.randint(0, LETTERS, (samples, length + 1))
    return line[:, :-1].clone(), line[:, 1:].clone()


def every(logits, y):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def fit(model, batch=None, loss=every, **more):
    return trained(model, loss, batch or text(), torch.optim.AdamW(model.parameters(), lr=1e-3), **more)


class Attention(nn.Module):
    def __init__(self, flaw):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out, self.flaw = nn.Linear(WIDTH, WIDTH), flaw

    def split(self, x):
        B, T, C = x.shape
        if self.flaw == "heads viewed without transpose":
            return x.view(B, HEADS, T, C // HEADS)
        return x.view(B, T, HEADS, C // HEADS).transpose(1, 2)

    def scale(self, scores, d):
        factors = {
            "no scale": 1.0, "scale multiplied": math.sqrt(d), "scale of the whole width": WIDTH**-0.5,
            "scale by the length": 1 / d, "scale twice": 1.0,
        }  # fmt: skip
        return scores * factors.get(self.flaw, d**-0.5)

    def mask(self, scores):
        T, flaw = scores.shape[-1], self.flaw
        past = torch.ones(T, T).tril()
        if flaw in ("no mask", "mask after softmax"):
            return scores
        if flaw == "mask lets one more through":
            return scores.masked_fill(torch.ones(T, T).tril(1) == 0, -math.inf)
        if flaw == "mask hides the moment itself":
            return scores.masked_fill(torch.ones(T, T).tril(-1) == 0, -1e9)
        if flaw == "mask hides itself with nan":
            return scores.masked_fill(torch.ones(T, T).tril(-1) == 0, -math.inf)
        if flaw == "mask added as ones":
            return scores + past
        if flaw == "mask multiplied":
            return scores * past
        if flaw == "mask of minus one":
            return scores.masked_fill(past == 0, -1.0)
        if flaw == "mask inverted":
            return scores.masked_fill(past == 1, -1e9)
        if flaw == "mask transposed":
            return scores.masked_fill(past.T == 0, -math.inf)
        if flaw == "mask zeroed":
            return scores + torch.zeros(T, T)
        if flaw == "mask of the first row":
            return scores.masked_fill(past[:, :1] == 0, -math.inf)
        if flaw == "mask for one head":
            keep = torch.stack([past, torch.ones(T, T)])
            return scores.masked_fill(keep == 0, -math.inf)
        if flaw == "last row unmasked":
            past[T // 2] = 1
            return scores.masked_fill(past == 0, -math.inf)
        return scores.masked_fill(past == 0, -math.inf)

    def forward(self, x):
        B, T, C = x.shape
        flaw = self.flaw
        q, k, v = self.query(x), self.key(x), self.value(x)
        if flaw == "query detached":
            q = self.query(x).detach()
        if flaw == "value is the key":
            v = k
        if flaw == "query and key swapped":
            q, k = k, q
        q, k, v = (self.split(one) for one in (q, k, v))
        if flaw == "scale twice":
            q = q / math.sqrt(q.shape[-1])
        scores = q @ k.transpose(-2, -1)
        if flaw == "scale twice":
            scores = scores / math.sqrt(q.shape[-1])
        scores = self.scale(scores, q.shape[-1])
        if flaw == "dropout on the scores":
            scores = F.dropout(scores, 0.1, self.training)
        axis = {"softmax over queries": -2, "softmax over heads": 1}.get(flaw, -1)
        weights = self.mask(scores).softmax(axis)
        if flaw.startswith("softmax over"):
            weights = weights.nan_to_num()
        if flaw == "softmax twice":
            weights = weights.softmax(-1)
        if flaw == "mask after softmax":
            weights = weights * torch.ones(T, T).tril()
        if flaw == "dropout stays on":
            weights = F.dropout(weights, 0.1)
        out = weights @ v
        if flaw == "a head is zeroed":
            out = out * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
        if flaw == "output rows zeroed":
            out = torch.cat([torch.zeros_like(out[:, :, :3]), out[:, :, 3:]], 2)
        out = (
            out.reshape(B, T, C)
            if flaw == "heads merged without transpose"
            else out.transpose(1, 2).reshape(B, T, C)
        )
        return self.out(out)


class Block(nn.Module):
    def __init__(self, flaw):
        super().__init__()
        self.one, self.two, self.flaw = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), flaw
        self.attention = Attention(flaw)
        activation = nn.Identity() if flaw == "no activation" else nn.GELU()
        drop = nn.Dropout(0.95 if flaw == "dropout of 0.95" else 0.1)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), activation, nn.Linear(2 * WIDTH, WIDTH), drop)

    def forward(self, x):
        flaw = self.flaw
        if flaw == "norm after instead of before":
            x = self.one(x + self.attention(x))
            return self.two(x + self.mlp(x))
        h = self.attention(self.one(x))
        if flaw == "residual doubled":
            h = h + x
        x = h if flaw == "residual of attention cut" else x + h
        h = self.mlp(self.two(x))
        return h if flaw == "residual of the mlp cut" else x + h


class Decoder(nn.Module):
    def __init__(self, flaw="", layers=2, only=None):
        super().__init__()
        self.flaw = flaw
        self.token, self.place = nn.Embedding(LETTERS, WIDTH), nn.Embedding(64, WIDTH)
        for table in (self.token, self.place):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList([Block(flaw if only in (None, i) else "") for i in range(layers)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, LETTERS, bias=False)
        self.head.weight = self.token.weight

    def positions(self, x):
        B, T = x.shape
        flaw = self.flaw
        places = torch.arange(T)
        if flaw == "positions shifted":
            places = places + 1
        if flaw == "positions all the same":
            places = torch.zeros_like(places)
        if flaw == "positions run out":
            places = places.clamp(max=3)
        if flaw == "positions by the batch":
            return self.place(torch.arange(B))[:, None]
        return self.place(places)

    def forward(self, x):
        flaw = self.flaw
        h = self.token(x) * {"embedding scaled twice": WIDTH, "tokens drown in positions": 0.02}.get(flaw, 1)
        if flaw != "positions left out":
            h = h + self.positions(x)
        for number, block in enumerate(self.blocks):
            if flaw == "a layer never runs" and number == 1:
                continue
            h = block(h)
            if flaw == "a layer runs twice" and number == 0:
                h = block(h)
        if flaw != "final norm left out":
            h = self.norm(h)
        logits = self.head(h)
        if flaw == "rows of the logits zeroed":
            logits = torch.cat([torch.zeros_like(logits[:, :2]), logits[:, 2:]], 1)
        return logits


def decoder(flaw):
    return fit(Decoder(flaw))


switched(decoder, "score", [
    ("no scale", "attention-not-scaled"),
    ("scale multiplied", "attention-not-scaled"),
    ("scale of the whole width", "attention-not-scaled"),
    ("scale by the length", None, "1/d instead of 1/√d is what muP prescribes"),
    ("scale twice", "attention-scaled-twice"),
    ("softmax over queries", "softmax-over-wrong-axis"),
    ("softmax over heads", "softmax-over-wrong-axis"),
    ("softmax twice", "softmax-twice"),
    ("dropout on the scores", "dropout-on-scores"),
    ("dropout stays on", "random-in-eval-mode"),
    ("dropout of 0.95", "dropout-too-high"),
])  # fmt: skip
switched(decoder, "mask", [
    ("no mask", "looks-ahead"),
    ("mask lets one more through", "causal-mask-off-by-one"),
    ("mask hides the moment itself", "causal-mask-off-by-one"),
    ("mask hides itself with nan", "nan-in-forward"),
    ("mask added as ones", "mask-does-not-mask"),
    ("mask multiplied", "mask-does-not-mask"),
    ("mask of minus one", "mask-does-not-mask"),
    ("mask after softmax", "mask-after-softmax"),
    ("mask inverted", "causal-mask-inverted"),
    ("mask transposed", "causal-mask-inverted"),
    ("mask zeroed", "mask-does-not-mask"),
    ("mask of the first row", "looks-ahead"),
    ("mask for one head", "looks-ahead"),
    ("last row unmasked", "looks-ahead"),
])  # fmt: skip
switched(decoder, "query, key, value", [
    ("query detached", "parameter-without-gradient"),
    ("value is the key", "parameter-without-gradient"),
    ("query and key swapped", None, "the names are ours: q and k exchange their weights"),
    ("heads viewed without transpose", "reshape-scrambles-axes"),
    ("heads merged without transpose", "reshape-scrambles-axes"),
])  # fmt: skip
switched(decoder, "output", [
    ("output rows zeroed", "attention-output-zeroed"),
    ("a head is zeroed", "attention-output-zeroed"),
    ("rows of the logits zeroed", "places-ignored"),
])  # fmt: skip
switched(decoder, "positions", [
    ("positions shifted", None, "a learned table whose rows are numbered otherwise is the same model"),
    ("positions all the same", "positions-repeat"),
    ("positions run out", "positions-repeat"),
    ("positions by the batch", "place-in-batch-matters"),
    ("positions left out", "parameter-without-gradient"),
])  # fmt: skip
switched(decoder, "residual and norm", [
    ("residual doubled", "residual-doubled"),
    ("residual of attention cut", "residual-missing"),
    ("residual of the mlp cut", "residual-missing"),
    ("norm after instead of before", None, "post-norm is how the first Transformer was"),
    ("final norm left out", "parameter-without-gradient"),
])  # fmt: skip
switched(decoder, "layers", [
    ("no activation", "linear-after-linear"),
    ("a layer never runs", "parameter-without-gradient"),
    ("a layer runs twice", "layer-runs-twice"),
    ("embedding scaled twice", None, "learned positions may start small beside the tokens: minGPT's start at zero"),
    ("tokens drown in positions", "embedding-scale"),
])  # fmt: skip


@mutation("positions", reason="causal attention tells places apart without positions (NoPE)")
def no_positions_at_all():
    class Plain(Decoder):
        def __init__(self):
            super().__init__("positions left out")
            del self.place

    return fit(Plain())


@mutation("residual and norm", reason="GPT-1 and every post-norm model have no norm at the end")
def no_final_norm_at_all():
    class Plain(Decoder):
        def __init__(self):
            super().__init__("final norm left out")
            del self.norm

    return fit(Plain())


@mutation("mask", "looks-ahead")
def one_layer_of_three_unmasked():
    return fit(Decoder("no mask", 3, only=1))


@mutation("residual and norm", "residual-missing")
def one_residual_of_three_cut():
    return fit(Decoder("residual of attention cut", 3, only=1))


@mutation("score", "attention-not-scaled")
def one_layer_of_three_unscaled():
    return fit(Decoder("no scale", 3, only=1))


@mutation("layers", "layer-repeated")
def one_layer_times_three():
    model = Decoder()
    model.blocks = nn.ModuleList([Block("")] * 3)
    return fit(model)


@mutation("residual and norm", "norm-gain-zero")
def gain_of_norms_zero():
    model = Decoder()
    for block in model.blocks:
        nn.init.zeros_(block.one.weight)
    return fit(model)


@mutation("query, key, value", "attention-partly-frozen")
def queries_and_keys_frozen():
    model = Decoder()
    for block in model.blocks:
        for part in (block.attention.query, block.attention.key):
            part.requires_grad_(False)
    return fit(model)


@mutation("query, key, value", "attention-partly-frozen")
def values_frozen():
    model = Decoder()
    for block in model.blocks:
        block.attention.value.requires_grad_(False)
    return fit(model)


@mutation("embedding", "first-loss-too-high")
def embedding_of_unit_scale_with_a_tied_head():
    model = Decoder()
    nn.init.normal_(model.token.weight)
    return fit(model)


@mutation("embedding", "tied-weights-broken")
def head_copies_the_embedding():
    model = Decoder()
    model.head.weight = nn.Parameter(model.token.weight.detach().clone())
    return fit(model)


@mutation("embedding", "attention-saturated", "first-loss-too-high")
def everything_initialised_at_unit_scale():
    model = Decoder()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter)
    return fit(model)


@mutation("embedding", reason="rows of the table are renumbered: the same model")
def token_ids_off_by_one():
    class Plus(Decoder):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(LETTERS + 1, WIDTH)
            nn.init.normal_(self.token.weight, std=0.02)
            self.head = nn.Linear(WIDTH, LETTERS)

        def forward(self, x):
            return super().forward(x + 1)

    return fit(Plus())


@mutation("embedding", "tokens-out-of-range")
def token_ids_beyond_the_table():
    class Plus(Decoder):
        def forward(self, x):
            return super().forward(x + 1)

    return fit(Plus())


@mutation("output", "first-loss-too-high")
def bias_of_the_head_starts_high():
    model = Decoder()
    model.head.bias = nn.Parameter(torch.zeros(LETTERS).index_fill(0, torch.tensor(3), 30.0))
    return fit(model)


@mutation("shift", "targets-not-shifted")
def targets_are_the_inputs():
    x, _ = text()
    return fit(Decoder(), (x, x.clone()))


@mutation("shift", "targets-not-shifted")
def targets_are_the_inputs_and_the_loss_is_inside():
    x, _ = text()
    model = Inside()
    return inside(model, (x, x.clone()))


class Inside(nn.Module):
    """As nanoGPT: tokens and targets in, logits and loss out."""

    def __init__(self, flaw="", attention="", start=0):
        super().__init__()
        self.net, self.flaw, self.start = Decoder(attention), flaw, start

    def forward(self, index, targets=None):
        logits = self.net(index)
        if self.flaw == "shifts":
            logits, targets = logits[:, :-1], targets[:, 1:]
        return logits, every(logits, targets)


def inside(model, batch):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        model(*batch)[1].backward()
        optimizer.step()

    return {
        "model": model,
        "loss": lambda out: out[1],
        "batch": (batch, None),
        "optimizer": optimizer,
        "step": step,
    }


@mutation("shift", "targets-shifted-twice")
def shifted_by_the_loader_and_the_model():
    return inside(Inside("shifts"), text())


@mutation("shift", "targets-shifted-twice")
def shifted_twice_by_the_loader():
    line = torch.cat([text()[0], text()[1][:, -1:]], 1)
    return fit(Decoder(), (line[:, :-2].clone(), line[:, 2:].clone()))


@mutation("shift", "targets-not-shifted")
def labels_are_the_tokens_before():
    x, y = text()
    return fit(Decoder(), (y, x))


@mutation("mask", "looks-ahead")
def no_mask_and_the_loss_inside():
    return inside(Inside(attention="no mask"), text())


@mutation("mask", "mask-does-not-mask")
def fused_attention_with_a_mask_of_ones():
    return fit(Fused(lambda T: torch.ones(T, T).tril()))


@mutation("mask", "causal-mask-off-by-one")
def fused_attention_sees_one_more():
    return fit(Fused(lambda T: torch.ones(T, T, dtype=torch.bool).tril(1)))


@mutation("mask", "causal-mask-inverted", "nan-in-forward")
def fused_attention_with_the_other_polarity():
    return fit(Fused(lambda T: torch.ones(T, T, dtype=torch.bool).triu(0)))


@mutation("score", "attention-scaled-twice")
def fused_attention_of_scaled_queries():
    return fit(Fused(scale=4))


@mutation("score", "attention-not-scaled")
def fused_attention_told_not_to_scale():
    return fit(Fused(told=1.0))


@mutation("score", "random-in-eval-mode")
def fused_attention_drops_in_evaluation():
    return fit(Fused(drop=0.2))


class Fused(nn.Module):
    def __init__(self, mask=None, scale=1, told=None, drop=0.0):
        super().__init__()
        self.table, self.place = nn.Embedding(LETTERS, WIDTH), nn.Parameter(torch.randn(1, LENGTH, WIDTH) * 0.02)
        self.qkv, self.out, self.head = (
            nn.Linear(WIDTH, 3 * WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(WIDTH, LETTERS),
        )
        self.norm, self.mask, self.scale, self.told, self.drop = nn.LayerNorm(WIDTH), mask, scale, told, drop

    def forward(self, x):
        h = self.table(x) + self.place[:, : x.shape[1]]
        parts = self.qkv(self.norm(h)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts
        mask = None if self.mask is None else self.mask(x.shape[1])
        mask = mask.to(q.dtype) if mask is not None and mask.is_floating_point() else mask
        if self.scale != 1:
            q = q / self.scale
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.drop, is_causal=mask is None, scale=self.told
        )
        return self.head(h + self.out(out.transpose(1, 2).flatten(2)))
