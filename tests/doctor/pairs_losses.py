"""Pairs about outputs and losses: activations, softmax axes, broadcasting."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=12, width=10, count=3):
    torch.manual_seed(0)
    return torch.randn(samples, width), torch.arange(samples) % count


def numbers(samples=16, width=6):
    torch.manual_seed(0)
    x = torch.randn(samples, width)
    return x, x[:, 0] * x[:, 1] + 0.1 * torch.randn(samples)


def body(out=3, *last):
    return nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, out), *last)


def case(model, loss, batch):
    return trained(model, loss, batch, torch.optim.Adam(model.parameters(), lr=1e-2))


class Net(nn.Module):
    """A net whose end is given as a function."""

    def __init__(self, end, width=10, out=3):
        super().__init__()
        self.first, self.last, self.end = nn.Linear(width, 16), nn.Linear(16, out), end

    def forward(self, x):
        return self.end(self.last(torch.tanh(self.first(x))))


# 7


@faulty("softmax-before-cross-entropy")
def softmax_module():
    return case(body(3, nn.Softmax(dim=1)), nn.CrossEntropyLoss(), classes())


@faulty("softmax-before-cross-entropy")
def softmax_of_every_pixel():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Softmax2d())
    x = torch.randn(4, 1, 8, 8)
    return case(model, F.cross_entropy, (x, torch.randint(0, 4, (4, 8, 8))))


@faulty("softmax-before-cross-entropy")
def softmax_by_hand():
    def end(z):
        z = z.exp()
        return z / z.sum(-1, keepdim=True)

    return case(Net(end), nn.CrossEntropyLoss(), classes())


@faulty("softmax-before-cross-entropy")
def softmax_in_the_users_loss():
    def loss(output, y):
        p = torch.softmax(output, dim=-1)
        return -torch.log_softmax(p, dim=-1)[torch.arange(len(y)), y].mean()

    return case(body(), loss, classes())


@faulty("sigmoid-before-bce-with-logits")
def sigmoid_module():
    x, y = classes(count=2)
    return case(body(1, nn.Sigmoid()), nn.BCEWithLogitsLoss(), (x, y.float()[:, None]))


@faulty("sigmoid-before-bce-with-logits")
def sigmoid_by_hand():
    x, y = classes(count=2)
    model = Net(lambda z: (1 / (1 + torch.exp(-z))).squeeze(1), out=1)
    return case(model, F.binary_cross_entropy_with_logits, (x, y.float()))


@faulty("sigmoid-before-bce-with-logits")
def sigmoid_from_a_tanh():
    x, y = classes(count=2)
    model = Net(lambda z: (0.5 * (1 + torch.tanh(z / 2))).squeeze(1), out=1)
    return case(model, F.binary_cross_entropy_with_logits, (x, y.float()))


@faulty("sigmoid-before-bce-with-logits")
def sigmoid_from_exponentials():
    x, y = classes(count=2)
    model = Net(lambda z: (z.exp() / (z.exp() + 1)).squeeze(1), out=1)
    return case(model, F.binary_cross_entropy_with_logits, (x, y.float()))


@faulty("bounded-logits")
def relu_logits():
    return case(Net(F.relu), F.cross_entropy, classes())


@faulty("nll-without-log-softmax")
def nll_of_logits():
    return case(body(), nn.NLLLoss(), classes())


@faulty("nll-without-log-softmax")
def nll_of_probabilities():
    return case(Net(lambda z: F.softmax(z, -1)), F.nll_loss, classes())


@faulty("output-cannot-reach-targets")
def sigmoid_for_large_targets():
    x, y = numbers()
    return case(Net(lambda z: torch.sigmoid(z).squeeze(-1), 6, 1), F.mse_loss, (x, 5 + 3 * y))


@faulty("output-cannot-reach-targets")
def relu_for_negative_targets():
    x, y = numbers()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), nn.ReLU())
    return case(model, nn.SmoothL1Loss(), (x, y[:, None]))


@healthy("softmax-before-cross-entropy")
def log_softmax_is_harmless():
    return case(body(3, nn.LogSoftmax(dim=1)), nn.CrossEntropyLoss(), classes())


@healthy("softmax-before-cross-entropy")
def softmax_inside_attention():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(3)), None, None, nn.Linear(8, 3)
            self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x):
            weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5, dim=-1)
            return self.out((weights @ self.v(x)).mean(1))

    torch.manual_seed(0)
    return case(Attends(), F.cross_entropy, (torch.randn(6, 5, 8), torch.arange(6) % 3))


@healthy("nll-without-log-softmax")
def nll_of_log_softmax():
    return case(Net(lambda z: F.log_softmax(z, dim=1)), nn.NLLLoss(), classes())


@healthy("sigmoid-before-bce-with-logits")
def sigmoid_before_plain_bce():
    x, y = classes(count=2)
    return case(body(1, nn.Sigmoid()), nn.BCELoss(), (x, y.float()[:, None]))


@healthy("sigmoid-before-bce-with-logits")
def sigmoid_gate_inside():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(10, 16), nn.Linear(10, 16), nn.Linear(16, 1)

        def forward(self, x):
            return self.out(torch.sigmoid(self.a(x)) * self.b(x))

    x, y = classes(count=2)
    return case(Gated(), F.binary_cross_entropy_with_logits, (x, y.float()[:, None]))


def between(bias, width=0.02):
    x, y = classes(count=2)
    model = body(1)
    with torch.no_grad():
        model[-1].weight.mul_(width)
        model[-1].bias.fill_(bias)
    return case(model, F.binary_cross_entropy_with_logits, (x, y.float()[:, None]))


@healthy("sigmoid-before-bce-with-logits")
def logits_that_begin_between_0_and_1():
    return between(0.25)


@healthy("sigmoid-before-bce-with-logits")
def logits_that_begin_about_a_half():
    return between(0.5, 0.2)


@healthy("output-cannot-reach-targets")
def sigmoid_for_targets_between():
    x, y = numbers()
    return case(Net(lambda z: torch.sigmoid(z).squeeze(-1), 6, 1), F.mse_loss, (x, torch.sigmoid(3 * y)))


@healthy("bounded-logits")
def logits_capped_by_scaled_tanh():
    return case(Net(lambda z: 15 * torch.tanh(z / 15)), F.cross_entropy, classes())


# 8


@faulty("softmax-over-one")
def softmax_of_one_logit():
    x, y = classes(count=2)
    return case(body(1, nn.Softmax(dim=1)), nn.BCELoss(), (x, y.float()[:, None]))


class Pooled(nn.Module):
    """Attention pooling over time, with the axis of its softmax given."""

    def __init__(self, dim):
        super().__init__()
        self.score, self.out, self.dim = nn.Linear(8, 1), nn.Linear(8, 3), dim

    def forward(self, x):
        weight = torch.softmax(self.score(x), dim=self.dim)
        return self.out((weight * x).sum(1))


def sequences():
    torch.manual_seed(0)
    return torch.randn(6, 4, 8), torch.arange(6) % 3


@faulty("softmax-over-one")
def pooling_over_the_score_axis():
    return case(Pooled(-1), F.cross_entropy, sequences())


@faulty("softmax-over-batch")
def pooling_over_the_batch():
    return case(Pooled(0), F.cross_entropy, sequences())


@faulty("softmax-over-batch")
def log_softmax_over_the_batch():
    x, y = classes()

    def loss(output, y):
        return -F.log_softmax(output, dim=0).gather(1, y[:, None]).mean()

    return case(body(), loss, (x, y))


@faulty("softmax-implicit-axis")
def implicit_axis_of_three():
    class Implicit(Pooled):
        def forward(self, x):
            return self.out((F.softmax(self.score(x)) * x).sum(1))

    return case(Implicit(None), F.cross_entropy, sequences())


@faulty("softmax-implicit-axis")
def implicit_log_softmax():
    return case(body(3, nn.LogSoftmax()), nn.NLLLoss(), classes())


@healthy("softmax-over-one")
def pooling_over_time():
    return case(Pooled(1), F.cross_entropy, sequences())


@healthy("softmax-over-batch")
def all_pairs_both_ways():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(10, 8), nn.Linear(10, 8)

        def forward(self, a, b):
            return F.normalize(self.left(a), dim=-1) @ F.normalize(self.right(b), dim=-1).T

    def loss(similarity, y):
        s = 5 * similarity
        rows = F.log_softmax(s, dim=0)[y, y].mean()
        return -(rows + F.log_softmax(s, dim=1)[y, y].mean()) / 2

    torch.manual_seed(0)
    model = Two()
    x = torch.randn(8, 10)
    batch = ((x, x + 0.1 * torch.randn(8, 10)), torch.arange(8))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        loss(model(*batch[0]), batch[1]).backward()
        optimizer.step()

    return {"model": model, "loss": loss, "batch": batch, "optimizer": optimizer, "step": step}


@healthy("softmax-over-batch")
def softmax_of_mixture_weights():
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList(nn.Linear(10, 3) for _ in range(4))
            self.weight = nn.Parameter(torch.zeros(4))

        def forward(self, x):
            weight = self.weight.softmax(0)
            return sum(w * part(x) for w, part in zip(weight, self.parts, strict=True))

    return case(Mixture(), F.cross_entropy, classes())


# 13


@faulty("broadcast-output-target")
def mse_of_column_and_row():
    x, y = numbers()
    return case(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)), nn.MSELoss(), (x, y))


@faulty("broadcast-output-target")
def difference_by_hand():
    x, y = numbers()
    return case(Net(lambda z: z, 6, 1), lambda out, y: ((out - y) ** 2).mean(), (x, y))


@faulty("broadcast-output-target")
def target_is_the_column():
    x, y = numbers()
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0))
    return case(model, lambda out, y: (out - y).abs().mean(), (x, y[:, None]))


@healthy("broadcast-output-target")
def both_columns():
    x, y = numbers()
    return case(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)), nn.MSELoss(), (x, y[:, None]))


@healthy("broadcast-output-target")
def pairwise_ranking():
    x, y = numbers()

    def loss(out, y):
        s = out.squeeze(-1)
        first = s.unsqueeze(1) - s
        order = torch.sign(y[:, None] - y[None, :])
        return F.softplus(-order * first).mean()

    return case(Net(lambda z: z, 6, 1), loss, (x, y))


# 14


class Bigram(nn.Module):
    def __init__(self, keep):
        super().__init__()
        self.table, self.keep = nn.Parameter(torch.randn(7, 7)), keep

    def forward(self, index):
        counts = self.table.exp()
        p = counts / counts.sum(1, keepdim=self.keep)
        return p[index]


def likelihood(p, y):
    return -p[torch.arange(len(y)), y].log().mean()


def letters():
    torch.manual_seed(0)
    return torch.randint(0, 7, (20,)), torch.randint(0, 7, (20,))


@faulty("reduced-axis-broadcast")
def bigram_without_keepdim():
    return case(Bigram(False), likelihood, letters())


class Adjacent(nn.Module):
    """A graph layer over five nodes, whose adjacency is normalised in a given way."""

    def __init__(self, normalise):
        super().__init__()
        self.edges, self.layer, self.out = nn.Parameter(torch.rand(5, 5)), nn.Linear(8, 8), nn.Linear(8, 3)
        self.normalise = normalise

    def forward(self, x):
        return self.out(torch.relu(self.normalise(self.edges) @ self.layer(x)).mean(1))


def graphs():
    torch.manual_seed(0)
    return torch.randn(6, 5, 8), torch.arange(6) % 3


@faulty("reduced-axis-broadcast")
def adjacency_divided_by_columns():
    def normalise(a):
        total = torch.sum(a, dim=-1)
        return torch.div(a, total.clamp(min=1e-6))

    return case(Adjacent(normalise), F.cross_entropy, graphs())


@faulty("reduced-axis-broadcast")
def maximum_subtracted_from_columns():
    def normalise(a):
        return (a - a.amax(dim=1)).exp()

    return case(Adjacent(normalise), F.cross_entropy, graphs())


@healthy("reduced-axis-broadcast")
def bigram_with_keepdim():
    return case(Bigram(True), likelihood, letters())


@healthy("reduced-axis-broadcast")
def columns_meant():
    return case(Adjacent(lambda a: a / a.sum(0)), F.cross_entropy, graphs())


@healthy("reduced-axis-broadcast")
def symmetric_graph_normalisation():
    def normalise(a):
        a = (a + a.T) / 2 + torch.eye(5)
        d = a.sum(1).rsqrt()
        return d[:, None] * a * d

    return case(Adjacent(normalise), F.cross_entropy, graphs())
