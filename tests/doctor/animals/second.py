"""A second set, written after the checks had been mended on the first: what it gives is a first run."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from doctor.zoo import member


def program(model, loss, x, y, optimizer=None, **more):
    """A program with a step and an evaluation of its own."""
    optimizer = optimizer or torch.optim.Adam(model.parameters())

    def step():
        model.train()
        loss_value = loss(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss_value.backward()
        optimizer.step()

    def evaluate():
        model.eval()
        with torch.inference_mode():
            return float(loss(model(x), y))

    return {
        "model": model, "loss": loss, "batch": (x, y), "optimizer": optimizer, "step": step,
        "evaluate": evaluate, **more
    }  # fmt: skip


@member
def cats_and_dogs_from_a_data_set():
    class Pets(Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, i):
            generator = torch.Generator().manual_seed(i)
            return torch.rand(3, 24, 24, generator=generator) * 0.5 + 0.25 * (i % 2), i % 2

    class CNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.block1 = nn.Sequential(
                nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)
            )
            self.block2 = nn.Sequential(
                nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)
            )
            self.classifier = nn.Sequential(
                nn.Flatten(), nn.Linear(1152, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2)
            )

        def forward(self, x):
            return self.classifier(self.block2(self.block1(x)))

    model, loader = CNN(), DataLoader(Pets(), batch_size=10, shuffle=True)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-3)

    def train_one_epoch():
        model.train()
        running = 0.0
        for inputs, labels in loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running += loss.item() * inputs.size(0)
        return running / len(loader.dataset)

    @torch.no_grad()
    def validate():
        model.eval()
        return sum((model(a).argmax(1) == b).sum().item() for a, b in loader) / len(loader.dataset)

    return {
        "model": model, "loss": criterion, "batch": loader, "optimizer": optimizer, "step": train_one_epoch,
        "evaluate": validate,
    }  # fmt: skip


@member
def bytes_through_convolution_and_batchnorm_to_a_sigmoid():
    net = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2),
        nn.BatchNorm2d(16),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1), nn.Sigmoid(), nn.Flatten(0),
    )  # fmt: skip
    return program(
        net, nn.BCELoss(), torch.randint(0, 256, (16, 3, 16, 16)).float(), (torch.arange(16) % 2).float()
    )


@member
def spectrograms_by_a_recurrent_convolution():
    class CRNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn = nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d((2, 1))
            )
            self.rnn, self.fc = nn.GRU(8 * 10, 24, batch_first=True, bidirectional=True), nn.Linear(48, 5)

        def forward(self, x):
            f = self.cnn(x)
            b, c, h, w = f.shape
            f = f.permute(0, 3, 1, 2).reshape(b, w, c * h)
            return self.fc(self.rnn(f)[0].mean(1))

    return program(CRNN(), F.cross_entropy, torch.randn(10, 1, 20, 15), torch.arange(10) % 5)


@member
def raw_audio_by_strided_convolutions():
    net = nn.Sequential(
        nn.Conv1d(1, 16, 16, 4), nn.GroupNorm(1, 16), nn.GELU(), nn.Conv1d(16, 16, 8, 4), nn.GroupNorm(1, 16),
        nn.GELU(),
        nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    t = torch.arange(256) / 256
    x = torch.sin(2 * math.pi * t * (5 + 7 * (torch.arange(12) % 3))[:, None])[:, None] + 0.1 * torch.randn(
        12, 1, 256
    )
    return program(net, F.cross_entropy, x, torch.arange(12) % 3)


@member
def letters_by_a_recurrent_cell_written_by_hand():
    class RNN(nn.Module):
        def __init__(self, letters=27, hidden=32):
            super().__init__()
            self.hidden, self.letters = hidden, letters
            self.i2h, self.h2h, self.h2o = (
                nn.Linear(letters, hidden),
                nn.Linear(hidden, hidden),
                nn.Linear(hidden, 18),
            )

        def forward(self, line):
            h = torch.zeros(line.shape[1], self.hidden)
            for letter in line:
                h = torch.tanh(self.i2h(letter) + self.h2h(h))
            return F.log_softmax(self.h2o(h), dim=1)

    net = RNN()
    line = F.one_hot(torch.randint(0, 27, (6, 9)), 27).float()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.005)
    return program(net, nn.NLLLoss(), line, torch.arange(9) % 18, optimizer, batch_axis=1)


@member
def nano_gpt_that_returns_logits_and_loss():
    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attn = nn.MultiheadAttention(width, 2, dropout=0.1, batch_first=True)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
            )

        def forward(self, x):
            t = x.shape[1]
            mask = torch.triu(torch.ones(t, t, dtype=torch.bool), 1)
            h = self.ln1(x)
            x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
            return x + self.mlp(self.ln2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(30, 24), nn.Embedding(16, 24)
            self.h, self.ln_f, self.lm_head = (
                nn.ModuleList([Block(24), Block(24)]),
                nn.LayerNorm(24),
                nn.Linear(24, 30),
            )

        def forward(self, idx, targets=None):
            x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
            for block in self.h:
                x = block(x)
            logits = self.lm_head(self.ln_f(x))
            loss = None if targets is None else F.cross_entropy(logits.view(-1, 30), targets.view(-1))
            return logits, loss

    model = GPT()
    data = torch.randint(0, 30, (8, 13))
    x, y = data[:, :-1].contiguous(), data[:, 1:].contiguous()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99))

    def step():
        _, loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def loss(out, targets):
        return F.cross_entropy(out[0].view(-1, 30), targets.reshape(-1))

    return {"model": model, "loss": loss, "batch": (x, y), "optimizer": optimizer, "step": step}


@member
def tokens_copied_by_a_bottleneck_of_convolutions():
    class Auto(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.enc = nn.Embedding(20, 16), nn.Linear(16 * 8, 12)
            self.dec, self.out = nn.Linear(12, 16 * 8), nn.Linear(16, 20)

        def forward(self, x):
            z = torch.tanh(self.enc(self.table(x).flatten(1)))
            return self.out(self.dec(z).view(-1, 8, 16))

    x = torch.randint(0, 20, (16, 8))
    return program(Auto(), lambda out, y: F.cross_entropy(out.transpose(1, 2), y), x, x)


@member
def lines_trained_with_labels_that_the_loss_moves():
    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn, self.out = (
                nn.Embedding(25, 20),
                nn.GRU(20, 20, 2, batch_first=True, dropout=0.1),
                nn.Linear(20, 25),
            )

        def forward(self, ids):
            return self.out(self.rnn(self.table(ids))[0])

    def loss(logits, labels):
        shift_logits = logits[..., :-1, :].contiguous()
        shift_labels = labels[..., 1:].contiguous()
        return nn.CrossEntropyLoss()(shift_logits.view(-1, 25), shift_labels.view(-1))

    ids = torch.randint(0, 25, (6, 11))
    return program(Causal(), loss, ids, ids.clone())


@member
def permuted_pixels_one_by_one():
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc = nn.LSTM(1, 24, batch_first=True), nn.Linear(24, 4)
            for name, p in self.rnn.named_parameters():
                if "bias" in name:
                    nn.init.zeros_(p)
                    p.data[24:48] = 1.0

        def forward(self, x):
            return self.fc(self.rnn(x.flatten(1).unsqueeze(-1))[0][:, -1])

    net = Pixels()
    optimizer, (x, y) = torch.optim.RMSprop(net.parameters(), 1e-3), (torch.rand(12, 6, 6), torch.arange(12) % 4)

    def step():
        net.train()
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        for p in net.parameters():
            p.grad.data.clamp_(-1, 1)
        optimizer.step()

    return {**program(net, F.cross_entropy, x, y, optimizer), "step": step}


@member
def houses_with_a_log_of_the_price():
    x = torch.randn(50, 13)
    price = torch.exp(12 + 0.3 * x[:, 0] - 0.2 * x[:, 1] + 0.1 * torch.randn(50))
    y = (price.log() - price.log().mean()) / price.log().std()
    net = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    return program(net, nn.MSELoss(), x, y)


@member
def churn_with_one_output_and_an_uneven_class():
    net = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
    y = (torch.arange(60) % 6 == 0).float().unsqueeze(1)
    return program(net, nn.BCEWithLogitsLoss(pos_weight=torch.tensor([5.0])), torch.randn(60, 10), y)


@member
def digits_from_a_table_with_empty_columns():
    x = torch.randint(0, 17, (64, 64)).float()
    x[:, ::8] = 0
    x = (x - 4.9) / 6.0
    net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    return program(
        net, nn.CrossEntropyLoss(), x, torch.arange(64) % 10, torch.optim.SGD(net.parameters(), 0.1, 0.9)
    )


@member
def autoencoder_with_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.b, self.c = (
                nn.Parameter(torch.randn(6, 20) * 0.2),
                nn.Parameter(torch.zeros(6)),
                nn.Parameter(torch.zeros(20)),
            )

        def forward(self, x):
            return F.linear(torch.tanh(F.linear(x, self.w, self.b)), self.w.t(), self.c)

    x = torch.randn(40, 5) @ torch.randn(5, 20) / 2
    return program(Tied(), F.mse_loss, x, x)


@member
def beta_vae_with_a_returned_dictionary():
    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.dec = nn.Linear(16, 8), nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16))

        def forward(self, x):
            mean, log_var = self.enc(x).chunk(2, -1)
            q = torch.distributions.Normal(mean, (log_var / 2).exp())
            return {"x": self.dec(q.rsample()), "q": mean, "log_var": log_var}

    def loss(out, x):
        kl = 0.5 * (out["q"] ** 2 + out["log_var"].exp() - 1 - out["log_var"]).sum(-1)
        return (((out["x"] - x) ** 2).sum(-1) + 4 * kl).mean()

    x = torch.randn(24, 16)
    return program(VAE(), loss, x, x)


@member
def least_squares_gan_in_turns():
    g = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 2))
    d = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    gopt, dopt = (
        torch.optim.Adam(g.parameters(), 1e-3, (0.5, 0.9)),
        torch.optim.Adam(d.parameters(), 1e-3, (0.5, 0.9)),
    )
    real, turn = torch.randn(32, 2) + 2, [0]

    def step():
        z = torch.randn(32, 5)
        if turn[0] % 2 == 0:
            with torch.no_grad():
                fake = g(z)
            dopt.zero_grad()
            (((d(real) - 1) ** 2).mean() + (d(fake) ** 2).mean()).backward()
            dopt.step()
        else:
            gopt.zero_grad()
            ((d(g(z)) - 1) ** 2).mean().backward()
            gopt.step()
        turn[0] += 1

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.g, self.d = g, d

        def forward(self, z):
            return self.d(self.g(z))

    return {
        "model": Pair(), "loss": lambda o, y: ((o - y) ** 2).mean(), "batch": (torch.randn(32, 5),
        torch.ones(32, 1)),
        "optimizer": [gopt, dopt], "step": step,
    }  # fmt: skip


@member
def consistency_with_an_average_of_itself_as_target():
    from copy import deepcopy

    net = nn.Sequential(nn.Linear(3, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 2))
    mean = deepcopy(net).requires_grad_(False)
    optimizer, x0 = torch.optim.RAdam(net.parameters(), 4e-4), torch.randn(48, 2) * 0.3 + 1

    def step():
        t = torch.rand(48, 1) * 0.9 + 0.05
        noise = torch.randn_like(x0)
        later, earlier = x0 + (t + 0.05) * noise, x0 + t * noise
        with torch.no_grad():
            y = mean(torch.cat([earlier, t], 1))
        optimizer.zero_grad()
        F.mse_loss(net(torch.cat([later, t + 0.05], 1)), y).backward()
        optimizer.step()
        for a, b in zip(mean.parameters(), net.parameters(), strict=True):
            a.data.mul_(0.95).add_(b.data, alpha=0.05)

    t = torch.rand(48, 1)
    return {
        "model": net, "loss": F.mse_loss, "batch": (torch.cat([x0 + t * torch.randn_like(x0), t], 1), x0),
        "optimizer": optimizer, "step": step,
    }  # fmt: skip


@member
def q_values_of_a_grid_by_one_hot_states():
    net = nn.Linear(16, 4, bias=False)
    nn.init.uniform_(net.weight, 0, 0.01)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    s, a = torch.randint(0, 16, (20,)), torch.randint(0, 4, (20,))
    r, after = (s == 14).float(), (s + 1).clamp(max=15)

    def step():
        q = net(F.one_hot(s, 16).float())
        with torch.no_grad():
            target = q.clone()
            target[torch.arange(20), a] = r + 0.99 * net(F.one_hot(after, 16).float()).max(1).values
        optimizer.zero_grad()
        ((target - q) ** 2).sum().backward()
        optimizer.step()

    def loss(q, a):
        return F.mse_loss(q.gather(1, a[:, None]).squeeze(1), r[: len(a)])

    return {
        "model": net,
        "loss": loss,
        "batch": (F.one_hot(s, 16).float(), a),
        "optimizer": optimizer,
        "step": step,
    }


@member
def advantage_actor_critic_with_a_continuous_action():
    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.mu, self.value = (
                nn.Sequential(nn.Linear(3, 48), nn.Tanh()),
                nn.Linear(48, 1),
                nn.Linear(48, 1),
            )
            self.log_std = nn.Parameter(torch.full((1,), -0.5))

        def forward(self, s):
            h = self.body(s)
            return torch.tanh(self.mu(h)) * 2, self.log_std.exp().expand(len(s), 1), self.value(h)

    agent, s, g = Agent(), torch.randn(24, 3), torch.randn(24, 1)
    optimizer = torch.optim.RMSprop(agent.parameters(), lr=7e-4, eps=1e-5)
    act = torch.randn(24, 1)

    def loss(out, a):
        mu, std, v = out
        dist = torch.distributions.Normal(mu, std)
        adv = (g[: len(a)] - v).detach()
        return (
            -(dist.log_prob(a) * adv).mean() + 0.5 * (g[: len(a)] - v).pow(2).mean() - 0.01 * dist.entropy().mean()
        )

    return program(agent, loss, s, act, optimizer)


@member
def images_and_their_rotations():
    x = torch.rand(6, 3, 10, 10)
    turned, y = torch.cat([torch.rot90(x, k, (2, 3)) for k in range(4)]), torch.arange(4).repeat_interleave(6)
    net = nn.Sequential(
        nn.Conv2d(3, 12, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 4),
    )
    return program(net, F.cross_entropy, turned, y)


@member
def masked_patches_reconstructed():
    class MAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.place = nn.Linear(16, 24), nn.Parameter(torch.randn(1, 9, 24) * 0.02)
            layer = nn.TransformerEncoderLayer(24, 2, 48, 0.0, batch_first=True, norm_first=True)
            self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
            self.token, self.decoder, self.out = (
                nn.Parameter(torch.zeros(1, 1, 24)),
                nn.Linear(24, 24),
                nn.Linear(24, 16),
            )
            self.order = torch.randperm(9, generator=torch.Generator().manual_seed(1))

        def forward(self, patches):
            x = (self.embed(patches) + self.place)[:, self.order[:4]]
            x = self.encoder(x)
            full = torch.cat([x, self.token.expand(len(x), 5, -1)], 1)[:, self.order.argsort()]
            mixed = self.decoder(full + self.place)
            return self.out(F.gelu(mixed + mixed.mean(1, keepdim=True)))

    patches = torch.rand(12, 9, 16)
    return program(MAE(), F.mse_loss, patches, patches)


@member
def two_towers_for_search_with_negatives_in_the_batch():
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.d = nn.EmbeddingBag(40, 16), nn.EmbeddingBag(40, 16)

        def forward(self, query, document):
            return F.normalize(self.q(query), dim=1) @ F.normalize(self.d(document), dim=1).T / 0.1

    x = (torch.randint(0, 40, (14, 4)), torch.randint(0, 40, (14, 9)))
    net = Towers()
    optimizer = torch.optim.Adagrad(net.parameters(), 0.05)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(*x), torch.arange(14)).backward()
        optimizer.step()

    return {
        "model": net,
        "loss": F.cross_entropy,
        "batch": (x, torch.arange(14)),
        "optimizer": optimizer,
        "step": step,
    }


@member
def neighbours_averaged_by_a_dense_adjacency():
    a = (torch.rand(24, 24) < 0.2).float()
    a = ((a + a.T + torch.eye(24)) > 0).float()
    a = a / a.sum(1, keepdim=True)

    class Sage(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(14, 24), nn.Linear(48, 4)
            self.register_buffer("a", a)

        def forward(self, x):
            h = F.relu(self.one(torch.cat([x, self.a @ x], 1)))
            return self.two(torch.cat([h, self.a @ h], 1))

    return program(Sage(), F.cross_entropy, torch.randn(24, 7), torch.arange(24) % 4)


@member
def ode_of_a_pendulum_by_euler():
    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))

        def forward(self, s):
            path = [s]
            for _ in range(6):
                path.append(path[-1] + 0.1 * self.f(path[-1]))
            return torch.stack(path[1:], 1)

    s = torch.randn(20, 2)
    t = 0.1 * torch.arange(1, 7)
    y = torch.stack([s[:, :1] * t.cos() + s[:, 1:] * t.sin(), s[:, 1:] * t.cos() - s[:, :1] * t.sin()], -1)
    return program(Flow(), F.mse_loss, s, y)


@member
def operator_net_of_functions_and_places():
    class DeepONet(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 16))
            self.trunk, self.bias = (
                nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 16)),
                nn.Parameter(torch.zeros(1)),
            )

        def forward(self, u, y):
            return (self.branch(u) * self.trunk(y)).sum(1, keepdim=True) + self.bias

    u = torch.randn(40, 20).cumsum(1) / 4
    place = torch.rand(40, 1)
    target = u.gather(1, (place * 19.9).long())
    net = DeepONet()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        F.mse_loss(net(u, place), target).backward()
        optimizer.step()

    return {"model": net, "loss": F.mse_loss, "batch": ((u, place), target), "optimizer": optimizer, "step": step}


@member
def depth_by_a_scale_invariant_loss():
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(16, 1, 1),
        nn.Softplus(),
    )

    def loss(out, y):
        d = (out + 1e-6).log() - y.log()
        return (d**2).mean() - 0.5 * d.mean() ** 2

    return program(net, loss, torch.rand(4, 3, 10, 12), torch.rand(4, 1, 10, 12) + 0.5)


@member
def small_objects_by_focal_loss():
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 2, 3, padding=1))
    nn.init.constant_(net[2].bias, -math.log(99))

    def focal(logits, y):
        p = torch.sigmoid(logits)
        ce = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
        pt = p * y + (1 - p) * (1 - y)
        return ((0.25 * y + 0.75 * (1 - y)) * ce * (1 - pt) ** 2).sum() / y.sum().clamp(min=1)

    return program(net, focal, torch.rand(4, 3, 9, 9), (torch.rand(4, 2, 9, 9) < 0.03).float())


@member
def landmarks_with_a_wing_loss():
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)
    )
    net(torch.zeros(1, 1, 24, 24))

    def wing(out, y):
        e = (out - y).abs()
        return torch.where(e < 0.2, 0.2 * torch.log1p(e / 0.05), e - (0.2 - 0.2 * math.log(5))).mean()

    return program(net, wing, torch.rand(10, 1, 24, 24), torch.rand(10, 10))


@member
def curriculum_of_two_phases_in_one_step():
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 2))
    head, body = [*net[2].parameters()], [*net[0].parameters()]
    one, two = torch.optim.Adam(head, 1e-3), torch.optim.Adam(body, 1e-4)
    x, y = torch.randn(20, 6), torch.arange(20) % 2

    def step():
        for optimizer in (one, two):
            net.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": [one, two], "step": step}


@member
def plateau_schedule_and_early_stopping():
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)
    x = torch.randn(40, 8)
    y, best = x[:, :1] - x[:, 1:2], [math.inf, 0]

    def step():
        net.train()
        for a, b in zip(x[:32].split(16), y[:32].split(16), strict=True):
            optimizer.zero_grad()
            F.mse_loss(net(a), b).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            val = F.mse_loss(net(x[32:]), y[32:])
        schedule.step(val)
        best[1] = 0 if val < best[0] else best[1] + 1
        best[0] = min(best[0], float(val))

    return {"model": net, "loss": F.mse_loss, "batch": (x[:16], y[:16]), "optimizer": optimizer, "step": step}


@member
def weights_in_a_list_trained_by_hand_with_decay():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.ParameterList(
                [torch.randn(8, 24) * (2 / 8) ** 0.5, torch.randn(24, 3) * (1 / 24) ** 0.5]
            )
            self.biases = nn.ParameterList([torch.zeros(24), torch.zeros(3)])

        def forward(self, x):
            h = torch.relu(x @ self.weights[0] + self.biases[0])
            return h @ self.weights[1] + self.biases[1]

    net, x, y = Mine(), torch.randn(30, 8), torch.arange(30) % 3
    count = [0]

    def step():
        lr = 0.1 if count[0] < 100 else 0.01
        for p in net.parameters():
            p.grad = None
        F.cross_entropy(net(x), y).backward()
        for p in net.parameters():
            p.data += -lr * (p.grad + 1e-4 * p.data)
        count[0] += 1

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "step": step}
