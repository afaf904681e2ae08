"""Representations: contrastive, metric, self-distilled, word vectors, factorisations, hyperspheres."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from doctor.zoo import images, member, plain


def encoder(width=16):
    return nn.Sequential(nn.Conv2d(3, width, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@member
def simclr():
    class SimCLR(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.g = encoder(), nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 8))

        def forward(self, x):
            return self.g(self.f(x))

    def nt_xent(z, _):
        z = F.normalize(z, dim=1)
        sim = z @ z.T / 0.5
        sim = sim.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
        n = len(z) // 2
        return F.cross_entropy(sim, torch.cat([torch.arange(n) + n, torch.arange(n)]))

    x = images(8)[0]
    both = torch.cat([x + 0.1 * torch.randn_like(x), x.flip(-1)])
    return plain(SimCLR(), nt_xent, (both, torch.zeros(16)))


@member
def momentum_contrast():
    class MoCo(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder_q, self.encoder_k = encoder(), encoder()
            for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True):
                k.data.copy_(q.data)
                k.requires_grad = False
            self.register_buffer("queue", F.normalize(torch.randn(16, 32), dim=0))

        def forward(self, a, b):
            q = F.normalize(self.encoder_q(a), dim=1)
            with torch.no_grad():
                for p, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True):
                    k.data = k.data * 0.999 + p.data * 0.001
                k = F.normalize(self.encoder_k(b), dim=1)
            positive = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
            negative = torch.einsum("nc,ck->nk", q, self.queue.clone().detach())
            if self.training:
                self.queue = torch.cat([self.queue[:, len(k) :], k.T], 1)
            return torch.cat([positive, negative], 1) / 0.07

    x, _ = images(8)
    net = MoCo()
    optimizer = torch.optim.SGD(net.encoder_q.parameters(), 0.03, 0.9, weight_decay=1e-4)
    return plain(
        net, F.cross_entropy, ((x, x + 0.1 * torch.randn_like(x)), torch.zeros(8, dtype=torch.long)), optimizer
    )


@member
def bootstrap_your_own_latent():
    class BYOL(nn.Module):
        def __init__(self):
            super().__init__()
            self.online = nn.Sequential(
                encoder(), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8)
            )
            self.predictor = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
            self.target = copy.deepcopy(self.online)
            for p in self.target.parameters():
                p.requires_grad = False

        def forward(self, a, b):
            with torch.no_grad():
                ta, tb = self.target(a), self.target(b)
            return self.predictor(self.online(a)), self.predictor(self.online(b)), ta, tb

    def loss(out):
        pa, pb, ta, tb = out
        return (2 - F.cosine_similarity(pa, tb.detach()) - F.cosine_similarity(pb, ta.detach())).mean()

    net, x = BYOL(), images(12)[0]
    a, b = x + 0.1 * torch.randn_like(x), x.flip(-1)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=3e-4)

    def step():
        net.train()
        optimizer.zero_grad()
        loss(net(a, b)).backward()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(net.target.parameters(), net.online.parameters(), strict=True):
                p.data.mul_(0.99).add_(q.data, alpha=0.01)

    return {
        "model": net, "loss": lambda out, _: loss(out), "batch": ((a, b), torch.zeros(12)), "optimizer": optimizer,
        "step": step,
    }  # fmt: skip


@member
def barlow_twins():
    class Twins(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                encoder(), nn.Linear(16, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8)
            )
            self.bn = nn.BatchNorm1d(8, affine=False)

        def forward(self, a, b):
            return self.bn(self.net(a)).T @ self.bn(self.net(b)) / len(a)

    def loss(c, _):
        diagonal = torch.diagonal(c)
        return (diagonal - 1).pow(2).sum() + 0.005 * (c.pow(2).sum() - diagonal.pow(2).sum())

    x = images(16)[0]
    return plain(Twins(), loss, ((x, x.flip(-1)), torch.zeros(16)))


@member
def mean_teacher():
    student = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 3))
    teacher = copy.deepcopy(student)
    for p in teacher.parameters():
        p.detach_()
    optimizer = torch.optim.SGD(student.parameters(), 0.05, 0.9, nesterov=True)
    x, u, y = torch.randn(12, 10), torch.randn(36, 10), torch.arange(12) % 3
    count = [0]

    def step():
        student.train()
        teacher.train()
        with torch.no_grad():
            soft = teacher(u).softmax(1)
        consistency = F.mse_loss(student(u).softmax(1), soft)
        loss = F.cross_entropy(student(x), y) + consistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count[0] += 1
        alpha = min(1 - 1 / (count[0] + 1), 0.99)
        for ema, p in zip(teacher.parameters(), student.parameters(), strict=True):
            ema.data.mul_(alpha).add_(p.data, alpha=1 - alpha)

    return {**plain(student, F.cross_entropy, (x, y), optimizer), "step": step}


@member
def triplets():
    class Embed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(12, 24), nn.PReLU(), nn.Linear(24, 4))

        def forward(self, a, p, n):
            return self.net(a), self.net(p), self.net(n)

    a = torch.randn(16, 12)
    given = (a, a + 0.3 * torch.randn_like(a), torch.randn(16, 12))
    return plain(Embed(), lambda out, _: F.triplet_margin_loss(*out, margin=1.0), (given, torch.zeros(16)))


@member
def siamese_digits_with_one_score():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn, self.fc = (
                encoder(12),
                nn.Sequential(nn.Linear(24, 16), nn.ReLU(inplace=True), nn.Linear(16, 1)),
            )
            self.sigmoid = nn.Sigmoid()

        def forward(self, a, b):
            both = torch.cat([self.cnn(a).view(len(a), -1), self.cnn(b).view(len(b), -1)], 1)
            return self.sigmoid(self.fc(both)).squeeze()

    x, _ = images(16)
    same = (torch.arange(16) % 2).float()
    other = torch.where(same[:, None, None, None] > 0, x + 0.1 * torch.randn_like(x), torch.randn_like(x))
    net = Siamese()
    return plain(net, nn.BCELoss(), ((x, other), same), torch.optim.Adadelta(net.parameters(), lr=1.0))


@member
def angular_margin():
    class ArcFace(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.weight = (
                nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 8)),
                nn.Parameter(torch.randn(5, 8)),
            )

        def forward(self, x, y):
            cosine = F.linear(F.normalize(self.net(x)), F.normalize(self.weight)).clamp(-1 + 1e-7, 1 - 1e-7)
            with_margin = torch.cos(torch.acos(cosine) + 0.2)
            return 10 * torch.where(F.one_hot(y, 5).bool(), with_margin, cosine)

    x, y = torch.randn(20, 10), torch.arange(20) % 5
    return plain(ArcFace(), F.cross_entropy, ((x, y), y))


@member
def supervised_contrast():
    net = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 8))

    def loss(z, y):
        z = F.normalize(z, dim=1)
        logits = z @ z.T / 0.3
        own = torch.eye(len(z), dtype=torch.bool)
        logs = logits.masked_fill(own, float("-inf")).log_softmax(1)
        positive = (y[:, None] == y[None]) & ~own
        return -(logs.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)).mean()

    return plain(net, loss, (torch.randn(24, 10), torch.arange(24) % 4))


@member
def clip_with_two_towers():
    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.table, self.text = encoder(), nn.Embedding(30, 16), nn.GRU(16, 16, batch_first=True)
            self.a, self.b = nn.Linear(16, 8, bias=False), nn.Linear(16, 8, bias=False)
            self.logit_scale = nn.Parameter(torch.ones([]) * 2.6592)

        def forward(self, image, text):
            i = F.normalize(self.a(self.image(image)), dim=-1)
            t = F.normalize(self.b(self.text(self.table(text))[1][0]), dim=-1)
            logits = self.logit_scale.exp() * i @ t.t()
            return logits, logits.t()

    def loss(out, _):
        y = torch.arange(len(out[0]))
        return (F.cross_entropy(out[0], y) + F.cross_entropy(out[1], y)) / 2

    return plain(Clip(), loss, ((images(10)[0], torch.randint(0, 30, (10, 6))), torch.arange(10)))


@member
def words_by_skip_gram_with_negatives():
    class SkipGram(nn.Module):
        def __init__(self):
            super().__init__()
            self.centre, self.context = nn.Embedding(40, 12, sparse=True), nn.Embedding(40, 12, sparse=True)
            self.centre.weight.data.uniform_(-0.5 / 12, 0.5 / 12)
            self.context.weight.data.zero_()

        def forward(self, word, near, negative):
            v = self.centre(word)
            good = (v * self.context(near)).sum(1)
            bad = torch.bmm(self.context(negative), v.unsqueeze(2)).squeeze(2)
            return good, bad

    def loss(out, _):
        good, bad = out
        return -(F.logsigmoid(good) + F.logsigmoid(-bad).sum(1)).mean()

    given = (torch.randint(0, 40, (32,)), torch.randint(0, 40, (32,)), torch.randint(0, 40, (32, 5)))
    net = SkipGram()
    return plain(net, loss, (given, torch.zeros(32)), torch.optim.SparseAdam(list(net.parameters()), lr=0.01))


@member
def continuous_bag_of_words():
    class CBOW(nn.Module):
        def __init__(self):
            super().__init__()
            self.embeddings, self.linear1, self.linear2 = nn.Embedding(30, 10), nn.Linear(40, 32), nn.Linear(32, 30)

        def forward(self, inputs):
            embeds = self.embeddings(inputs).view(len(inputs), -1)
            return F.log_softmax(self.linear2(F.relu(self.linear1(embeds))), dim=1)

    net = CBOW()
    x = torch.randint(0, 30, (24, 4))
    return plain(net, nn.NLLLoss(), (x, (x[:, 0] + 1) % 30), torch.optim.SGD(net.parameters(), lr=0.001))


@member
def ratings_by_factors_and_biases():
    class Factors(nn.Module):
        def __init__(self):
            super().__init__()
            self.users, self.items = nn.Embedding(20, 6), nn.Embedding(30, 6)
            self.ub, self.ib, self.mean = nn.Embedding(20, 1), nn.Embedding(30, 1), nn.Parameter(torch.tensor(3.5))
            for table in (self.users, self.items, self.ub, self.ib):
                nn.init.normal_(table.weight, std=0.05)

        def forward(self, u, i):
            dot = (self.users(u) * self.items(i)).sum(1)
            return dot + self.ub(u).squeeze(1) + self.ib(i).squeeze(1) + self.mean

    given = torch.randint(0, 20, (64,)), torch.randint(0, 30, (64,))
    stars = ((given[0] * 3 + given[1]) % 5 + 1).float()
    net = Factors()
    return plain(net, F.mse_loss, (given, stars), torch.optim.SGD(net.parameters(), 0.05, weight_decay=1e-4))


@member
def neural_collaborative_filtering_with_a_ranking_loss():
    class Rank(nn.Module):
        def __init__(self):
            super().__init__()
            self.user, self.item = nn.Embedding(20, 8), nn.Embedding(30, 8)
            self.net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

        def score(self, u, i):
            return self.net(torch.cat([self.user(u), self.item(i)], -1)).squeeze(-1)

        def forward(self, u, good, bad):
            return self.score(u, good) - self.score(u, bad)

    given = torch.randint(0, 20, (40,)), torch.randint(0, 30, (40,)), torch.randint(0, 30, (40,))
    return plain(Rank(), lambda d, y: F.softplus(-d * y).mean(), (given, torch.ones(40)))


@member
def low_rank_adapters_on_a_frozen_net():
    class LoRA(nn.Module):
        def __init__(self, base, rank=4):
            super().__init__()
            self.base = base.requires_grad_(False)
            self.a = nn.Parameter(torch.randn(rank, base.in_features) * 0.02)
            self.b = nn.Parameter(torch.zeros(base.out_features, rank))

        def forward(self, x):
            return self.base(x) + 2.0 * (x @ self.a.T @ self.b.T)

    net = nn.Sequential(
        LoRA(nn.Linear(10, 32)), nn.ReLU(), LoRA(nn.Linear(32, 32)), nn.ReLU(), LoRA(nn.Linear(32, 3))
    )
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-4)
    return plain(net, F.cross_entropy, (torch.randn(16, 10), torch.arange(16) % 3), optimizer)


@member
def soft_prompts_before_frozen_words():
    class Prompted(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(20, 16).requires_grad_(False)
            self.body = nn.GRU(16, 16, batch_first=True).requires_grad_(False)
            self.prompt, self.head = nn.Parameter(0.1 * torch.randn(1, 3, 16)), nn.Linear(16, 2)

        def forward(self, x):
            words = torch.cat([self.prompt.expand(len(x), -1, -1), self.table(x)], 1)
            return self.head(self.body(words)[0][:, -1])

    net = Prompted()
    optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, net.parameters()), 3e-3)
    return plain(net, F.cross_entropy, (torch.randint(0, 20, (12, 6)), torch.arange(12) % 2), optimizer)


@member
def prototypes_of_few_shots():
    net = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 6))
    centres = torch.randn(4, 8) * 2
    support = centres.repeat_interleave(5, 0) + torch.randn(20, 8)
    query, y = centres.repeat_interleave(6, 0) + torch.randn(24, 8), torch.arange(24) // 6

    class Proto(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, q):
            prototype = self.net(support).view(4, 5, -1).mean(1)
            return -(torch.cdist(self.net(q), prototype) ** 2)

    return plain(Proto(), F.cross_entropy, (query, y))


@member
def clusters_learned_with_centres():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.centres = (
                nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)),
                nn.Parameter(torch.randn(4, 3)),
            )

        def forward(self, x):
            q = 1 / (1 + torch.cdist(self.enc(x), self.centres) ** 2)
            return q / q.sum(1, keepdim=True)

    def loss(q, _):
        with torch.no_grad():
            p = q**2 / q.sum(0)
            p = p / p.sum(1, keepdim=True)
        return F.kl_div(q.log(), p, reduction="batchmean")

    return plain(Deep(), loss, (torch.randn(40, 8), torch.zeros(40)))


@member
def variance_invariance_covariance():
    net = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
    x = torch.randn(20, 10)

    def loss(z, _):
        a, b = z.chunk(2)
        std = torch.sqrt(a.var(0) + 1e-4), torch.sqrt(b.var(0) + 1e-4)
        spread = F.relu(1 - std[0]).mean() + F.relu(1 - std[1]).mean()
        c = a - a.mean(0)
        cov = c.T @ c / (len(a) - 1)
        off = (cov.pow(2).sum() - cov.diagonal().pow(2).sum()) / 8
        return 25 * F.mse_loss(a, b) + 25 * spread + off

    return plain(net, loss, (torch.cat([x, x + 0.1 * torch.randn_like(x)]), torch.zeros(40)))
