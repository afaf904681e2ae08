"""Pairs about numbers: what one batch can show, first losses, NaN, the same step twice."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=24, width=10, count=3):
    torch.manual_seed(0)
    y = torch.arange(samples) % count
    return torch.randn(samples, width), y


def case(model, batch, loss=F.cross_entropy, rate=3e-3, **more):
    return trained(model, loss, batch, torch.optim.Adam(model.parameters(), lr=rate), **more)


class Net(nn.Module):
    def __init__(self, before=lambda x: x, middle=torch.tanh, width=10, out=3):
        super().__init__()
        self.one, self.two, self.before, self.middle = nn.Linear(width, 32), nn.Linear(32, out), before, middle

    def forward(self, x):
        return self.two(self.middle(self.one(self.before(x))))


# 1


@faulty("cannot-overfit-one-batch")
def inputs_almost_erased():
    return case(Net(lambda x: 1e-9 * x), classes())


@faulty("cannot-overfit-one-batch")
def one_bit_of_the_input():
    class OneBit(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(10, 1)

        def forward(self, x):
            return self.out((x.sum(1, keepdim=True) > 0).float().expand(-1, 10))

    x, _ = classes()
    return case(OneBit(), (x, x[:, :1] * x[:, 1:2]), F.mse_loss)


@healthy("cannot-overfit-one-batch")
def random_labels_are_learned():
    x, _ = classes()
    torch.manual_seed(3)
    return case(Net(), (x, torch.randint(0, 3, (24,))))


@healthy("cannot-overfit-one-batch")
def tiny_linear_regression():
    x, _ = classes()
    return case(nn.Linear(10, 1), (x, x[:, :1] - 2 * x[:, 3:4] + 0.1 * torch.randn(24, 1)), F.mse_loss, 1e-2)


# 15, 16


@faulty("first-loss-too-high")
def lecture_first_loss():
    model = Net()
    nn.init.normal_(model.two.weight, std=6.0)
    return case(model, classes())


@faulty("first-loss-too-high")
def embedding_head_of_unit_scale():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm = nn.Embedding(40, 64), nn.LayerNorm(64)

        def forward(self, index):
            return self.norm(self.table(index)) @ self.table.weight.T

    torch.manual_seed(0)
    index = torch.arange(40)
    return case(Tied(), (index, (index + 7) % 40))


@faulty("targets-not-scaled")
def prices_in_euro():
    x, _ = classes()
    return case(Net(out=1), (x, 300_000 + 10_000 * x[:, :1]), F.mse_loss)


@healthy("first-loss-too-high")
def scaled_targets():
    x, _ = classes()
    return case(Net(out=1), (x, (x[:, :1] * x[:, 1:2])), F.mse_loss)


@healthy("first-loss-too-high")
def many_classes():
    torch.manual_seed(0)
    return case(Net(out=200), (torch.randn(24, 10), torch.randint(0, 200, (24,))))


def uneven(samples=60):
    torch.manual_seed(0)
    return torch.randn(samples, 10), (torch.arange(samples) % 20 == 0).long()


@faulty("output-without-bias")
def uneven_without_bias():
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2, bias=False))
    return case(model, uneven())


@faulty("output-without-bias")
def uneven_pixels_without_bias():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1, bias=False))
    x = torch.randn(3, 1, 6, 6)
    return case(model, (x, (x[:, 0] > 2).long()))


@healthy("output-without-bias")
def uneven_with_bias():
    return case(nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2)), uneven())


@healthy("output-without-bias")
def even_without_bias():
    x, y = classes(60)
    return case(nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3, bias=False)), (x, y))


# 22


@faulty("nan-in-forward")
def log_of_negative_numbers():
    return case(Net(middle=lambda h: torch.log(h)), classes())


@faulty("nan-in-forward")
def row_divided_by_its_zero_norm():
    x, y = classes()
    x[3] = 0
    return case(Net(lambda x: x / x.norm(dim=1, keepdim=True)), (x, y))


@faulty("nan-in-forward")
def softmax_row_masked_whole():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.score, self.out = nn.Linear(8, 1), nn.Linear(8, 3)

        def forward(self, x, keep):
            score = self.score(x).squeeze(-1).masked_fill(~keep, float("-inf"))
            return self.out((torch.softmax(score, -1)[..., None] * x).sum(1))

    torch.manual_seed(0)
    keep = torch.ones(6, 5, dtype=torch.bool)
    keep[2] = False
    model, y, x = Masked(), torch.arange(6) % 3, torch.randn(6, 5, 8)
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x, keep), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": ((x, keep), y), "optimizer": optimizer, "step": step}


@faulty("nan-in-backward")
def norm_at_zero():
    def distance(out, y):
        return ((out - out.detach()) ** 2).sum(1).sqrt().mean() + F.cross_entropy(out, y)

    return case(Net(), classes(), distance)


@faulty("nan-in-backward")
def where_does_not_stop_nan():
    return case(Net(middle=lambda h: torch.where(h > 0, torch.sqrt(h), torch.zeros_like(h))), classes())


@faulty("nan-in-data")
def missing_values():
    x, y = classes()
    x[2, 3] = float("nan")
    return case(Net(), (x, y))


@healthy("nan-in-forward")
def mask_with_minus_infinity():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.Linear(8, 24), nn.Linear(8, 3)

        def forward(self, x):
            q, k, v = self.net(x).split(8, dim=-1)
            score = q @ k.transpose(1, 2) + torch.full((5, 5), float("-inf")).triu(1)
            return self.out((score.softmax(-1) @ v).mean(1))

    torch.manual_seed(0)
    return case(Masked(), (torch.randn(6, 5, 8), torch.arange(6) % 3))


@healthy("nan-in-backward")
def root_with_epsilon():
    return case(Net(middle=lambda h: torch.sqrt(torch.relu(h) + 1e-4)), classes())


# 25


@faulty("batchnorm-one-value")
def batch_of_one():
    x, y = classes(1)
    return case(
        nn.Sequential(nn.Linear(10, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)), (x, y)
    )


@faulty("batchnorm-one-value")
def norm_after_global_pooling():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 3)
    )
    return case(model, (torch.randn(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)))


def loader(samples, drop):
    x, y = classes(samples)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 8, drop_last=drop)


def normed():
    return nn.Sequential(nn.Linear(10, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


@faulty("last-batch-of-one")
def one_sample_is_left():
    return {"model": normed(), "loss": F.cross_entropy, "batch": loader(25, False)}


@healthy("last-batch-of-one")
def the_last_batch_is_dropped():
    return {"model": normed(), "loss": F.cross_entropy, "batch": loader(25, True)}


@healthy("last-batch-of-one")
def two_samples_are_left():
    return {"model": normed(), "loss": F.cross_entropy, "batch": loader(26, False)}


@faulty("step-not-reproducible")
def noise_from_an_unseeded_generator():
    (x, y), model = classes(), Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        noise = torch.from_numpy(np.random.default_rng().normal(size=(24, 3))).float()
        optimizer.zero_grad()
        F.cross_entropy(model(x) + noise, y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("step-not-reproducible")
def weights_from_the_clock():
    (x, y), model = classes(), Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        weight = 1 + random.SystemRandom().random()
        (weight * F.cross_entropy(model(x), y)).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("step-not-reproducible")
def noise_from_a_seeded_generator():
    (x, y), model, generator = classes(), Net(), torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x) + 0.1 * torch.randn(24, 3, generator=generator), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}
