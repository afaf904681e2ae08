"""Pairs about what is asked on demand: a resume, parts, processes, precision."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.pairs_equivalences import classifier, labels, looped
from doctor.table import faulty, healthy, trained


def thorough(case):
    return {**case, "thorough": True, "overfit_seconds": 0}


# 31: what is in no state


class Average(nn.Module):
    """Subtracts a running mean of its inputs."""

    def __init__(self, registered):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 16), nn.Linear(16, 3)
        if registered:
            self.register_buffer("mean", torch.zeros(16))
        else:
            self.mean = torch.zeros(16)

    def forward(self, x):
        h = self.inner(x)
        if self.training:
            self.mean = 0.7 * self.mean + 0.3 * h.detach().mean(0)
        return self.outer(torch.tanh(h - self.mean))


def averaged(registered):
    model = Average(registered)
    return thorough(trained(model, F.cross_entropy, labels(), torch.optim.Adam(model.parameters(), 1e-2)))


@faulty("state-outside-checkpoint")
def a_running_mean_is_a_plain_tensor():
    return averaged(registered=False)


@healthy("state-outside-checkpoint")
def a_running_mean_is_a_buffer():
    return averaged(registered=True)


class Heavy(torch.optim.Optimizer):
    """Momentum by hand, kept in a list or where torch saves it."""

    def __init__(self, parameters, lr, in_state):
        super().__init__(parameters, {"lr": lr})
        self.in_state, self.speeds = in_state, {}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for place, p in enumerate(group["params"]):
                if p.grad is None:
                    continue
                kept = self.state[p] if self.in_state else self.speeds.setdefault(place, {})
                kept["speed"] = 0.9 * kept.get("speed", torch.zeros_like(p)) + p.grad
                p.sub_(kept["speed"], alpha=group["lr"])


def heavy(in_state):
    x, y = labels()
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return thorough(looped(model, Heavy(model.parameters(), 0.05, in_state), x, y))


@faulty("state-outside-checkpoint")
def an_optimizer_of_ones_own_keeps_its_momentum_for_itself():
    return heavy(in_state=False)


@healthy("state-outside-checkpoint")
def an_optimizer_of_ones_own_uses_its_state():
    return heavy(in_state=True)


# 31: parts


def in_parts(optimizer_of, weight_of, sizes=(12, 12, 12, 12)):
    (x, y), model = labels(), classifier()
    optimizer = optimizer_of(model.parameters())

    def step():
        optimizer.zero_grad()
        for xb, yb in zip(x.split(sizes), y.split(sizes), strict=True):
            (F.cross_entropy(model(xb), yb) * weight_of(len(xb))).backward()
        optimizer.step()

    return thorough(
        {"model": model, "optimizer": optimizer, "step": step, "loss": F.cross_entropy, "batch": (x, y)}
    )


@faulty("accumulated-unlike-one-batch")
def four_means_are_added_up():
    return in_parts(lambda parameters: torch.optim.SGD(parameters, 0.05), lambda size: 1)


@faulty("accumulated-unlike-one-batch")
def a_small_part_counts_like_a_large_one():
    return in_parts(lambda parameters: torch.optim.Adam(parameters, 1e-3), lambda size: 0.25, (20, 20, 4, 4))


@healthy("accumulated-unlike-one-batch")
def each_part_counts_by_its_samples():
    return in_parts(lambda parameters: torch.optim.SGD(parameters, 0.1), lambda size: size / 48, (20, 20, 4, 4))


@healthy("accumulated-unlike-one-batch")
def sums_of_squares_over_all_samples():
    torch.manual_seed(1)
    x, model = torch.randn(40, 6), nn.Linear(6, 1)
    y, optimizer = x.sum(1, keepdim=True), torch.optim.SGD(model.parameters(), 0.02)

    def step():
        model.zero_grad()
        for start in range(0, 40, 10):
            error = model(x[start : start + 10]) - y[start : start + 10]
            (error.square().sum() / 40).backward()
        optimizer.step()

    return thorough({"model": model, "optimizer": optimizer, "step": step, "loss": F.mse_loss, "batch": (x, y)})


# 31: processes


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.mix, self.out = nn.Embedding(9, 12), nn.GRU(12, 12, batch_first=True), nn.Linear(12, 9)

    def forward(self, ids):
        return self.out(self.mix(self.table(ids))[0])


def sentences(lengths):
    torch.manual_seed(3)
    ids, tags = torch.randint(1, 9, (len(lengths), 10)), torch.randint(1, 9, (len(lengths), 10))
    for row, length in enumerate(lengths):
        ids[row, length:], tags[row, length:] = 0, 0
    return ids, tags


def tagged(loss, lengths):
    model = Tagger()
    return thorough(trained(model, loss, sentences(lengths), torch.optim.Adam(model.parameters(), 3e-3)))


@faulty("loss-counts-locally")
def tokens_are_counted_in_each_half():
    lengths = [10, *[1] * 11]

    def loss(logits, tags):
        return F.cross_entropy(logits.flatten(0, 1), tags.flatten(), ignore_index=0)

    return tagged(loss, lengths)


@faulty("loss-counts-locally")
def a_mask_is_summed_by_hand():
    def loss(logits, tags):
        each = F.cross_entropy(logits.transpose(1, 2), tags, reduction="none")
        mask = (tags != 0).float()
        return (each * mask).sum() / mask.sum()

    return tagged(loss, [1, 2, 1, 10, 1, 2, 1, 2])


@healthy("loss-counts-locally")
def sentences_of_one_length():
    return tagged(lambda logits, tags: F.cross_entropy(logits.transpose(1, 2), tags), [10] * 9)


@healthy("loss-counts-locally")
def each_sentence_is_a_mean_by_itself():
    def loss(logits, tags):
        each = F.cross_entropy(logits.transpose(1, 2), tags, reduction="none")
        mask = (tags != 0).float()
        return ((each * mask).sum(1) / mask.sum(1)).mean()

    return tagged(loss, [9, 10, 9, 10, 3, 2, 3, 2])


@faulty("loss-mixes-samples")
def views_against_each_other():
    def loss(z, other):
        a, b = F.normalize(z, dim=1), F.normalize(other, dim=1)
        return F.cross_entropy(a @ b.T / 0.2, torch.arange(len(a)))

    torch.manual_seed(4)
    x, model = torch.randn(24, 6), nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8))
    wanted = x @ torch.randn(6, 8) + 0.1 * torch.randn(24, 8)
    return thorough(trained(model, loss, (x, wanted), torch.optim.Adam(model.parameters(), 1e-3)))


@faulty("loss-mixes-samples")
def the_root_of_a_mean():
    torch.manual_seed(5)
    x, model = torch.randn(32, 6), nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    y = x.sum(1, keepdim=True) * torch.tensor([0.2] * 30 + [3.0] * 2)[:, None]

    def loss(output, target):
        return (output - target).pow(2).mean().sqrt()

    return thorough(trained(model, loss, (x, y), torch.optim.SGD(model.parameters(), 0.01)))


@healthy("loss-mixes-samples")
def a_penalty_beside_the_mean():
    model = classifier()

    def loss(logits, target):
        return F.cross_entropy(logits, target) + 1e-3 * sum(p.square().sum() for p in model.parameters())

    return thorough(trained(model, loss, labels(), torch.optim.SGD(model.parameters(), 0.1)))


@healthy("loss-mixes-samples")
def a_sum_over_the_batch():
    model = classifier()
    loss = nn.CrossEntropyLoss(reduction="sum")
    return thorough(trained(model, loss, labels(), torch.optim.Adam(model.parameters(), 1e-3)))


def normalised(norm):
    model = nn.Sequential(nn.Linear(6, 16), norm, nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
    return thorough(trained(model, F.cross_entropy, labels(), torch.optim.Adam(model.parameters(), 1e-3)))


@faulty("statistics-per-process")
def batchnorm_in_two_processes():
    return normalised(nn.BatchNorm1d(16))


@faulty("statistics-per-process")
def batchnorm_of_pictures():
    torch.manual_seed(6)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    batch = torch.randn(12, 1, 8, 8), torch.arange(12) % 2
    return thorough(trained(model, F.cross_entropy, batch, torch.optim.SGD(model.parameters(), 0.05)))


@healthy("statistics-per-process")
def layernorm_in_two_processes():
    return normalised(nn.LayerNorm(16))


@healthy("statistics-per-process")
def groupnorm_in_two_processes():
    return normalised(nn.GroupNorm(4, 16))


# 31: precision


class Guess(nn.Module):
    """The logarithm of a probability, and of its rest."""

    def __init__(self, stable):
        super().__init__()
        self.inner, self.outer, self.stable = nn.Linear(6, 16), nn.Linear(16, 1), stable

    def forward(self, x):
        z = 24 * self.outer(torch.tanh(self.inner(x))).squeeze(1)
        if self.stable:
            return torch.stack([F.logsigmoid(-z), F.logsigmoid(z)], 1)
        p = torch.sigmoid(z)
        return torch.stack([torch.log(1 - p), torch.log(p)], 1)


def guessed(stable):
    torch.manual_seed(7)
    x, model = 2 * torch.randn(200, 6), Guess(stable)
    y = (x.sum(1) > 0).long()
    return thorough(trained(model, F.nll_loss, (x, y), torch.optim.Adam(model.parameters(), 1e-3)))


@faulty("bfloat16-loses-the-gradient")
def the_logarithm_of_one_minus_p():
    return guessed(stable=False)


@healthy("bfloat16-loses-the-gradient")
def the_logarithm_of_a_sigmoid():
    return guessed(stable=True)


class Waves(nn.Module):
    """Sines of the time, which is a large number or one near zero."""

    def __init__(self, scale):
        super().__init__()
        self.speeds, self.outer, self.scale = nn.Linear(1, 24), nn.Linear(24, 1), scale

    def forward(self, t):
        return self.outer(torch.sin(self.speeds(t * self.scale)))


def waved(scale):
    torch.manual_seed(8)
    t = torch.linspace(-1, 1, 64)[:, None]
    model = Waves(scale)
    return thorough(trained(model, F.mse_loss, (t, torch.sin(3 * t)), torch.optim.Adam(model.parameters(), 1e-3)))


@faulty("bfloat16-loses-the-gradient")
def sines_of_large_numbers():
    return waved(1000.0)


@healthy("bfloat16-loses-the-gradient")
def sines_of_small_numbers():
    return waved(1.0)
