"""Pairs about what is done to the logits: dropped at random, and pooled over the samples instead of the moments."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=24, width=6, count=3):
    torch.manual_seed(0)
    y = torch.arange(samples) % count
    return torch.randn(samples, width) + 1.5 * F.one_hot(y, width), y


def case(model, loss, batch, **more):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, loss, batch, optimizer, overfit_seconds=0.0, **more)


def net(*last):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), *last)


class Called(nn.Module):
    """Dropout as a function, in one of three places."""

    def __init__(self, place):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer, self.place = nn.Linear(6, 24), nn.Linear(24, 3), place

    def dropped(self, x, place):
        return F.dropout(x, 0.3, self.training) if self.place == place else x

    def forward(self, x):
        hidden = self.dropped(torch.tanh(self.inner(x)), "hidden")
        return F.log_softmax(self.dropped(self.outer(hidden), "logits"), dim=-1)


@faulty("dropout-on-logits")
def dropout_after_the_last_layer():
    return case(net(nn.Linear(24, 3), nn.Dropout(0.5)), F.cross_entropy, classes())


@faulty("dropout-on-logits")
def dropout_before_log_softmax():
    return case(Called("logits"), F.nll_loss, classes())


@faulty("dropout-on-logits")
def dropout_on_one_logit_of_two_classes():
    x, y = classes(count=2)
    model = net(nn.Linear(24, 1), nn.Dropout(0.2), nn.Flatten(0))
    return case(model, F.binary_cross_entropy_with_logits, (x, y.float()))


@faulty("dropout-on-logits")
def dropout_on_a_predicted_number():
    x, _ = classes()
    return case(net(nn.Linear(24, 1), nn.Dropout(0.1)), F.mse_loss, (x, (x[:, :1] - x[:, 1:2]).detach()))


@healthy("dropout-on-logits")
def dropout_before_the_last_layer():
    return case(net(nn.Dropout(0.5), nn.Linear(24, 3)), F.cross_entropy, classes())


@healthy("dropout-on-logits")
def dropout_on_hidden_units_as_a_function():
    return case(Called("hidden"), F.nll_loss, classes())


@healthy("dropout-on-logits")
def dropout_of_nothing_on_the_logits():
    return case(net(nn.Linear(24, 3), nn.Dropout(0.0)), F.cross_entropy, classes())


@healthy("dropout-on-logits")
def dropped_embeddings_as_two_views():
    """Two passes with other dropout are two views of a sentence; the loss is of their similarities."""

    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 8), nn.Dropout(0.1))

        def forward(self, x):
            one, two = F.normalize(self.body(x), dim=1), F.normalize(self.body(x), dim=1)
            return one @ two.T / 0.2

    return case(Views(), F.cross_entropy, (classes(12)[0], torch.arange(12)))


class Pooled(nn.Module):
    """A sequence is read place by place and pooled over an axis."""

    def __init__(self, axis, how="mean"):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer, self.axis, self.how = nn.Linear(4, 24), nn.Linear(24, 3), axis, how

    def forward(self, x):
        hidden = torch.relu(self.inner(x))
        if self.how == "last":
            return self.outer(hidden[-1] if self.axis == 0 else hidden[:, -1])
        return self.outer(hidden.mean(self.axis) if self.how == "mean" else hidden.amax(self.axis))


def as_many_moments_as_samples(size=12):
    torch.manual_seed(0)
    x = torch.randn(size, size, 4)
    return x, x.mean(1)[:, :3].argmax(1)


class Words(nn.Module):
    """Tokens, looked up and added up over an axis."""

    def __init__(self, axis):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.outer, self.axis = nn.Embedding(30, 16), nn.Linear(16, 2), axis

    def forward(self, tokens):
        return self.outer(self.table(tokens).sum(self.axis) / tokens.shape[self.axis])


@faulty("samples-mix")
def a_mean_over_the_samples():
    return case(Pooled(0), F.cross_entropy, as_many_moments_as_samples())


@faulty("samples-mix")
def the_last_sample_instead_of_the_last_moment():
    return case(Pooled(0, "last"), F.cross_entropy, as_many_moments_as_samples())


@faulty("samples-mix")
def words_added_over_the_samples():
    torch.manual_seed(0)
    tokens = torch.randint(30, (14, 14))
    return case(Words(0), F.cross_entropy, (tokens, (tokens < 15).float().mean(1).gt(0.5).long()))


@healthy("samples-mix")
def a_maximum_over_the_moments():
    return case(Pooled(1, "max"), F.cross_entropy, as_many_moments_as_samples())


@healthy("samples-mix")
def a_mean_over_time_that_comes_first():
    x, y = as_many_moments_as_samples()
    return case(Pooled(0), F.cross_entropy, (x.transpose(0, 1).contiguous(), y), batch_axis=1)


@healthy("samples-mix")
def words_added_over_the_moments():
    torch.manual_seed(0)
    tokens = torch.randint(30, (14, 14))
    return case(Words(1), F.cross_entropy, (tokens, (tokens < 15).float().mean(1).gt(0.5).long()))


# 26: layers with nothing between them


def stacked(*layers):
    torch.manual_seed(4)
    x = torch.randn(48, 6)
    y = (x @ torch.randn(6, 3)).argmax(1)
    model = nn.Sequential(*layers)
    return trained(model, F.cross_entropy, (x, y), torch.optim.Adam(model.parameters(), lr=3e-3))


@faulty("linear-after-linear")
def two_layers_of_one_map():
    return stacked(nn.Linear(6, 24), nn.Linear(24, 3))


@faulty("linear-after-linear")
def an_activation_missing_in_the_middle():
    return stacked(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.Dropout(0.1), nn.Linear(24, 3))


@healthy("linear-after-linear")
def a_narrow_layer_between():
    return stacked(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 2), nn.Linear(2, 3))


@healthy("linear-after-linear")
def a_norm_between():
    return stacked(nn.Linear(6, 24), nn.LayerNorm(24), nn.Linear(24, 3))


# 28: what was trained before


def above(train, learned=True, whole=False):
    """A classifier above a body that was trained before."""
    x, y = classes()
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU())
    model = nn.ModuleDict({"body": body, "head": nn.Linear(16, 3)})
    with torch.no_grad():
        if learned:
            body[1].weight.uniform_(0.5, 1.5)
            body[1].bias.normal_(0.0, 0.3)
        body[1].running_mean.normal_()
    for p in body.parameters():
        p.requires_grad_(whole)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)

    def step():
        train(model)
        optimizer.zero_grad()
        F.cross_entropy(model["head"](model["body"](x)), y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("frozen-statistics-move")
def a_body_in_train_mode():
    return above(lambda model: model.train())


@faulty("frozen-statistics-move")
def only_the_body_in_train_mode():
    def train(model):
        model["body"].train()
        model["head"].eval()

    return above(train)


@healthy("frozen-statistics-move")
def a_body_in_eval_mode():
    def train(model):
        model.train()
        model["body"].eval()

    return above(train)


@healthy("frozen-statistics-move")
def a_body_that_learns_on():
    return above(lambda model: model.train(), whole=True)
