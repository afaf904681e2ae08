"""More healthy programs, written to look suspicious: what the doctor must not trip over."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from doctor.zoo import every, member, plain


@member
def time_first_language_model():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net, self.out = nn.Embedding(17, 12), nn.LSTM(12, 12), nn.Linear(12, 17)

        def forward(self, index):
            return self.out(self.net(self.table(index))[0])

    line = torch.randint(0, 17, (10, 6))
    return plain(Words(), every, (line[:-1], line[1:]))


@member
def q_learning_with_a_target_network():
    class Q(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 3))

        def forward(self, x):
            return self.net(x)

    q = Q()
    target = copy.deepcopy(q).requires_grad_(False)
    optimizer = torch.optim.RMSprop(q.parameters(), lr=5e-4)
    state, after, action, reward = (
        torch.randn(16, 5),
        torch.randn(16, 5),
        torch.randint(0, 3, (16, 1)),
        torch.randn(16),
    )

    def loss(values, goal):
        return F.smooth_l1_loss(values.gather(1, action).squeeze(1), goal)

    def step():
        with torch.no_grad():
            goal = reward + 0.9 * target(after).max(1).values
        value = loss(q(state), goal)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        for slow, fast in zip(target.parameters(), q.parameters(), strict=True):
            slow.data.mul_(0.99).add_(0.01 * fast.data)

    return {"model": q, "loss": loss, "batch": (state, reward), "optimizer": optimizer, "step": step}


@member
def gradient_penalty():
    critic = nn.Sequential(nn.Linear(6, 16), nn.Softplus(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
    real, fake = torch.randn(8, 6), torch.randn(8, 6) + 1

    def step():
        between = (0.5 * real + 0.5 * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        value = critic(fake).mean() - critic(real).mean() + 10 * ((slope.norm(dim=1) - 1) ** 2).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return {"model": critic, "loss": lambda score, sign: (score.squeeze(1) * sign).mean(),
            "batch": (torch.cat([real, fake]), torch.cat([-torch.ones(8), torch.ones(8)])),
            "optimizer": optimizer, "step": step}  # fmt: skip


@member
def an_epoch_over_a_loader():
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(30, 6), torch.arange(30) % 3)
    loader = torch.utils.data.DataLoader(data, 8, shuffle=True)
    model = nn.Sequential(
        nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, nesterov=True, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)

    def step():
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad(set_to_none=True)
            value = F.cross_entropy(model(x), y)
            value.backward()
            optimizer.step()
            total += value.item()
        schedule.step(total)

    def evaluate():
        model.eval()
        with torch.inference_mode():
            return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(data)

    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": loader,
        "optimizer": optimizer,
        "step": step,
        "evaluate": evaluate,
    }


@member
def diffusion():
    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.time, self.one, self.two = nn.Embedding(20, 16), nn.Linear(4, 16), nn.Linear(16, 4)

        def forward(self, x, t):
            return self.two(F.silu(self.one(x) + self.time(t)))

    clean, noise, t = torch.randn(12, 4), torch.randn(12, 4), torch.randint(0, 20, (12,))
    level = torch.linspace(0.99, 0.1, 20)[t][:, None]
    return plain(Denoiser(), F.mse_loss, ((level.sqrt() * clean + (1 - level).sqrt() * noise, t), noise))


@member
def distillation():
    teacher, student = nn.Linear(8, 5).requires_grad_(False), nn.Linear(8, 5)
    x, y = torch.randn(10, 8), torch.arange(10) % 5

    def loss(logits, y):
        soft = F.softmax(teacher(x[: len(logits)]) / 3, dim=-1)
        return 9 * F.kl_div(F.log_softmax(logits / 3, dim=-1), soft, reduction="batchmean") + F.cross_entropy(
            logits, y
        )

    return plain(student, loss, (x, y))


@member
def focal_loss():
    def loss(logits, y):
        log = F.log_softmax(logits, dim=-1).gather(1, y[:, None]).squeeze(1)
        return (-((1 - log.exp()) ** 2) * log).mean()

    return plain(
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)),
        loss,
        (torch.randn(12, 8), torch.arange(12) % 4),
    )


@member
def mixture_density():
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(3, 16), nn.Linear(16, 9)

        def forward(self, x):
            weight, mean, spread = self.head(torch.tanh(self.body(x))).chunk(3, dim=-1)
            return F.log_softmax(weight, dim=-1), mean, F.softplus(spread) + 0.01

    def loss(output, y):
        weight, mean, spread = output
        each = torch.distributions.Normal(mean, spread).log_prob(y[:, None])
        return -torch.logsumexp(weight + each, dim=-1).mean()

    x = torch.randn(20, 3)
    return plain(Mixture(), loss, (x, x[:, 0].abs()))


@member
def connectionist():
    class Speech(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.GRU(5, 12, batch_first=True), nn.Linear(12, 7)

        def forward(self, x):
            return F.log_softmax(self.out(self.net(x)[0]), dim=-1).transpose(0, 1)

    def loss(log, y):
        t, b, _ = log.shape
        return F.ctc_loss(log, y, torch.full((b,), t), torch.full((b,), y.shape[1]))

    return plain(Speech(), loss, (torch.randn(4, 20, 5), torch.randint(1, 7, (4, 6))))


@member
def checkpointed_layers():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layers, self.out = (
                nn.Linear(6, 16),
                nn.ModuleList(nn.Linear(16, 16) for _ in range(3)),
                nn.Linear(16, 3),
            )

        def forward(self, x):
            x = torch.relu(self.first(x))
            for layer in self.layers:
                x = x + checkpoint(lambda h, layer=layer: torch.tanh(layer(h)), x, use_reentrant=False)
            return self.out(x)

    return plain(Deep(), F.cross_entropy, (torch.randn(9, 6), torch.arange(9) % 3))


@member
def reparametrised_weights():
    from torch.nn.utils.parametrizations import spectral_norm, weight_norm

    model = nn.Sequential(
        weight_norm(nn.Linear(6, 16)), nn.LeakyReLU(), spectral_norm(nn.Linear(16, 16)), nn.ReLU(), nn.Linear(16, 3)
    )
    return plain(model, F.cross_entropy, (torch.randn(9, 6), torch.arange(9) % 3))


@member
def everything_in_double():
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0)).double()
    x = torch.randn(14, 6, dtype=torch.float64)
    return plain(model, nn.MSELoss(), (x, torch.sin(x[:, 0])))


@member
def two_losses_with_learned_weights():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.kind, self.size = nn.Linear(6, 16), nn.Linear(16, 3), nn.Linear(16, 1)

        def forward(self, x):
            h = F.gelu(self.body(x))
            return self.kind(h), self.size(h).squeeze(-1)

    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(2))

        def forward(self, output, target):
            parts = torch.stack([F.cross_entropy(output[0], target[0]), F.mse_loss(output[1], target[1])])
            return (parts * torch.exp(-self.scale) + self.scale).sum()

    model, loss = Both(), Weighted()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=1e-3)
    return plain(model, loss, (torch.randn(12, 6), (torch.arange(12) % 3, torch.randn(12))), optimizer)


@member
def policy_that_samples_its_action():
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(5, 3)

        def forward(self, x):
            chance = torch.distributions.Categorical(logits=self.net(x))
            action = chance.sample()
            return chance.log_prob(action), action

    return plain(Policy(), lambda output, gain: -(output[0] * gain).mean(), (torch.randn(10, 5), torch.randn(10)))


@member
def masked_autoencoder():
    class Filling(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.place, self.out = (
                nn.Embedding(12, 16),
                nn.Parameter(0.1 * torch.randn(9, 16)),
                nn.Linear(16, 12),
            )
            self.net = nn.TransformerEncoderLayer(16, 4, 32, 0.1, batch_first=True)

        def forward(self, index):
            return self.out(self.net(self.table(index) + self.place[: index.shape[1]]))

    index = torch.randint(1, 12, (6, 9))
    hidden = torch.rand(6, 9) < 0.3
    hidden[:, 0] = True

    def loss(logits, y):
        return F.cross_entropy(logits.transpose(1, 2), y, ignore_index=-100)

    return plain(Filling(), loss, (index.masked_fill(hidden, 0), index.masked_fill(~hidden, -100)))


@member
def graph_of_one_sample():
    class Graph(nn.Module):
        def __init__(self, near):
            super().__init__()
            self.one, self.two = nn.Linear(5, 16), nn.Linear(16, 3)
            self.register_buffer("near", near)

        def forward(self, x):
            return self.two(self.near @ F.relu(self.one(self.near @ x)))

    near = (torch.rand(10, 10) > 0.7).float() + torch.eye(10)
    return plain(
        Graph(near / near.sum(1, keepdim=True)), F.cross_entropy, (torch.randn(10, 5), torch.arange(10) % 3)
    )


@member
def sharpness_aware_steps():
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = torch.randn(12, 6), torch.arange(12) % 3

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        moves = [0.05 * p.grad / (p.grad.norm() + 1e-12) for p in model.parameters()]
        with torch.no_grad():
            for p, move in zip(model.parameters(), moves, strict=True):
                p.add_(move)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for p, move in zip(model.parameters(), moves, strict=True):
                p.sub_(move)
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}
