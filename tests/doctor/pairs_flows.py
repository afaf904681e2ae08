"""Pairs about gradients that do not flow, bonuses of the wrong sign, and losses that cannot come down."""

import math

import torch
import torch.nn.functional as F
from torch import distributions, nn

from doctor.table import faulty, healthy


def rows(samples=40, width=8):
    torch.manual_seed(2)
    return torch.randn(samples, width) @ torch.randn(width, width)


def stepping(modules, loss, rate=1e-3):
    """A program that is a loss of modules of its own."""
    model = nn.ModuleDict(modules)
    optimizer = torch.optim.Adam(model.parameters(), rate)

    def step():
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


# 26: draws


def encoded(draw):
    x = rows()

    def loss(model):
        mean, log_spread = model["encoder"](x).chunk(2, dim=1)
        spread = log_spread.exp()
        z = draw(mean, spread)
        prior = (mean**2 + spread**2 - 2 * log_spread - 1).sum(1).mean() / 2
        return F.mse_loss(model["decoder"](z), x) + 0.01 * prior

    return stepping({"encoder": nn.Linear(8, 6), "decoder": nn.Linear(3, 8)}, loss)


@faulty("sample-without-gradient")
def a_laplace_sampled():
    return encoded(lambda mean, spread: distributions.Laplace(mean, spread).sample())


@faulty("sample-without-gradient")
def torch_normal_of_mean_and_spread_in_no_grad():
    def draw(mean, spread):
        with torch.no_grad():
            return torch.normal(mean, spread)

    return encoded(draw)


@faulty("sample-without-gradient")
def noise_added_without_gradients():
    def draw(mean, spread):
        with torch.no_grad():
            return mean + spread * torch.randn_like(spread)

    return encoded(draw)


@healthy("sample-without-gradient")
def noise_added_with_gradients():
    return encoded(lambda mean, spread: mean + spread * torch.randn_like(spread))


@healthy("sample-without-gradient")
def a_draw_passed_straight_through():
    def draw(mean, spread):
        z = distributions.Normal(mean, spread).sample()
        return z + (mean - mean.detach())

    return encoded(draw)


@healthy("sample-without-gradient")
def a_gaussian_policy():
    x = rows()

    def loss(model):
        policy = distributions.Normal(model["policy"](x), 0.5)
        action = policy.sample()
        reward = -(action - x[:, :2]).square().sum(1)
        value = model["critic"](torch.cat([x, action], 1)).squeeze(1)
        log_p = policy.log_prob(action).sum(1)
        return -(log_p * (reward - reward.mean())).mean() + F.mse_loss(value, reward)

    return stepping({"policy": nn.Linear(8, 2), "critic": nn.Linear(10, 1)}, loss)


# 26: derivatives


def slopes(derivative, term=lambda slope, u: (slope + u).square().mean()):
    def loss(model):
        t = torch.linspace(0, 1, 30).unsqueeze(1).requires_grad_()
        u = model["net"](t)
        start = (model["net"](torch.zeros(1, 1)) - 1).square().mean()
        return term(derivative(u, t), u) + start

    return stepping({"net": nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))}, loss)


@faulty("derivative-without-graph")
def an_equation_whose_derivative_is_a_constant():
    return slopes(lambda u, t: torch.autograd.grad(u.sum(), t, retain_graph=True)[0])


@faulty("derivative-without-graph")
def a_penalty_of_the_slope_that_has_no_gradient():
    return slopes(
        lambda u, t: torch.autograd.grad(u, [t], torch.ones_like(u), retain_graph=True)[0],
        lambda slope, u: u.square().mean() + 10 * (slope.norm(2, dim=1) - 1).pow(2).mean(),
    )


@healthy("derivative-without-graph")
def an_equation():
    return slopes(lambda u, t: torch.autograd.grad(u.sum(), t, create_graph=True)[0])


@healthy("derivative-without-graph")
def inputs_moved_along_their_gradient():
    x, y = rows(), torch.arange(40) % 3

    def loss(model):
        moved = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(model["net"](moved), y), moved)
        return F.cross_entropy(model["net"](x + 0.1 * slope.sign()), y)

    return stepping({"net": nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 3))}, loss)


@healthy("derivative-without-graph")
def a_critic_without_a_value_target():
    x = rows()

    def loss(model):
        action = model["actor"](x)
        value = model["critic"](torch.cat([x, action], 1))
        (slope,) = torch.autograd.grad(value.sum(), action, retain_graph=True)
        moved = (action + 0.1 * slope).detach()
        return F.mse_loss(action, moved) + F.mse_loss(value, x[:, :1])

    return stepping({"actor": nn.Linear(8, 2), "critic": nn.Linear(10, 1)}, loss)


# 26: the entropy of a policy


def bandit(bonus, entropy):
    x, best = rows(), torch.arange(40) % 5

    def loss(model):
        logits = model["policy"](x)
        log_p = F.log_softmax(logits, dim=-1)
        action = torch.multinomial(log_p.detach().exp(), 1)
        reward = (action.squeeze(1) == best).float() - 0.2
        return -(log_p.gather(1, action).squeeze(1) * reward).mean() + bonus * entropy(logits, log_p).mean()

    return stepping({"policy": nn.Linear(8, 5)}, loss)


@faulty("entropy-is-punished")
def entropy_added_by_hand():
    return bandit(0.05, lambda logits, log_p: -(log_p.exp() * log_p).sum(1))


@faulty("entropy-is-punished")
def a_negative_bonus_of_a_negative_entropy():
    return bandit(-0.05, lambda logits, log_p: (log_p * F.softmax(logits, 1)).sum(1))


@faulty("entropy-is-punished")
def a_gaussian_policy_that_shall_explore():
    x = rows()

    def loss(model):
        mean, log_spread = model["policy"](x).chunk(2, 1)
        policy = distributions.Normal(mean, log_spread.exp())
        action = policy.sample()
        reward = -(action - x[:, :2]).square()
        loss = -(policy.log_prob(action) * (reward - reward.mean())).mean()
        return loss + 0.01 * policy.entropy().mean()

    return stepping({"policy": nn.Linear(8, 4)}, loss)


@healthy("entropy-is-punished")
def entropy_subtracted():
    return bandit(-0.05, lambda logits, log_p: distributions.Categorical(logits=logits).entropy())


@healthy("entropy-is-punished")
def unlabelled_rows_that_shall_be_decided():
    x, y = rows(), torch.arange(40) % 5

    def loss(model):
        p = F.softmax(model["net"](x), 1)
        rest = -(p * p.clamp(min=1e-8).log()).sum(1)
        return F.cross_entropy(model["net"](x)[:10], y[:10]) + 0.1 * rest.mean()

    return stepping({"net": nn.Linear(8, 5)}, loss)


# 26: what cannot come down


def tagged(squash, loss, several=True):
    x = rows()
    y = (x[:, :4] > (0 if several else 99)).float()
    y[:, 0] = torch.where(y.sum(1) > 0, y[:, 0], 1.0)
    return stepping({"net": nn.Linear(8, 4)}, lambda model: loss(squash(model["net"](x)), y))


def by_hand(p, y):
    return -(y * torch.log(p + 1e-8) + (1 - y) * torch.log(1 - p + 1e-8)).mean()


@faulty("softmax-for-several-labels")
def softmax_and_crosses_by_hand():
    return tagged(lambda logits: F.softmax(logits, -1), by_hand)


@faulty("softmax-for-several-labels")
def softmax_and_squares():
    return tagged(nn.Softmax(dim=1), nn.MSELoss())


@healthy("softmax-for-several-labels")
def sigmoid_and_crosses_by_hand():
    return tagged(torch.sigmoid, by_hand)


@healthy("softmax-for-several-labels")
def softmax_and_squares_of_one_label():
    return tagged(nn.Softmax(dim=1), nn.MSELoss(), several=False)


def contrasted(scores):
    x = rows()

    def loss(model):
        a, b = (F.normalize(model["net"](x + 0.1 * torch.randn_like(x)), dim=1) for _ in range(2))
        logits = scores(a, b, model)
        return F.cross_entropy(logits, torch.arange(40))

    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
    return stepping({"net": net, "scale": nn.ParameterList([torch.tensor(math.log(0.1))])}, loss)


@faulty("logits-too-narrow")
def cosines_times_a_temperature():
    return contrasted(lambda a, b, _: 0.1 * F.cosine_similarity(a.unsqueeze(1), b.unsqueeze(0), dim=-1))


@faulty("logits-too-narrow")
def cosines_divided_by_a_scale():
    def supervised(a, b, _):
        scores = torch.einsum("id,jd->ij", a, b) / 20.0
        return scores.masked_fill(torch.zeros(40, 40, dtype=torch.bool), -1e9)

    return contrasted(supervised)


@healthy("logits-too-narrow")
def cosines_divided_by_a_temperature():
    return contrasted(lambda a, b, _: a @ b.T / 0.1)


@healthy("logits-too-narrow")
def cosines_with_a_scale_that_learns():
    return contrasted(lambda a, b, model: a @ b.T * model["scale"][0].exp())
