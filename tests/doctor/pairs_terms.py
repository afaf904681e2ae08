"""Pairs about labels of similarities, terms made of decisions, layers that are one, and joined tensors."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.pairs_flows import rows, stepping
from doctor.table import faulty, healthy, trained

# 26: partners


def aligned(loss):
    x = rows()

    def of(model):
        a = F.normalize(model["one"](x), dim=1)
        b = F.normalize(model["other"](x.tanh()), dim=1)
        return loss(a, b)

    return stepping({"one": nn.Linear(8, 8), "other": nn.Linear(8, 8)}, of)


@faulty("one-partner-for-all")
def pairs_whose_labels_are_zeros():
    return aligned(lambda a, b: F.cross_entropy(a @ b.T / 0.1, torch.zeros(len(a), dtype=torch.long)))


@faulty("one-partner-for-all")
def pairs_whose_labels_are_filled():
    def loss(a, b):
        table = torch.einsum("id,jd->ij", a, b) * 8.0
        labels = torch.full((len(a),), len(a) - 1)
        return (F.cross_entropy(table, labels) + F.cross_entropy(table.t(), labels)) / 2

    return aligned(loss)


@healthy("one-partner-for-all")
def pairs_that_are_counted():
    return aligned(lambda a, b: F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a))))


@healthy("one-partner-for-all")
def a_partner_before_a_queue():
    queue = F.normalize(torch.randn(39, 8), dim=1)

    def loss(a, b):
        table = torch.cat([(a * b).sum(1, keepdim=True), a @ queue.T], dim=1) / 0.2
        return F.cross_entropy(table, torch.zeros(len(a), dtype=torch.long))

    return aligned(loss)


# 26: terms of decisions


def marked(term):
    x = rows()
    y = (x[:, :1] > 0.5).float()

    def loss(model):
        logits = model["net"](x)
        return F.binary_cross_entropy_with_logits(logits, y) + 0.5 * term(logits, y)

    return stepping({"net": nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 1))}, loss)


def overlap(p, y):
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


@faulty("term-of-decisions")
def an_overlap_of_decisions():
    return marked(lambda logits, y: overlap((torch.sigmoid(logits) > 0.5).float(), y))


@faulty("term-of-decisions")
def a_rate_of_rounded_probabilities():
    def term(logits, y):
        wrong = torch.sigmoid(logits).round().ne(y)
        return wrong.float().mean()

    return marked(term)


@healthy("term-of-decisions")
def an_overlap_of_probabilities():
    return marked(lambda logits, y: overlap(torch.sigmoid(logits), y))


@healthy("term-of-decisions")
def hard_samples_chosen_by_their_loss():
    def term(logits, y):
        each = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
        hard = (each > each.mean()).float()
        return (each * hard).sum() / hard.sum().clamp(min=1)

    return marked(term)


# 19: layers that are one


def layered(*layers, wide=6, classes=3):
    torch.manual_seed(1)
    y = torch.arange(30) % classes
    x = torch.randn(30, wide) + F.one_hot(y, wide)
    model = nn.Sequential(*layers)
    return trained(model, F.cross_entropy, (x, y), torch.optim.Adam(model.parameters(), 5e-3), overfit_seconds=1.0)


@faulty("layers-are-one")
def three_layers_in_a_row():
    return layered(nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3))


@faulty("layers-are-one")
def two_layers_and_a_dropout():
    return layered(nn.Flatten(), nn.Linear(6, 20), nn.Dropout(0.1), nn.Linear(20, 3))


@healthy("layers-are-one")
def layers_with_activations():
    return layered(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


@healthy("layers-are-one")
def a_product_of_narrow_layers():
    return layered(nn.Linear(6, 2, bias=False), nn.Linear(2, 3))


# 19: joined with itself


class Hourglass(nn.Module):
    """Down, up, and what is joined with what comes up."""

    def __init__(self, join):
        super().__init__()
        self.down, self.middle = nn.Conv1d(1, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1)
        self.up, self.out = nn.ConvTranspose1d(6, 6, 2, stride=2), nn.Conv1d(12, 1, 1)
        self.join = join

    def forward(self, x):
        early = F.gelu(self.down(x))
        late = self.up(F.gelu(self.middle(F.max_pool1d(early, 2))))
        return self.out(torch.cat(self.join(early, late), dim=1))


def hourglass(join):
    torch.manual_seed(3)
    x = torch.randn(24, 1, 16)
    model = Hourglass(join)
    batch = x, F.avg_pool1d(x, 3, 1, 1)
    return trained(model, F.mse_loss, batch, torch.optim.Adam(model.parameters(), 3e-3), overfit_seconds=1.0)


@faulty("joined-with-itself")
def what_comes_up_twice():
    return hourglass(lambda early, late: [late, late])


@faulty("joined-with-itself")
def the_skip_twice():
    return hourglass(lambda early, late: (early, early))


@healthy("joined-with-itself")
def what_comes_up_and_the_skip():
    return hourglass(lambda early, late: [late, early])


@healthy("joined-with-itself")
def what_comes_up_with_both_signs():
    return hourglass(lambda early, late: [late, -late])


# 6: new values that nobody keeps


def by_hand(update):
    """A program without an optimizer."""
    x = rows()
    y = x[:, :1].sin() + x[:, 1:2]
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))

    def step():
        for _ in range(4):
            model.zero_grad()
            F.mse_loss(model(x), y).backward()
            with torch.no_grad():
                update(model)

    return {"model": model, "loss": F.mse_loss, "batch": (x, y), "step": step, "overfit_seconds": 0.0}


@faulty("update-thrown-away")
def a_name_in_a_loop():
    def update(model):
        for p in model.parameters():
            p = p - 0.05 * p.grad

    return by_hand(update)


@faulty("update-thrown-away")
def data_plus_a_change():
    def update(model):
        for p in model.parameters():
            new = p.data + -0.05 * p.grad.clamp(-1, 1)
            assert new is not p

    return by_hand(update)


@healthy("update-thrown-away")
def parameters_written_into():
    def update(model):
        for p in model.parameters():
            p -= 0.05 * p.grad

    return by_hand(update)


@healthy("update-thrown-away")
def data_put_in_place():
    def update(model):
        for p in model.parameters():
            p.data = p - 0.05 * p.grad

    return by_hand(update)


# 12: pictures whose channels stand last


def pictures(to_first):
    torch.manual_seed(4)
    y = torch.arange(36) % 3
    x = torch.randn(36, 8, 8, 3) + 2 * F.one_hot(y, 3)[:, None, None]
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    program = trained(net, F.cross_entropy, (to_first(x), y), torch.optim.Adam(net.parameters(), 3e-3))

    def step():
        program["optimizer"].zero_grad()
        F.cross_entropy(net(to_first(x)), y).backward()
        program["optimizer"].step()

    return {**program, "step": step, "overfit_seconds": 1.0}


@faulty("reshape-scrambles-axes")
def channels_cut_to_the_front():
    return pictures(lambda x: x.reshape(-1, 3, 8, 8))


@faulty("reshape-scrambles-axes")
def channels_viewed_at_the_front():
    return pictures(lambda x: x.view(len(x), 3, 8, 8))


@healthy("reshape-scrambles-axes")
def channels_permuted():
    return pictures(lambda x: x.permute(0, 3, 1, 2))


@healthy("reshape-scrambles-axes")
def channels_from_a_flat_row():
    return pictures(lambda x: x.movedim(-1, 1).flatten(1).view(-1, 3, 8, 8))
