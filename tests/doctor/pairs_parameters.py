"""Pairs about parameters and initialisation: optimizers, biases, units, symmetry, learning rates."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=24, width=10, count=3):
    torch.manual_seed(0)
    y = torch.arange(samples) % count
    return torch.randn(samples, width) + 1.5 * F.one_hot(y, width), y


def case(model, batch=None, optimizer=None, loss=F.cross_entropy, **more):
    return trained(
        model, loss, batch or classes(), optimizer or torch.optim.Adam(model.parameters(), lr=3e-3), **more
    )


def body(hidden=16, out=3, activation=nn.ReLU):
    return nn.Sequential(nn.Linear(10, hidden), activation(), nn.Linear(hidden, out))


# 21


@faulty("parameter-not-in-optimizer")
def head_replaced_after_the_optimizer():
    model = body(out=5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model[2] = nn.Linear(16, 3)
    return case(model, optimizer=optimizer)


class Listed(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layers = kind([nn.Linear(10, 10), nn.Linear(10, 10)])
        self.out = nn.Linear(10, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)


@faulty("parameter-not-in-optimizer")
def only_the_last_layer_given():
    model = Listed(nn.ModuleList)
    return case(model, optimizer=torch.optim.SGD(model.out.parameters(), lr=0.1))


@faulty("parameter-not-in-optimizer")
def built_in_the_first_forward():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(10, 8), None

        def forward(self, x):
            x = torch.relu(self.first(x))
            if self.last is None:
                self.last = nn.Linear(8, 3)
            return self.last(x)

    return case(Lazy())


@faulty("foreign-parameters")
def optimizer_of_another_copy():
    import copy

    model = body()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return case(copy.deepcopy(model), optimizer=optimizer)


@faulty("foreign-parameters")
def old_head_left_in_the_optimizer():
    model = body(out=5)
    old = list(model[2].parameters())
    model[2] = nn.Linear(16, 3)
    return case(model, optimizer=torch.optim.AdamW([*model.parameters(), *old], lr=1e-3))


@faulty("parameter-twice")
def listed_twice():
    import warnings

    model = body()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = torch.optim.SGD([*model.parameters(), *model[0].parameters()], lr=0.05)
    return case(model, optimizer=optimizer)


@faulty("parameter-twice")
def two_optimizers_on_one_layer():
    model, (x, y) = body(), classes()
    one, two = torch.optim.SGD(model.parameters(), lr=0.05), torch.optim.SGD(model[2].parameters(), lr=0.05)

    def step():
        one.zero_grad()
        F.cross_entropy(model(x), y).backward()
        one.step()
        two.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": [one, two], "step": step}


class Two(nn.Module):
    """Two branches, the second used in the given way."""

    def __init__(self, way):
        super().__init__()
        self.one, self.two, self.out, self.way = nn.Linear(10, 8), nn.Linear(10, 8), nn.Linear(8, 3), way

    def forward(self, x):
        a, b = torch.tanh(self.one(x)), torch.tanh(self.two(x))
        if self.way == "detach":
            a = a + b.detach()
        elif self.way == "forgotten":
            pass
        elif self.way == "no_grad":
            with torch.no_grad():
                a = a + self.two(x)
        elif self.way == "random" and self.training and torch.rand(()) < 0.5:
            pass
        else:
            a = a + b
        return self.out(a)


@faulty("parameter-without-gradient")
def branch_detached():
    return case(Two("detach"))


@faulty("parameter-without-gradient")
def branch_forgotten():
    return case(Two("forgotten"))


@faulty("parameter-without-gradient")
def branch_under_no_grad():
    return case(Two("no_grad"))


@faulty("frozen-but-moved")
def frozen_with_an_old_gradient():
    model, (x, y) = body(), classes()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    model[0].requires_grad_(False)

    def step():
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("frozen-but-moved")
def frozen_with_zero_gradients_and_decay():
    model, (x, y) = Two("sum"), classes()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.3)
    for p in model.two.parameters():
        p.grad = torch.zeros_like(p)
        p.requires_grad = False

    def step():
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("parameter-not-in-optimizer")
def frozen_and_not_given():
    model = Listed(nn.ModuleList)
    model.layers.requires_grad_(False)
    return case(model, optimizer=torch.optim.Adam(model.out.parameters(), lr=1e-2))


@healthy("parameter-not-in-optimizer")
def groups_with_and_without_decay():
    model = Listed(nn.ModuleList)
    groups = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
              {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]  # fmt: skip
    return case(model, optimizer=torch.optim.AdamW(groups, lr=3e-3))


@healthy("parameter-without-gradient")
def branch_dropped_at_random():
    return case(Two("random"))


@healthy("foreign-parameters")
def learned_weight_of_the_loss():
    model, (x, y) = body(), classes()
    scale = nn.Parameter(torch.zeros(()))

    def loss(output, target):
        return F.cross_entropy(output, target) * torch.exp(-scale) + 0.5 * scale

    return case(model, (x, y), torch.optim.Adam([*model.parameters(), scale], lr=3e-3), loss)


@healthy("parameter-twice")
def weights_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(7, 8), nn.Linear(8, 7, bias=False)
            nn.init.normal_(self.table.weight, std=0.1)
            self.out.weight = self.table.weight

        def forward(self, index):
            return self.out(torch.tanh(self.table(index)))

    return case(Tied(), (torch.arange(21) % 7, (torch.arange(21) % 7 + 3) % 7))


@healthy("frozen-but-moved")
def average_of_the_weights():
    model, (x, y) = Two("sum"), classes()
    teacher = nn.Linear(10, 8).requires_grad_(False)
    model.teacher = teacher
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), model.two.parameters(), strict=True):
                slow.lerp_(fast, 0.1)

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


# 17


@faulty("bias-before-batchnorm")
def convolution_with_bias():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    return case(model, (torch.randn(6, 3, 8, 8), torch.arange(6) % 3))


@faulty("bias-before-batchnorm")
def by_hand_as_in_the_lecture():
    class Lecture(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.b = nn.Parameter(torch.randn(10, 16) * 0.5), nn.Parameter(torch.randn(16) * 0.1)
            self.gain, self.out = nn.Parameter(torch.ones(16)), nn.Linear(16, 3)

        def forward(self, x):
            h = x @ self.w + self.b
            h = self.gain * (h - h.mean(0, keepdim=True)) / h.std(0, keepdim=True)
            return self.out(torch.tanh(h))

    return case(Lecture())


@healthy("bias-before-batchnorm")
def convolution_without_bias():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 3),
    )  # fmt: skip
    return case(model, (torch.randn(6, 3, 8, 8), torch.arange(6) % 3))


@healthy("bias-before-batchnorm")
def relu_between():
    return case(nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 3)))


@healthy("bias-before-batchnorm")
def keys_of_attention_have_a_bias():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.norm, self.out = (
                nn.MultiheadAttention(8, 2, batch_first=True),
                nn.LayerNorm(8),
                nn.Linear(8, 3),
            )

        def forward(self, x):
            return self.out(self.norm(x + self.net(x, x, x)[0]).mean(1))

    torch.manual_seed(0)
    return case(Attends(), (torch.randn(6, 5, 8), torch.arange(6) % 3))


# 18


@faulty("dead-relu")
def bias_far_below_zero():
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    with torch.no_grad():
        model[0].bias[4:] = -20.0
    return case(model)


@faulty("dead-relu")
def negative_weights_after_a_relu():
    class Negative(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.out = nn.Linear(10, 32), nn.Linear(32, 32), nn.Linear(32, 3)
            with torch.no_grad():
                self.two.weight[:24] = -self.two.weight[:24].abs()
                self.two.bias[:24] = -0.1

        def forward(self, x):
            return self.out(F.relu(self.two(F.relu(self.one(x)))))

    return case(Negative())


@faulty("saturated-units")
def weights_far_too_large():
    model = body(32, 3, nn.Tanh)
    nn.init.normal_(model[0].weight, std=5.0)
    return case(model)


@faulty("saturated-units")
def sigmoid_of_large_numbers():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.out = nn.Linear(10, 32), nn.Linear(32, 32), nn.Linear(32, 3)
            self.two.weight.data *= 100

        def forward(self, x):
            return self.out(torch.sigmoid(self.two(torch.tanh(self.one(x)))))

    return case(Deep())


@healthy("dead-relu")
def small_batch_with_relu():
    x, y = classes(samples=6)
    return case(nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)), (x, y))


@healthy("saturated-units")
def tanh_as_torch_starts_it():
    return case(nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3)))


# 19


def deep(std, layers=8, activation=nn.Tanh):
    parts = [nn.Linear(10, 32), activation()]
    for _ in range(layers):
        parts += [nn.Linear(32, 32), activation()]
    for part in parts:
        if isinstance(part, nn.Linear) and std:
            nn.init.normal_(part.weight, std=std)
            nn.init.zeros_(part.bias)
    return nn.Sequential(*parts, nn.Linear(32, 3))


@faulty("signal-fades-or-explodes")
def tiny_weights_in_depth():
    return case(deep(0.01))


@faulty("signal-fades-or-explodes")
def large_weights_in_depth():
    model = deep(1.0, 8, nn.ReLU)
    with torch.no_grad():
        model[-1].weight *= 1e-6
    return case(model)


@faulty("symmetry-never-broken")
def constant_weights():
    model = body()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    return case(model)


@faulty("symmetry-never-broken")
def everything_zero():
    class Zeros(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(10, 16), nn.Linear(16, 3)
            for parameter in self.parameters():
                parameter.data.zero_()

        def forward(self, x):
            return self.two(torch.tanh(self.one(x)))

    return case(Zeros())


@healthy("signal-fades-or-explodes")
def depth_with_xavier():
    model = deep(0)
    for part in model:
        if isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight, nn.init.calculate_gain("tanh"))
    return case(model)


@healthy("symmetry-never-broken")
def residual_branch_starts_at_zero():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.out = nn.Linear(10, 16), nn.Linear(16, 10), nn.Linear(10, 3)
            nn.init.zeros_(self.two.weight)
            nn.init.zeros_(self.two.bias)

        def forward(self, x):
            return self.out(x + self.two(torch.relu(self.one(x))))

    return case(Residual())


@healthy("symmetry-never-broken")
def low_rank_update_starts_at_zero():
    class Adapter(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(10, 3).requires_grad_(False)
            self.down, self.up = nn.Parameter(torch.randn(4, 10) * 0.3), nn.Parameter(torch.zeros(3, 4))

        def forward(self, x):
            return self.base(x) + x @ self.down.T @ self.up.T

    model = Adapter()
    return case(model, optimizer=torch.optim.Adam([model.down, model.up], lr=1e-2))


# 20


@faulty("learning-rate-too-high")
def sgd_at_two_hundred():
    model = body(activation=nn.Tanh)
    return case(model, optimizer=torch.optim.SGD(model.parameters(), lr=200.0))


@faulty("learning-rate-too-high")
def adam_at_three():
    model = Listed(nn.ModuleList)
    return case(model, optimizer=torch.optim.Adam(model.parameters(), lr=3.0))


@faulty("learning-rate-too-low")
def sgd_at_a_billionth():
    model = body()
    return case(model, optimizer=torch.optim.SGD(model.parameters(), lr=1e-9))


@faulty("learning-rate-too-low")
def adam_at_a_billionth():
    model = Listed(nn.ModuleList)
    return case(model, optimizer=torch.optim.AdamW(model.parameters(), lr=1e-9))


@healthy("learning-rate-too-low")
def warm_up_from_almost_nothing():
    model, (x, y) = body(), classes()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1e-6) / 1000))

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("learning-rate-too-high")
def sgd_at_one_tenth():
    model = body()
    return case(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


@healthy("signal-fades-or-explodes")
def decoder_whose_last_layers_start_at_zero():
    torch.manual_seed(0)
    x = torch.randn(32, 8) @ torch.randn(8, 12) / 3
    parts = [nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 4), nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 16)]
    model = nn.Sequential(*parts, nn.GELU(), nn.Linear(16, 12))
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-3].weight)
    return case(model, (x, x), loss=F.mse_loss)
