"""Agents: policies, values, targets that lag behind, replayed memories, rewards from preferences, bandits."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Normal

from doctor.zoo import member, plain


def play(steps=24, width=4):
    """States, actions, rewards, next states and ends, as an environment would give them."""
    state = torch.randn(steps + 1, width).cumsum(0) * 0.3
    return (
        state[:-1],
        torch.randint(0, 2, (steps,)),
        torch.randn(steps),
        state[1:],
        (torch.rand(steps) < 0.1).float(),
    )


def returns(rewards, gamma=0.99):
    total, out = 0.0, []
    for r in rewards.flip(0):
        total = float(r) + gamma * total
        out.insert(0, total)
    out = torch.tensor(out)
    return (out - out.mean()) / (out.std() + 1e-8)


@member
def reinforce_as_in_the_official_example():
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.affine1, self.dropout, self.affine2 = nn.Linear(4, 32), nn.Dropout(p=0.6), nn.Linear(32, 2)

        def forward(self, x):
            return F.softmax(self.affine2(F.relu(self.dropout(self.affine1(x)))), dim=1)

    policy = Policy()
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

    def step():
        states, _, rewards, _, _ = play()
        logs = []
        for s in states:
            m = Categorical(policy(s[None]))
            logs.append(m.log_prob(m.sample()))
        loss = torch.cat([-log * g for log, g in zip(logs, returns(rewards), strict=True)]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    states, actions, rewards, _, _ = play()
    g = returns(rewards)

    def loss(chance, a):
        return -(chance.gather(1, a[:, None]).squeeze(1).log() * g[: len(a)]).sum()

    return {"model": policy, "loss": loss, "batch": (states, actions), "optimizer": optimizer, "step": step}


@member
def deep_q_with_replay_and_a_slow_copy():
    policy_net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    target_net = copy.deepcopy(policy_net)
    optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-4, amsgrad=True)
    memory = play(200)

    def sample():
        chosen = torch.randint(0, 200, (32,))
        return [part[chosen] for part in memory]

    def step():
        s, a, r, after, done = sample()
        q = policy_net(s).gather(1, a.unsqueeze(1))
        with torch.no_grad():
            best = target_net(after).max(1).values * (1 - done)
        loss = nn.SmoothL1Loss()(q, (r + 0.99 * best).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        weights = target_net.state_dict()
        for key, value in policy_net.state_dict().items():
            weights[key] = value * 0.005 + weights[key] * 0.995
        target_net.load_state_dict(weights)

    s, a, r, after, done = sample()

    def loss(q, a):
        with torch.no_grad():
            best = target_net(after).max(1).values * (1 - done)
        return F.smooth_l1_loss(q.gather(1, a[:, None]).squeeze(1), (r + 0.99 * best)[: len(a)])

    return {"model": policy_net, "loss": loss, "batch": (s, a), "optimizer": optimizer, "step": step}


@member
def duelling_double_q():
    class Dueling(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.value, self.advantage = nn.Linear(4, 32), nn.Linear(32, 1), nn.Linear(32, 3)

        def forward(self, x):
            h = F.relu(self.body(x))
            a = self.advantage(h)
            return self.value(h) + a - a.mean(dim=1, keepdim=True)

    net = Dueling()
    s, _, r, _, _ = play(32)
    a = torch.arange(32) % 3

    def loss(q, action):
        return F.huber_loss(q[torch.arange(len(action)), action], r[: len(action)])

    return plain(net, loss, (s, a), torch.optim.RMSprop(net.parameters(), 2.5e-4, 0.95, 1e-2))


class ActorCritic(nn.Module):
    def __init__(self, actions=2):
        super().__init__()
        self.critic = nn.Sequential(
            self.layer(4, 32), nn.Tanh(), self.layer(32, 32), nn.Tanh(), self.layer(32, 1, 1.0)
        )
        self.actor = nn.Sequential(
            self.layer(4, 32), nn.Tanh(), self.layer(32, 32), nn.Tanh(), self.layer(32, actions, 0.01)
        )

    @staticmethod
    def layer(a, b, gain=2**0.5):
        layer = nn.Linear(a, b)
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.constant_(layer.bias, 0.0)
        return layer

    def forward(self, x):
        return self.actor(x), self.critic(x).squeeze(-1)


@member
def proximal_policy_optimisation():
    agent = ActorCritic()
    optimizer = torch.optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)
    s, a, r, _, _ = play(32)
    with torch.no_grad():
        logits, value = agent(s)
        old, gain = Categorical(logits=logits).log_prob(a), returns(r) - value

    def loss(out, chosen):
        logits, value = out
        n = len(chosen)
        chance = Categorical(logits=logits)
        ratio = (chance.log_prob(chosen) - old[:n]).exp()
        adv = (gain - gain.mean()) / (gain.std() + 1e-8)
        pg = torch.max(-adv[:n] * ratio, -adv[:n] * ratio.clamp(0.8, 1.2)).mean()
        return pg - 0.01 * chance.entropy().mean() + 0.5 * 0.5 * ((value - returns(r)[:n]) ** 2).mean()

    def step():
        for _ in range(2):
            for index in torch.randperm(32).split(16):
                logits, value = agent(s[index])
                chance = Categorical(logits=logits)
                ratio = (chance.log_prob(a[index]) - old[index]).exp()
                adv = gain[index]
                pg = torch.max(-adv * ratio, -adv * ratio.clamp(0.8, 1.2)).mean()
                total = pg - 0.01 * chance.entropy().mean() + 0.5 * (value - returns(r)[index]).pow(2).mean()
                optimizer.zero_grad()
                total.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()

    return {"model": agent, "loss": loss, "batch": (s, a), "optimizer": optimizer, "step": step}


@member
def deterministic_policy_gradient():
    actor = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())
    critic = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    slow_actor, slow_critic = copy.deepcopy(actor), copy.deepcopy(critic)
    oa, oc = (
        torch.optim.Adam(actor.parameters(), 1e-4),
        torch.optim.Adam(critic.parameters(), 1e-3, weight_decay=1e-2),
    )
    s, _, r, after, done = play(32)
    a = torch.rand(32, 1) * 2 - 1

    def step():
        with torch.no_grad():
            y = r[:, None] + 0.99 * (1 - done[:, None]) * slow_critic(torch.cat([after, slow_actor(after)], 1))
        oc.zero_grad()
        F.mse_loss(critic(torch.cat([s, a], 1)), y).backward()
        oc.step()
        oa.zero_grad()
        (-critic(torch.cat([s, actor(s)], 1)).mean()).backward()
        oa.step()
        with torch.no_grad():
            for slow, fast in ((slow_actor, actor), (slow_critic, critic)):
                for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                    p.mul_(0.995).add_(0.005 * q)

    return {
        "model": critic, "loss": F.mse_loss, "batch": (torch.cat([s, a], 1), r[:, None]), "optimizer": [oc, oa],
        "step": step,
    }  # fmt: skip


@member
def soft_actor_critic():
    class Gaussian(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.mean, self.log_std = nn.Linear(4, 32), nn.Linear(32, 2), nn.Linear(32, 2)

        def forward(self, s):
            h = F.relu(self.body(s))
            normal = Normal(self.mean(h), self.log_std(h).clamp(-5, 2).exp())
            u = normal.rsample()
            a = torch.tanh(u)
            return a, (normal.log_prob(u) - torch.log(1 - a.pow(2) + 1e-6)).sum(1, keepdim=True)

    actor, log_alpha = Gaussian(), torch.zeros(1, requires_grad=True)
    q1, q2 = (nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(2))
    oa, oq = (
        torch.optim.Adam(actor.parameters(), 3e-4),
        torch.optim.Adam([*q1.parameters(), *q2.parameters()], 1e-3),
    )
    ot = torch.optim.Adam([log_alpha], 1e-3)
    s, _, r, _, _ = play(32)
    a = torch.rand(32, 2) * 2 - 1

    def step():
        x = torch.cat([s, a], 1)
        oq.zero_grad()
        (F.mse_loss(q1(x), r[:, None]) + F.mse_loss(q2(x), r[:, None])).backward()
        oq.step()
        act, log = actor(s)
        both = torch.cat([s, act], 1)
        oa.zero_grad()
        (log_alpha.exp().detach() * log - torch.min(q1(both), q2(both))).mean().backward()
        oa.step()
        ot.zero_grad()
        (-(log_alpha * (log.detach() - 2)).mean()).backward()
        ot.step()

    def loss(out):
        return (out[1] - q1(torch.cat([s[: len(out[0])], out[0]], 1))).mean()

    return {"model": actor, "loss": loss, "batch": s, "optimizer": [oa, oq, ot], "step": step}


@member
def behaviour_cloning_with_standardised_states():
    class Cloned(nn.Module):
        def __init__(self, states):
            super().__init__()
            self.register_buffer("mean", states.mean(0))
            self.register_buffer("std", states.std(0) + 1e-6)
            self.net = nn.Sequential(nn.Linear(6, 48), nn.ELU(), nn.Linear(48, 2))

        def forward(self, s):
            return self.net((s - self.mean) / self.std)

    s = torch.randn(64, 6) * torch.tensor([1, 10, 100, 0.1, 1, 5]) + torch.tensor([0, 50, 300, 0, 1, 2])
    y = torch.stack([(s[:, 0] - s[:, 3]).tanh(), (s[:, 1] / 50).sin()], 1)
    return plain(Cloned(s), F.mse_loss, (s, y))


@member
def reward_from_preferences():
    class Reward(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net, self.head = (
                nn.Embedding(20, 16),
                nn.GRU(16, 16, batch_first=True),
                nn.Linear(16, 1, bias=False),
            )

        def forward(self, chosen, rejected):
            return tuple(self.head(self.net(self.table(x))[0][:, -1]).squeeze(-1) for x in (chosen, rejected))

    pair = torch.randint(0, 20, (12, 7)), torch.randint(0, 20, (12, 7))
    net = Reward()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def step():
        good, bad = net(*pair)
        loss = -F.logsigmoid(good - bad).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {
        "model": net, "loss": lambda out, _: -F.logsigmoid(out[0] - out[1]).mean(), "batch": (pair, torch.ones(12)),
        "optimizer": optimizer, "step": step,
    }  # fmt: skip


@member
def direct_preference_optimisation():
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net, self.out = (
                nn.Embedding(20, 16),
                nn.GRU(16, 16, batch_first=True),
                nn.Linear(16, 20),
            )

        def forward(self, x):
            logs = self.out(self.net(self.table(x[:, :-1]))[0]).log_softmax(-1)
            return logs.gather(-1, x[:, 1:, None]).squeeze(-1).sum(1)

    policy = Policy()
    reference = copy.deepcopy(policy).eval()
    for p in reference.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.RMSprop(policy.parameters(), lr=5e-4)
    good, bad = torch.randint(0, 20, (8, 9)), torch.randint(0, 20, (8, 9))
    both = torch.cat([good, bad])

    def loss(logs, x):
        with torch.no_grad():
            base = reference(x)
        ahead = (logs - base).view(2, -1)
        return -F.logsigmoid(0.1 * (ahead[0] - ahead[1])).mean()

    def step():
        optimizer.zero_grad()
        loss(policy(both), both).backward()
        optimizer.step()

    return {"model": policy, "loss": loss, "batch": (both, both), "optimizer": optimizer, "step": step}


@member
def world_model_and_curiosity():
    class Curious(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Linear(4, 16), nn.ELU())
            self.forward_model, self.inverse = nn.Linear(18, 16), nn.Linear(32, 2)

        def forward(self, s, after, a):
            f, g = self.features(s), self.features(after)
            guess = self.forward_model(torch.cat([f, F.one_hot(a, 2).float()], 1))
            return guess, g.detach(), self.inverse(torch.cat([f, g], 1))

    def loss(out, a):
        guess, truth, logits = out
        return 0.2 * F.mse_loss(guess, truth) + 0.8 * F.cross_entropy(logits, a)

    s, a, _, after, _ = play(32)
    return plain(Curious(), loss, ((s, after, a), a))


@member
def distributional_q_by_quantiles():
    net = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 2 * 8))
    tau = (torch.arange(8) + 0.5) / 8
    s, a, r, _, _ = play(32)

    def loss(out, a):
        theta = out.view(-1, 2, 8)[torch.arange(len(a)), a]
        u = r[: len(a), None, None] - theta[:, :, None]
        return (
            (tau[:, None] - (u.detach() < 0).float()).abs() * F.huber_loss(u, torch.zeros_like(u), reduction="none")
        ).mean()

    return plain(net, loss, (s, a), torch.optim.Adam(net.parameters(), 5e-5, eps=0.01 / 32))


@member
def alpha_zero_net_with_two_heads():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(2, 16, 3, padding=1), nn.BatchNorm2d(16)
            self.pi, self.v1, self.v2 = nn.Linear(144, 9), nn.Linear(144, 16), nn.Linear(16, 1)

        def forward(self, board):
            h = F.relu(self.bn(self.conv(board))).flatten(1)
            return F.log_softmax(self.pi(h), dim=1), torch.tanh(self.v2(F.relu(self.v1(h))))

    board = torch.randint(0, 2, (24, 2, 3, 3)).float()
    pi, z = torch.rand(24, 9).softmax(1), torch.randint(-1, 2, (24,)).float()

    def loss(out, y):
        logs, v = out
        pi, z = y
        return -(pi * logs).sum(1).mean() + ((z - v.view(-1)) ** 2).mean()

    return plain(Net(), loss, (board, (pi, z)))
