"""Twenty further pairs, written after the checks and in other styles than those the checks were written with.

Their first run found 19 of 20 and gave no false alarm (missed: `torch.special.expit`); mended since.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

PAIRS = []


def pair(name):
    def register(program):
        PAIRS.append((name, program))
        return program

    return register


class Trainer:
    """A trainer object, as many write it; `flaw` switches its one mistake on."""

    def __init__(self, model, data, flaw="", loss=None, rate=1e-3):
        self.model, self.data, self.flaw = model, data, flaw
        self.criterion = loss or nn.CrossEntropyLoss()
        self.opt = torch.optim.AdamW(model.parameters(), lr=rate)
        self.history = []

    def train_epoch(self):
        if self.flaw != "stays in eval":
            self.model.train()
        x, y = self.data
        for start in range(0, len(y), 8):
            xb, yb = x[start : start + 8], y[start : start + 8]
            out = self.model(xb)
            loss = self.criterion(out, yb)
            loss.backward()
            if self.flaw == "zero early":
                for p in self.model.parameters():
                    p.grad = None
            self.opt.step()
            if self.flaw != "never zero":
                self.opt.zero_grad()
            self.history.append(float(loss.detach()))

    @torch.no_grad()
    def validate(self):
        if self.flaw != "no eval":
            self.model.eval()
        x, y = self.data
        hits = sum(
            int((self.model(a[None]).argmax(-1) == b).sum()) if self.flaw != "no eval" else 0
            for a, b in zip(x, y, strict=True)
        )
        if self.flaw == "no eval":
            hits = int((self.model(x).argmax(-1) == y).sum())
        return hits / len(y)

    def case(self, **more):
        return {"model": self.model, "loss": self.criterion, "batch": self.data, "optimizer": self.opt,
                "step": self.train_epoch, "evaluate": self.validate, **more}  # fmt: skip


def letters(samples=16, length=6, count=9):
    x = torch.randint(0, count, (samples, length))
    return x, (x[:, 0] * 2 + x[:, 3]) % count


class CharCNN(nn.Module):
    def __init__(self, count=9, drop=0.25):
        super().__init__()
        self.embed = nn.Embedding(count, 10)
        self.convs = nn.ModuleList([nn.Conv1d(10, 12, k, padding="same") for k in (1, 3)])
        self.drop, self.fc = nn.Dropout(drop), nn.Linear(24, count)

    def forward(self, tokens):
        e = self.embed(tokens).permute(0, 2, 1)
        pooled = [torch.amax(F.gelu(conv(e)), dim=2) for conv in self.convs]
        return self.fc(self.drop(torch.cat(pooled, dim=1)))


@pair("stale-gradients")
def trainer_zeroes(right):
    return Trainer(CharCNN(), letters(), "" if right else "never zero").case()


@pair("zeroed-before-step")
def trainer_none_before_step(right):
    return Trainer(CharCNN(), letters(), "" if right else "zero early").case()


@pair("training-in-eval-mode")
def trainer_mode(right):
    return Trainer(CharCNN(), letters(), "" if right else "stays in eval").case()


@pair("evaluating-in-train-mode")
def trainer_validation(right):
    return Trainer(CharCNN(), letters(), "" if right else "no eval").case()


@pair("softmax-before-cross-entropy")
def probabilities_returned_in_a_dictionary(right):
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.proj = nn.GRUCell(5, 14), nn.Linear(14, 6)

        def forward(self, seq):
            h = seq.new_zeros(seq.size(0), 14)
            for step in seq.unbind(1):
                h = self.rnn(step, h)
            scores = self.proj(h)
            return {"scores": scores if right else scores.softmax(-1), "state": h}

    model = Head()
    return {"model": model, "loss": lambda out, y: F.cross_entropy(out["scores"], y),
            "batch": (torch.randn(12, 7, 5), torch.arange(12) % 6),
            "optimizer": torch.optim.Adam(model.parameters(), 1e-3)}  # fmt: skip


@pair("sigmoid-before-bce-with-logits")
def multilabel_expit(right):
    class Multi(nn.Module):
        def __init__(self):
            super().__init__()
            self.w1, self.w2 = nn.Parameter(torch.randn(8, 20) / 3), nn.Parameter(torch.randn(20, 5) / 5)

        def forward(self, x):
            z = F.silu(x @ self.w1) @ self.w2
            return z if right else torch.special.expit(z)

    model = Multi()
    return {"model": model, "loss": nn.BCEWithLogitsLoss(pos_weight=torch.full((5,), 2.0)),
            "batch": (torch.randn(10, 8), torch.randint(0, 2, (10, 5)).float()),
            "optimizer": torch.optim.SGD(model.parameters(), 0.05)}  # fmt: skip


@pair("broadcast-output-target")
def huber_with_weights(right):
    class Regress(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(7, 24), nn.ELU(), nn.Linear(24, 1))

        def forward(self, x):
            return self.layers(x)

    def loss(prediction, truth):
        error = torch.sub(truth, prediction.squeeze(1) if right else prediction)
        return torch.where(error.abs() < 1, 0.5 * error**2, error.abs() - 0.5).mean()

    model = Regress()
    return {
        "model": model,
        "loss": loss,
        "batch": (torch.randn(20, 7), torch.randn(20)),
        "optimizer": torch.optim.NAdam(model.parameters(), 1e-3),
    }


@pair("reduced-axis-broadcast")
def cosine_attention_by_hand(right):
    class Memory(nn.Module):
        def __init__(self):
            super().__init__()
            self.slots, self.read = nn.Parameter(torch.randn(6, 6)), nn.Linear(6, 4)

        def forward(self, x):
            length = self.slots.norm(dim=1, keepdim=right)
            return self.read(torch.tanh(x @ (self.slots / length)))

    model = Memory()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(12, 6), torch.arange(12) % 4),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }


@pair("samples-mix")
def transformer_layers_in_a_list(right):
    class Set(nn.Module):
        def __init__(self):
            super().__init__()
            self.inp = nn.Linear(3, 12)
            self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(12, 3, 24, 0.0) for _ in range(2)])
            self.out = nn.Linear(12, 2)

        def forward(self, points):
            h = self.inp(points)
            if right:
                h = h.transpose(0, 1)
            for block in self.blocks:
                h = block(h)
            return self.out(h.mean(0 if right else 1))

    model = Set()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(8, 5, 3), torch.arange(8) % 2),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }


@pair("looks-ahead")
def mixer_over_time(right):
    class Mixer(nn.Module):
        def __init__(self, t=8):
            super().__init__()
            self.emb, self.mix = nn.Embedding(13, 16), nn.Parameter(torch.randn(t, t) * 0.1)
            self.head = nn.Linear(16, 13)

        def forward(self, idx):
            w = self.mix.tril() if right else self.mix
            h = self.emb(idx) + torch.einsum("ts,bsc->btc", w, self.emb(idx))
            return self.head(F.gelu(h))

    line = torch.randint(0, 13, (7, 9))
    model = Mixer()
    return {"model": model, "loss": lambda z, y: nn.functional.cross_entropy(z.view(-1, 13), y.reshape(-1)),
            "batch": (line[:, :-1], line[:, 1:]),
            "optimizer": torch.optim.Adam(model.parameters(), 1e-3)}  # fmt: skip


@pair("reshape-scrambles-axes")
def spectrogram_to_sequence(right):
    class Speech(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.rnn, self.fc = (
                nn.Conv1d(10, 16, 3, padding=1),
                nn.GRU(16, 16, batch_first=True),
                nn.Linear(16, 5),
            )

        def forward(self, mel):
            h = F.relu(self.conv(mel))
            h = h.permute(0, 2, 1) if right else h.reshape(h.size(0), h.size(2), h.size(1))
            return self.fc(self.rnn(h)[0].mean(dim=1))

    model = Speech()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(6, 10, 24), torch.arange(6) % 5),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }


@pair("softmax-over-batch")
def gate_of_experts(right):
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = nn.Linear(6, 3), nn.ModuleList(nn.Linear(6, 4) for _ in range(3))

        def forward(self, x):
            g = self.gate(x).softmax(dim=-1 if right else -2)
            return torch.stack([e(x) for e in self.experts], 1).mul(g.unsqueeze(-1)).sum(1)

    model = Experts()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(9, 6), torch.arange(9) % 4),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }


@pair("random-in-eval-mode")
def stochastic_depth(right):
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts, self.out = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)), nn.Linear(8, 3)

        def forward(self, x):
            for part in self.parts:
                keep = (
                    torch.bernoulli(torch.full((x.size(0), 1), 0.8)) / 0.8 if (self.training or not right) else 1.0
                )
                x = x + keep * torch.tanh(part(x))
            return self.out(x)

    model = Deep()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(9, 8), torch.arange(9) % 3),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }


@pair("parameter-without-gradient")
def vector_quantised(right):
    class Quantised(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.book, self.dec = nn.Linear(6, 4), nn.Embedding(8, 4), nn.Linear(4, 6)

        def forward(self, x):
            z = self.enc(x)
            q = self.book(torch.cdist(z, self.book.weight).argmin(1))
            out = self.dec(z + (q - z).detach()) if right else self.dec(q)
            return out, z, q

    def loss(output, x):
        out, z, q = output
        return F.mse_loss(out, x) + (F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach()) if right else 0)

    model, x = Quantised(), torch.randn(16, 6)
    return {"model": model, "loss": loss,
            "batch": (x, x),
            "optimizer": torch.optim.Adam(model.parameters(), 1e-3)}  # fmt: skip


@pair("parameter-not-in-optimizer")
def blocks_in_a_plain_list(right):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.body, self.head = (
                nn.Linear(6, 12),
                nn.Sequential(nn.Linear(12, 12), nn.ReLU()),
                nn.Linear(12, 3),
            )

        def forward(self, x):
            return self.head(self.body(F.relu(self.stem(x))))

    model = Plain()
    groups = [{"params": model.stem.parameters(), "lr": 1e-4}, {"params": model.head.parameters()}]
    if right:
        groups.append({"params": model.body.parameters()})
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(9, 6), torch.arange(9) % 3),
        "optimizer": torch.optim.RMSprop(groups, lr=1e-3),
    }


@pair("nan-in-backward")
def spherical_distance(right):
    def loss(out, y):
        a, b = F.normalize(out, dim=-1), F.normalize(y, dim=-1)
        cosine = (a * b).sum(-1)
        return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6) if right else cosine.clamp(-1, 1)).mean()

    model = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        model.weight.copy_(2 * torch.eye(3))
    x = torch.eye(3).repeat(3, 1) * torch.tensor([1.0, 2.0, 3.0]).repeat_interleave(3)[:, None]
    y = x if not right else x + 0.1 * torch.randn(9, 3)
    return {
        "model": model,
        "loss": loss,
        "batch": (x, y.clone()),
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
        "overfit_seconds": 0,
    }


@pair("bias-before-batchnorm")
def separable_convolutions(right):
    class Separable(nn.Module):
        def __init__(self):
            super().__init__()
            self.depth = nn.Conv2d(4, 4, 3, groups=4, padding=1, bias=not right)
            self.norm, self.point, self.fc = nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1), nn.Linear(8, 3)

        def forward(self, x):
            return self.fc(F.hardswish(self.point(F.relu6(self.norm(self.depth(x))))).mean(dim=(-2, -1)))

    model = Separable()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(6, 4, 6, 6), torch.arange(6) % 3),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }


@pair("saturated-units")
def makemore_mlp(right):
    class Makemore(nn.Module):
        def __init__(self):
            super().__init__()
            self.C, self.W1 = nn.Parameter(torch.randn(27, 10)), nn.Parameter(torch.randn(30, 64))
            self.b1, self.W2 = nn.Parameter(torch.randn(64) * 0.01), nn.Parameter(torch.randn(64, 27) * 0.01)
            self.b2 = nn.Parameter(torch.zeros(27))
            if right:
                self.W1.data *= (5 / 3) / math.sqrt(30)

        def forward(self, X):
            emb = self.C[X]
            return torch.tanh(emb.view(emb.shape[0], -1) @ self.W1 + self.b1) @ self.W2 + self.b2

    model = Makemore()
    return {"model": model, "loss": F.cross_entropy,
            "batch": (torch.randint(0, 27, (32, 3)), torch.randint(0, 27, (32,))),
            "optimizer": torch.optim.SGD(model.parameters(), 0.1)}  # fmt: skip


@pair("symmetry-never-broken")
def parameters_of_ones(right):
    class Ones(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(5, 16) * 0.1 if not right else 0.3 * torch.randn(5, 16))
            self.v = nn.Parameter(torch.ones(16, 1) * 0.1 if not right else torch.zeros(16, 1))

        def forward(self, x):
            return (torch.sigmoid(x @ self.w) @ self.v).squeeze(-1)

    model, x = Ones(), torch.randn(24, 5)
    return {
        "model": model,
        "loss": F.mse_loss,
        "batch": (x, x[:, 0] * x[:, 1]),
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
    }


@pair("output-ignores-input")
def query_overwritten(right):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.mem, self.out = nn.Linear(5, 8), nn.Parameter(torch.randn(7, 8)), nn.Linear(8, 3)

        def forward(self, x):
            q = self.q(x)
            score = (q @ self.mem.t())[..., None] if not right else q @ self.mem.t()
            weight = torch.softmax(score, dim=-1)
            if not right:
                weight = weight.squeeze(-1)
            return self.out(weight @ self.mem)

    model = Reader()
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(12, 5), torch.arange(12) % 3),
        "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
    }
