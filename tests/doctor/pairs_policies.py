"""Pairs about samples compared with themselves, clipped objectives, and attributes that nobody reads."""

import torch
import torch.nn.functional as F
from torch import distributions, nn

from doctor.pairs_flows import rows, stepping
from doctor.table import faulty, healthy

# 26: samples that are compared with themselves


def alike(hide, targets):
    x = rows(20)

    def loss(model):
        z = F.normalize(model["net"](torch.cat([x, x + 0.1 * torch.randn_like(x)])), dim=-1)
        return F.cross_entropy(hide(z @ z.t() / 0.1), targets)

    return stepping({"net": nn.Linear(8, 6)}, loss)


OTHERS = (torch.arange(40) + 20) % 40


@faulty("compared-with-itself")
def two_views_and_the_sample_itself():
    return alike(lambda scores: scores, OTHERS)


@faulty("compared-with-itself")
def neighbours_and_the_sample_itself():
    return alike(lambda scores: scores.clone(), torch.arange(40) ^ 1)


@healthy("compared-with-itself")
def a_diagonal_that_is_hidden():
    return alike(lambda scores: scores.masked_fill(torch.eye(40, dtype=torch.bool), -1e9), OTHERS)


@healthy("compared-with-itself")
def a_diagonal_that_is_infinitely_far():
    return alike(lambda scores: scores - torch.diag(torch.full((40,), 1e6)), OTHERS)


# 26: the clipped objective


def clipped(objective):
    x, best = rows(), torch.arange(40) % 5
    drawn = {}

    def loss(model):
        logits = model["policy"](x)
        if len(drawn) == 0:
            policy = distributions.Categorical(logits=logits.detach())
            action = policy.sample()
            drawn.update(action=action, old=policy.log_prob(action))
        new = distributions.Categorical(logits=logits).log_prob(drawn["action"])
        gain = (drawn["action"] == best).float() - 0.2
        return objective(new, drawn["old"], gain)

    return stepping({"policy": nn.Linear(8, 5)}, loss)


@faulty("clipped-objective-wrong")
def the_better_of_two_estimates():
    def objective(new, old, gain):
        ratio = (new - old).exp()
        return -torch.maximum(gain * ratio, gain * ratio.clamp(0.8, 1.2)).mean()

    return clipped(objective)


@faulty("clipped-objective-wrong")
def old_by_new_probabilities():
    def objective(new, old, gain):
        ratio = torch.exp(old - new)
        return torch.max(-gain * ratio, -gain * torch.clamp(ratio, 0.8, 1.2)).mean()

    return clipped(objective)


@healthy("clipped-objective-wrong")
def the_worse_of_two_estimates():
    def objective(new, old, gain):
        ratio = (new - old).exp()
        return -torch.min(gain * ratio, gain * ratio.clamp(0.8, 1.2)).mean()

    return clipped(objective)


@healthy("clipped-objective-wrong")
def the_greater_of_two_losses():
    def objective(new, old, gain):
        ratio = (new - old).exp()
        return torch.max(-gain * ratio, -gain * torch.clamp(ratio, 0.8, 1.2)).mean()

    return clipped(objective)


# 20: attributes that nobody reads


def noted(change):
    x = rows()
    program = stepping(
        {"body": nn.Sequential(nn.Linear(8, 8), nn.Tanh()), "head": nn.Linear(8, 1)},
        lambda model: F.mse_loss(model["head"](model["body"](x)), x[:, :1]),
    )
    change(program)
    return program


@faulty("attribute-without-effect")
def a_body_that_is_not_frozen():
    return noted(lambda program: setattr(program["model"]["body"], "requires_grad", False))


@faulty("attribute-without-effect")
def a_rate_set_on_the_optimizer():
    return noted(lambda program: setattr(program["optimizer"], "lr", 1e-4))


@healthy("attribute-without-effect")
def a_body_that_is_frozen():
    return noted(lambda program: program["model"]["body"].requires_grad_(False))


@healthy("attribute-without-effect")
def a_rate_set_in_the_groups():
    return noted(lambda program: program["optimizer"].param_groups[0].update(lr=1e-4))


# 26: penalties


def punished(penalty):
    x = rows()

    def loss(model):
        return F.mse_loss(model["net"](x), x[:, :1]) + 0.01 * penalty(model)

    return stepping({"net": nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))}, loss)


@faulty("penalty-without-gradient")
def squares_of_data():
    return punished(lambda model: sum(p.data.square().sum() for p in model.parameters()))


@faulty("penalty-without-gradient")
def sizes_under_no_grad():
    def penalty(model):
        total = torch.tensor(0.0)
        with torch.no_grad():
            for parameter in model.parameters():
                total = total + parameter.abs().sum()
        return total

    return punished(penalty)


@healthy("penalty-without-gradient")
def squares_of_parameters():
    return punished(lambda model: sum(p.square().sum() for p in model.parameters()))


@healthy("penalty-without-gradient")
def a_baseline_that_is_detached():
    return punished(lambda model: -model["net"](rows()).detach().mean())


# 26: advantages


def acting(step_loss, continuous=False):
    """One step of a policy and of a value that share an optimizer, on rewards that depend on the action."""
    x, goal = rows(), torch.randn(40)

    def loss(model):
        hidden = model["body"](x).tanh()
        made, value = model["policy"](hidden), model["value"](hidden).squeeze(-1)
        policy = distributions.Categorical(logits=made)
        if continuous:
            policy = distributions.Normal(made[:, 0], made[:, 1].exp())
        action = policy.sample()
        returns = goal - 0.2 * action.float()
        return step_loss(policy.log_prob(action), returns, value)

    return stepping({"body": nn.Linear(8, 16), "policy": nn.Linear(16, 5), "value": nn.Linear(16, 1)}, loss)


@faulty("advantage-not-detached")
def returns_less_a_value_that_learns_of_it():
    def objective(logarithm, returns, value):
        advantage = returns - value
        return -(logarithm * advantage).mean() + 0.5 * advantage.pow(2).mean()

    return acting(objective)


@faulty("advantage-not-detached")
def a_ratio_times_normalised_advantages_that_learn():
    def objective(logarithm, returns, value):
        advantage = returns - value
        scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = (logarithm - logarithm.detach()).exp()
        return -(scaled * ratio).mean() + F.mse_loss(value, returns)

    return acting(objective, continuous=True)


@healthy("advantage-not-detached")
def an_advantage_that_is_detached():
    def objective(logarithm, returns, value):
        advantage = (returns - value).detach()
        return -(logarithm * advantage).mean() + F.smooth_l1_loss(value, returns)

    return acting(objective)


@healthy("advantage-not-detached")
def a_value_that_only_adds_its_own_loss():
    def objective(logarithm, returns, value):
        with torch.no_grad():
            advantage = returns - value
        ratio = (logarithm - logarithm.detach()).exp()
        return (
            -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
            + (value - returns).pow(2).mean()
        )

    return acting(objective, continuous=True)
