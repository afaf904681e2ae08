"""A second set of pairs with harder twins, written after the first had been learned from.

Its first run found 17 of 20 and gave no false alarm.
"""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.held_out import pair


def adam(model, rate=1e-3):
    return torch.optim.Adam(model.parameters(), lr=rate)


def made(model, loss, batch, **more):
    return {"model": model, "loss": loss, "batch": batch, "optimizer": adam(model), **more}


@pair("stale-gradients")
def accumulation_forgets_to_zero(right):
    model, x, y = (
        nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 2)),
        torch.randn(16, 5),
        torch.arange(16) % 2,
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step():
        for part in range(4):
            loss = F.cross_entropy(model(x[part::4]), y[part::4]) / 2
            loss.backward()
            if part % 2:
                optimizer.step()
                if right:
                    optimizer.zero_grad()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@pair("stale-gradients")
def discriminator_keeps_the_generators_gradient(right):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.g, self.d = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, z):
            return self.d(torch.tanh(self.g(z)))

    both, real = Both(), torch.randn(6, 4)
    g, d = adam(both.g), adam(both.d)

    def step():
        fake = torch.tanh(both.g(torch.randn(6, 3)))
        if right:
            d.zero_grad()
        (F.softplus(-both.d(real)) + F.softplus(both.d(fake.detach()))).mean().backward()
        d.step()
        g.zero_grad()
        F.softplus(-both.d(fake)).mean().backward()
        g.step()

    return {"model": both,
            "loss": lambda out, y: F.softplus(-out).mean(), "batch": (torch.randn(6, 3), torch.zeros(6)),
            "optimizer": {"g": g, "d": d}, "step": step}  # fmt: skip


@pair("optimizer-never-steps")
def scaler_never_steps(right):
    model, x, y = nn.Linear(5, 2), torch.randn(8, 5), torch.arange(8) % 2
    optimizer, scaler = adam(model), torch.amp.GradScaler("cpu")

    def step():
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        if right:
            scaler.step(optimizer)
            scaler.update()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@pair("training-in-eval-mode")
def train_called_on_a_part(right):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(5, 12), nn.Dropout(0.4))
            self.head = nn.Linear(12, 2)

        def forward(self, x):
            return self.head(torch.relu(self.body(x)))

    model, x, y = Net().eval(), torch.randn(8, 5), torch.arange(8) % 2
    optimizer = adam(model)

    def step():
        (model if right else model.head).train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@pair("evaluating-in-train-mode")
def perplexity_during_training(right):
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net, self.out = (
                nn.Embedding(11, 8),
                nn.LSTM(8, 8, 2, batch_first=True, dropout=0.3),
                nn.Linear(8, 11),
            )

        def forward(self, x):
            return self.out(self.net(self.table(x))[0])

    line = torch.randint(0, 11, (5, 8))
    model, x, y = Words(), line[:, :-1], line[:, 1:]
    optimizer = adam(model)

    def loss(z, y):
        return F.cross_entropy(z.mT, y)

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    def evaluate():
        if right:
            model.eval()
        with torch.no_grad():
            value = loss(model(x), y).exp()
        model.train()
        return value

    return {
        "model": model,
        "loss": loss,
        "batch": (x, y),
        "optimizer": optimizer,
        "step": step,
        "evaluate": evaluate,
    }


@pair("softmax-before-cross-entropy")
def softmax_reshaped_then_lost(right):
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(11, 8), nn.Linear(8, 4)

        def forward(self, x):
            z = self.out(torch.tanh(self.table(x)))
            return z if right else F.softmax(z, -1)

    x = torch.randint(0, 11, (4, 6))
    return made(Tagger(), lambda z, y: nn.CrossEntropyLoss()(z.permute(0, 2, 1), y), (x, x % 4))


@pair("nll-without-log-softmax")
def log_forgotten(right):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(5, 9), nn.SELU(), nn.Linear(9, 4))

        def forward(self, x):
            p = self.net(x).softmax(1)
            return p.log() if right else p

    return made(Net(), nn.NLLLoss(), (torch.randn(12, 5), torch.arange(12) % 4))


@pair("broadcast-output-target")
def keepdim_in_the_reward(right):
    class Value(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(5, 1)

        def forward(self, x):
            return self.net(x)

    def loss(value, gain):
        advantage = gain - (value.squeeze(-1) if right else value)
        return advantage.pow(2).mean()

    return made(Value(), loss, (torch.randn(14, 5), torch.randn(14)))


@pair("samples-mix")
def attention_over_flattened_batch(right):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x):
            b, t, c = x.shape
            flat = x if right else x.reshape(1, b * t, c)
            weight = (self.q(flat) @ self.k(flat).transpose(-2, -1) / c**0.5).softmax(-1)
            return self.out((weight @ flat).reshape(b, t, c).amax(1))

    return made(Mixed(), F.cross_entropy, (torch.randn(6, 4, 6), torch.arange(6) % 3))


@pair("samples-mix")
def mean_of_the_wrong_axis(right):
    class Centre(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x):
            h = self.one(x)
            h = h - h.mean(1 if right else 0, keepdim=True)
            return self.two(F.relu(h))

    return made(Centre(), F.cross_entropy, (torch.randn(10, 6), torch.arange(10) % 2))


@pair("looks-ahead")
def mask_of_the_wrong_triangle(right):
    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.qkv, self.out = nn.Embedding(13, 12), nn.Linear(12, 36), nn.Linear(12, 13)

        def forward(self, index):
            t = index.shape[1]
            q, k, v = self.qkv(self.table(index)).chunk(3, -1)
            keep = torch.ones(t, t, dtype=torch.bool)
            keep = keep.tril() if right else keep.triu()
            return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=keep))

    line = torch.randint(0, 13, (6, 12))
    return made(
        Causal(), lambda z, y: F.cross_entropy(z.reshape(-1, 13), y.reshape(-1)), (line[:, :-1], line[:, 1:])
    )


@pair("looks-ahead")
def normalised_over_time(right):
    class Series(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.GRU(2, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            if not right:
                x = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)
            return self.out(self.net(x)[0])

    walk = torch.randn(6, 13, 2).cumsum(1)
    return made(Series(), F.l1_loss, (walk[:, :-1], walk[:, 1:]))


@pair("reshape-scrambles-axes")
def pixels_flattened_for_the_loss(right):
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))

    def loss(z, y):
        rows = z.permute(0, 2, 3, 1).reshape(-1, 5) if right else z.reshape(-1, 5)
        return F.cross_entropy(rows, y.reshape(-1))

    return made(model, loss, (torch.randn(4, 1, 9, 9), torch.randint(0, 5, (4, 9, 9))))


@pair("parameter-without-gradient")
def loss_of_a_rounded_answer(right):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 8), nn.Linear(8, 1)

        def forward(self, x):
            h = torch.relu(self.one(x))
            h = h if right else torch.from_numpy(h.detach().numpy())
            return self.two(h).squeeze(1)

    return made(Net(), F.mse_loss, (torch.randn(12, 5), torch.randn(12)))


@pair("parameter-not-in-optimizer")
def parameter_made_anew_by_moving(right):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.out = nn.Parameter(torch.ones(5)), nn.Linear(5, 2)

        def forward(self, x):
            return self.out(x * self.scale)

    model = Net()
    optimizer = adam(model)
    if not right:
        model.scale = nn.Parameter(model.scale.detach() * 0.5)
    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (torch.randn(10, 5), torch.arange(10) % 2),
        "optimizer": optimizer,
    }


@pair("nan-in-forward")
def log_of_probabilities(right):
    class Confident(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 3)
            with torch.no_grad():
                self.out.weight.mul_(1.0 if right else 2000.0)

        def forward(self, x):
            return torch.softmax(self.out(x), -1)

    def loss(p, y):
        entropy = -(p * p.log()).sum(1).mean()
        return -p.clamp(min=1e-9).log()[torch.arange(len(y)), y].mean() - 0.1 * entropy

    return made(Confident(), loss, (torch.randn(12, 4), torch.arange(12) % 3))


@pair("inputs-not-scaled")
def pixels_into_a_perceptron(right):
    x = torch.randint(0, 256, (12, 1, 6, 6)).float()
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 3))
    return made(model, F.cross_entropy, (x / 255 if right else x, torch.arange(12) % 3))


@pair("dead-relu")
def step_far_too_large_before(right):
    model = nn.Sequential(nn.Linear(8, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3))
    if not right:
        with torch.no_grad():
            model[2].bias.sub_(6.0)
    return made(model, F.cross_entropy, (torch.randn(32, 8), torch.arange(32) % 3))


@pair("learning-rate-too-high")
def momentum_and_rate(right):
    model = nn.Sequential(nn.Linear(8, 40), nn.Tanh(), nn.Linear(40, 1), nn.Flatten(0))
    x = torch.randn(32, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 if right else 5.0, momentum=0.9)
    return {"model": model, "loss": F.mse_loss, "batch": (x, x[:, 0].sin()), "optimizer": optimizer}


@pair("first-loss-too-high")
def unscaled_output_matrix(right):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w1, self.w2 = nn.Parameter(torch.randn(8, 64) / 8**0.5), nn.Parameter(torch.randn(64, 20))
            if right:
                self.w2.data *= 0.05

        def forward(self, x):
            return torch.relu(x @ self.w1) @ self.w2

    return made(Net(), F.cross_entropy, (torch.randn(32, 8), torch.arange(32) % 20))
