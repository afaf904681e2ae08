"""Tables of numbers and losses of statistics: regressions, quantiles, survival, counts, ranks, heavy tails."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from doctor.zoo import member, plain


def table(samples=64, width=8):
    """Standardised columns with some correlation, and a number that follows from them."""
    x = torch.randn(samples, width) + 0.5 * torch.randn(samples, 1)
    x = (x - x.mean(0)) / x.std(0)
    return x, x[:, :1] * 1.5 - x[:, 1:2].tanh() + 0.1 * torch.randn(samples, 1)


def perceptron(a, b, hidden=32):
    return nn.Sequential(nn.Linear(a, hidden), nn.ReLU(), nn.Linear(hidden, b))


@member
def straight_line():
    x = torch.rand(40, 1)
    net = nn.Linear(1, 1)
    return plain(
        net, nn.MSELoss(), (x, 2 * x + 1 + 0.1 * torch.randn(40, 1)), torch.optim.SGD(net.parameters(), lr=0.1)
    )


@member
def polynomial_as_in_the_tutorial():
    x = torch.linspace(-math.pi, math.pi, 200)
    xx = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3]))
    model = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0, 1))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    return plain(model, nn.MSELoss(reduction="sum"), (xx, torch.sin(x)), optimizer)


@member
def logistic_regression():
    x, y = table()
    net = nn.Linear(8, 1)
    return plain(net, nn.BCEWithLogitsLoss(), (x, (y > 0).float()), torch.optim.SGD(net.parameters(), lr=0.1))


@member
def iris_with_softmax_only_for_the_answer():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = perceptron(4, 3, 16)

        def forward(self, x):
            logits = self.fc(x)
            return logits if self.training else logits.softmax(1)

    x = torch.randn(45, 4) + (torch.arange(45) % 3)[:, None]
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    y = torch.arange(45) % 3

    def step():
        net.train()
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    def evaluate():
        net.eval()
        with torch.no_grad():
            return (net(x).argmax(1) == y).float().mean().item()

    return {
        "model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step,
        "evaluate": evaluate
    }  # fmt: skip


@member
def columns_and_categories():
    class Tabular(nn.Module):
        def __init__(self):
            super().__init__()
            self.embeds = nn.ModuleList(nn.Embedding(n, 4) for n in (5, 12, 3))
            self.bn = nn.BatchNorm1d(6)
            self.net = nn.Sequential(
                nn.Linear(18, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Dropout(0.1), nn.Linear(32, 2)
            )

        def forward(self, numbers, kinds):
            e = [table(kinds[:, i]) for i, table in enumerate(self.embeds)]
            return self.net(torch.cat([self.bn(numbers), *e], 1))

    numbers = torch.randn(48, 6) * torch.tensor([1, 50, 1000, 0.1, 3, 20.0]) + torch.tensor(
        [0, 40, 2000, 0, 1, 5.0]
    )
    kinds = torch.stack([torch.randint(0, n, (48,)) for n in (5, 12, 3)], 1)
    return plain(Tabular(), F.cross_entropy, ((numbers, kinds), torch.arange(48) % 2))


@member
def feature_tokens():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(0.1 * torch.randn(8, 16)), nn.Parameter(0.1 * torch.randn(8, 16))
            self.cls = nn.Parameter(0.1 * torch.randn(1, 1, 16))
            self.net = nn.TransformerEncoderLayer(16, 4, 32, 0.1, batch_first=True, norm_first=True)
            self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 1)

        def forward(self, x):
            t = x.unsqueeze(-1) * self.weight + self.bias
            h = self.net(torch.cat([self.cls.expand(len(x), -1, -1), t], 1))
            return self.head(self.norm(h[:, 0]))

    return plain(Tokens(), F.mse_loss, table())


@member
def quantiles():
    net, q = perceptron(8, 3), torch.tensor([0.1, 0.5, 0.9])

    def pinball(out, y):
        e = y - out
        return torch.max(q * e, (q - 1) * e).mean()

    return plain(net, pinball, table())


@member
def gaussian_with_its_spread():
    class Gaussian(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = perceptron(8, 2)

        def forward(self, x):
            mean, raw = self.net(x).chunk(2, 1)
            return mean, F.softplus(raw) + 1e-3

    def loss(out, y):
        return nn.GaussianNLLLoss()(out[0], y, out[1] ** 2)

    return plain(Gaussian(), loss, table())


@member
def evidence_for_classes():
    net = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3), nn.Softplus())

    def loss(evidence, y):
        alpha = evidence + 1
        return (torch.digamma(alpha.sum(1)) - torch.digamma(alpha.gather(1, y[:, None]).squeeze(1))).mean()

    return plain(net, loss, (table()[0], torch.arange(64) % 3))


@member
def counts_by_poisson():
    x, y = table()
    net = perceptron(8, 1)
    return plain(net, nn.PoissonNLLLoss(), (x, torch.poisson((0.5 * y).exp())))


@member
def survival_by_partial_likelihood():
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1, bias=False))
    x, _ = table(48)
    time, event = torch.rand(48), (torch.rand(48) < 0.7).float()

    def cox(risk, y):
        time, event = y
        order = time.argsort(descending=True)
        risk, event = risk.squeeze(1)[order], event[order]
        return -((risk - torch.logcumsumexp(risk, 0)) * event).sum() / event.sum().clamp(min=1)

    return plain(net, cox, (x, (time, event)))


@member
def survival_in_discrete_intervals():
    net = perceptron(8, 6)
    at, event = torch.randint(0, 6, (40,)), (torch.rand(40) < 0.6).float()

    def loss(out, y):
        at, event = y
        alive = (torch.arange(6) < at[:, None]).float()
        dies = F.one_hot(at, 6).float() * event[:, None]
        return F.binary_cross_entropy_with_logits(out, dies, weight=alive + dies, reduction="sum") / len(out)

    return plain(net, loss, (table(40)[0], (at, event)))


@member
def ordered_classes():
    class Ordinal(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.cuts = perceptron(8, 1), nn.Parameter(torch.linspace(-1, 1, 4))

        def forward(self, x):
            return self.net(x) - self.cuts

    def loss(out, y):
        return F.binary_cross_entropy_with_logits(out, (y[:, None] > torch.arange(4)).float())

    return plain(Ordinal(), loss, (table()[0], torch.arange(64) % 5))


@member
def ranking_by_lists():
    net = perceptron(5, 1)
    relevance = torch.randint(0, 4, (12, 7)).float()

    def listnet(scores, y):
        return -(y.softmax(1) * scores.squeeze(-1).log_softmax(1)).sum(1).mean()

    return plain(net, listnet, (torch.randn(12, 7, 5), relevance))


@member
def mixture_by_distributions():
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = perceptron(8, 9)

        def forward(self, x):
            return self.net(x)

    def loss(out, y):
        weight, mean, spread = out.chunk(3, 1)
        parts = Independent(Normal(mean[..., None], F.softplus(spread)[..., None] + 1e-2), 1)
        return -MixtureSameFamily(Categorical(logits=weight), parts).log_prob(y).mean()

    return plain(Mixture(), loss, table())


@member
def huge_targets_standardised_inside():
    class Standard(nn.Module):
        def __init__(self, y):
            super().__init__()
            self.net = perceptron(8, 1)
            self.register_buffer("mean", y.mean())
            self.register_buffer("std", y.std())

        def forward(self, x):
            return self.net(x) * self.std + self.mean

    x, y = table()
    y = y * 5e4 + 3e5
    net = Standard(y)
    return plain(net, lambda out, y: F.mse_loss((out - net.mean) / net.std, (y - net.mean) / net.std), (x, y))


@member
def imbalance_with_class_weights():
    y = (torch.arange(100) >= 90).long()
    net = perceptron(8, 2)
    return plain(net, nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0])), (table(100)[0], y))


@member
def anomaly_by_one_class():
    net = nn.Sequential(nn.Linear(8, 16, bias=False), nn.LeakyReLU(), nn.Linear(16, 4, bias=False))
    x = table()[0]
    with torch.no_grad():
        centre = net(x).mean(0)

    def loss(z, _):
        return ((z - centre) ** 2).sum(1).mean()

    return plain(net, loss, (x, torch.zeros(64)), torch.optim.Adam(net.parameters(), 1e-4, weight_decay=5e-7))


@member
def attention_over_a_bag_of_instances():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.v, self.u, self.w = nn.Linear(6, 16), nn.Linear(16, 8), nn.Linear(16, 8), nn.Linear(8, 1)
            self.out = nn.Linear(16, 1)

        def forward(self, x):
            h = F.relu(self.f(x))
            a = self.w(torch.tanh(self.v(h)) * torch.sigmoid(self.u(h))).softmax(1)
            return self.out((a * h).sum(1)).squeeze(-1)

    return plain(Bag(), F.binary_cross_entropy_with_logits, (torch.randn(16, 9, 6), (torch.arange(16) % 2).float()))


@member
def bayes_by_backprop():
    class Bayes(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.mu, self.rho = nn.Parameter(torch.randn(b, a) / a**0.5), nn.Parameter(torch.full((b, a), -4.0))

        def forward(self, x):
            sigma = F.softplus(self.rho)
            weight = self.mu + sigma * torch.randn_like(sigma) if self.training else self.mu
            return x @ weight.T

        def kl(self):
            sigma = F.softplus(self.rho)
            return (-sigma.log() + (sigma**2 + self.mu**2) / 2 - 0.5).sum()

    net = nn.Sequential(Bayes(8, 24), nn.ReLU(), Bayes(24, 1))
    return plain(net, lambda out, y: F.mse_loss(out, y) + 1e-4 * (net[0].kl() + net[2].kl()), table())


@member
def deep_kernel_with_its_marginal_likelihood():
    class Kernel(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.scale, self.noise = (
                perceptron(8, 2),
                nn.Parameter(torch.zeros(())),
                nn.Parameter(torch.tensor(-2.0)),
            )

        def forward(self, x):
            z = self.net(x)
            k = torch.exp(-0.5 * torch.cdist(z, z).pow(2) / self.scale.exp())
            return k + self.noise.exp() * torch.eye(len(x), dtype=k.dtype)

    def loss(k, y):
        chol = torch.linalg.cholesky(k)
        a = torch.cholesky_solve(y, chol)
        return 0.5 * (y * a).mean() + chol.diagonal().log().mean()

    return plain(Kernel(), loss, table(24))


@member
def heavy_tails_by_huber():
    x, y = table()
    y = y + 8 * (torch.rand_like(y) < 0.05) * torch.randn_like(y)
    net = perceptron(8, 1)
    return plain(net, nn.HuberLoss(delta=1.0), (x, y), torch.optim.Adam(net.parameters(), lr=1e-3))


@member
def wide_and_deep():
    class WideDeep(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.embed = nn.Embedding(100, 1), nn.Embedding(100, 6)
            self.deep, self.bias = perceptron(18, 1), nn.Parameter(torch.zeros(1))
            nn.init.normal_(self.embed.weight, std=0.1)
            nn.init.zeros_(self.wide.weight)

        def forward(self, x):
            e = self.embed(x)
            pairs = 0.5 * (e.sum(1) ** 2 - (e**2).sum(1)).sum(1)
            return torch.sigmoid(self.wide(x).sum((1, 2)) + pairs + self.deep(e.flatten(1)).squeeze(1) + self.bias)

    x = torch.randint(0, 33, (48, 3)) + torch.tensor([0, 33, 66])
    return plain(WideDeep(), F.binary_cross_entropy, (x, (torch.arange(48) % 2).float()))
