"""Loops: the same small nets stepped in the ways of frameworks, papers and people who write everything by hand."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from doctor.zoo import images, member, plain


def blobs(samples=32, width=8, classes=3):
    y = torch.arange(samples) % classes
    return torch.randn(samples, width) + 2 * torch.randn(classes, width)[y], y


def small(width=8, classes=3):
    return nn.Sequential(nn.Linear(width, 24), nn.ReLU(), nn.Linear(24, classes))


@member
def lightning_like_module():
    class Lit(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch):
            x, y = batch
            return F.cross_entropy(self(x), y)

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)]

    lit, batch = Lit(), blobs()
    (optimizer,), (schedule,) = lit.configure_optimizers()

    def step():
        def closure():
            loss = lit.training_step(batch)
            optimizer.zero_grad()
            loss.backward()
            return loss

        lit.train()
        optimizer.step(closure)
        schedule.step()

    return {"model": lit, "loss": F.cross_entropy, "batch": batch, "optimizer": optimizer, "step": step}


@member
def gradient_descent_by_hand_with_momentum():
    net, (x, y) = small(), blobs()
    velocity = [torch.zeros_like(p) for p in net.parameters()]

    def step():
        loss = F.cross_entropy(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p, v in zip(net.parameters(), velocity, strict=True):
                v.mul_(0.9).add_(p.grad)
                p -= 0.05 * v

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "step": step}


@member
def functional_gradients():
    net, (x, y) = small(), blobs()

    def step():
        loss = F.cross_entropy(net(x), y)
        grads = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, g in zip(net.parameters(), grads, strict=True):
                p.sub_(0.1 * g)

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "step": step}


@member
def sharpness_aware_with_a_class_of_its_own():
    class SAM(torch.optim.Optimizer):
        def __init__(self, params, base, rho=0.05, **kwargs):
            super().__init__(params, {"rho": rho, **kwargs})
            self.base = base(self.param_groups, **kwargs)
            self.param_groups = self.base.param_groups

        @torch.no_grad()
        def first_step(self):
            norm = torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"]]).norm()
            for group in self.param_groups:
                for p in group["params"]:
                    e = p.grad * group["rho"] / (norm + 1e-12)
                    p.add_(e)
                    self.state[p]["e"] = e
            self.zero_grad()

        @torch.no_grad()
        def second_step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(self.state[p]["e"])
            self.base.step()
            self.zero_grad()

        def step(self, closure=None):
            self.first_step()
            with torch.enable_grad():
                closure()
            self.second_step()

    net, (x, y) = small(), blobs()
    optimizer = SAM(net.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9)

    def step():
        F.cross_entropy(net(x), y).backward()
        optimizer.first_step()
        F.cross_entropy(net(x), y).backward()
        optimizer.second_step()

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@member
def warm_up_from_a_tiny_rate():
    net, (x, y) = small(), blobs()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1, (n + 1) / 500))
    case = plain(net, F.cross_entropy, (x, y), optimizer)
    inner = case["step"]

    def step():
        inner()
        schedule.step()

    return {**case, "step": step}


@member
def rate_set_by_hand_in_every_step():
    net, (x, y) = small(), blobs()
    optimizer = torch.optim.Adam(net.parameters(), lr=0)
    count = [0]

    def step():
        count[0] += 1
        for group in optimizer.param_groups:
            group["lr"] = 16**-0.5 * min(count[0] ** -0.5, count[0] * 40**-1.5)
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@member
def swa_average():
    net, (x, y) = small(), blobs()
    mean = torch.optim.swa_utils.AveragedModel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    swa = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.05)
    case = plain(net, F.cross_entropy, (x, y), optimizer)
    inner = case["step"]

    def step():
        inner()
        mean.update_parameters(net)
        swa.step()

    return {**case, "step": step}


@member
def accumulation_over_an_epoch_with_a_scaler():
    net = nn.Sequential(nn.Linear(8, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3))
    loader = DataLoader(TensorDataset(*blobs(48)), batch_size=8, shuffle=True)
    optimizer, scaler = torch.optim.Adam(net.parameters(), 1e-3), torch.amp.GradScaler("cpu", enabled=False)

    def step():
        net.train()
        optimizer.zero_grad()
        for i, (x, y) in enumerate(loader):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
                loss = F.cross_entropy(net(x), y) / 2
            scaler.scale(loss).backward()
            if (i + 1) % 2 == 0:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()

    return {"model": net, "loss": F.cross_entropy, "batch": loader, "optimizer": optimizer, "step": step}


@member
def model_agnostic_meta_learning():
    net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    names = [name for name, _ in net.named_parameters()]

    def step():
        total = 0.0
        for _ in range(3):
            phase, x = torch.rand(1) * 3, torch.rand(16, 1) * 6 - 3
            y = (x + phase).sin()
            weights = dict(net.named_parameters())
            loss = F.mse_loss(torch.func.functional_call(net, weights, x[:8]), y[:8])
            grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            fast = {n: weights[n] - 0.01 * g for n, g in zip(names, grads, strict=True)}
            total = total + F.mse_loss(torch.func.functional_call(net, fast, x[8:]), y[8:])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    x = torch.rand(24, 1) * 6 - 3
    return {"model": net, "loss": F.mse_loss, "batch": (x, x.sin()), "optimizer": optimizer, "step": step}


@member
def adversarial_training():
    net, (x, y) = small(), blobs()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, 0.9)

    def step():
        delta = torch.zeros_like(x, requires_grad=True)
        (grad,) = torch.autograd.grad(F.cross_entropy(net(x + delta), y), delta)
        attacked = (x + 0.1 * grad.sign()).detach()
        optimizer.zero_grad()
        F.cross_entropy(net(attacked), y).backward()
        optimizer.step()

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@member
def domain_adversary_with_reversed_gradients():
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.weight = weight
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return -ctx.weight * grad, None

    class DANN(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.label, self.domain = (
                nn.Sequential(nn.Linear(8, 24), nn.ReLU()),
                nn.Linear(24, 3),
                nn.Linear(24, 2),
            )

        def forward(self, x):
            h = self.features(x)
            return self.label(h), self.domain(Reverse.apply(h, 0.1))

    def loss(out, y):
        return F.cross_entropy(out[0], y[0]) + F.cross_entropy(out[1], y[1])

    x, y = blobs()
    return plain(DANN(), loss, (x, (y, torch.arange(32) % 2)))


@member
def straight_through_binary_weights():
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            ctx.save_for_backward(w)
            return w.sign()

        @staticmethod
        def backward(ctx, grad):
            (w,) = ctx.saved_tensors
            return grad * (w.abs() <= 1)

    class Binary(nn.Linear):
        def forward(self, x):
            return F.linear(x, Sign.apply(self.weight) * self.weight.abs().mean(), self.bias)

    net = nn.Sequential(Binary(8, 32), nn.BatchNorm1d(32), nn.Hardtanh(), Binary(32, 3))
    x, y = blobs()
    return plain(net, F.cross_entropy, (x, y), torch.optim.Adam(net.parameters(), 1e-3))


@member
def quantised_aware_by_detach():
    class Fake(nn.Linear):
        def forward(self, x):
            scale = self.weight.detach().abs().max() / 127
            rounded = (self.weight / scale).round() * scale
            return F.linear(x, self.weight + (rounded - self.weight).detach(), self.bias)

    net = nn.Sequential(Fake(8, 24), nn.ReLU(), Fake(24, 3))
    return plain(net, F.cross_entropy, blobs())


@member
def pruned_with_a_mask():
    net = small()
    prune.l1_unstructured(net[0], "weight", amount=0.4)
    return plain(net, F.cross_entropy, blobs())


@member
def several_optimizers_for_matrices_and_the_rest():
    class Orthogonal(torch.optim.Optimizer):
        def __init__(self, params, lr=0.02):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        u, _, v = torch.linalg.svd(p.grad, full_matrices=False)
                        p.add_(u @ v, alpha=-group["lr"])

    net, (x, y) = small(), blobs()
    two = [p for p in net.parameters() if p.ndim == 2]
    one = [p for p in net.parameters() if p.ndim < 2]
    optimizers = [Orthogonal(two), torch.optim.AdamW(one, 1e-3)]

    def step():
        F.cross_entropy(net(x), y).backward()
        for optimizer in optimizers:
            optimizer.step()
        for optimizer in optimizers:
            optimizer.zero_grad()

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizers, "step": step}


@member
def lookahead_weights():
    net, (x, y) = small(), blobs()
    slow = [p.detach().clone() for p in net.parameters()]
    optimizer, count = torch.optim.Adam(net.parameters(), 1e-3), [0]

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        count[0] += 1
        if count[0] % 5 == 0:
            with torch.no_grad():
                for s, p in zip(slow, net.parameters(), strict=True):
                    s.lerp_(p, 0.5)
                    p.copy_(s)

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@member
def hooks_that_log_and_scale_gradients():
    net, (x, y) = small(), blobs()
    seen = []
    net[0].weight.register_hook(lambda grad: grad * 0.5)
    net[1].register_forward_hook(lambda module, args, out: seen.append(out.detach().mean().item()))
    return plain(net, F.cross_entropy, (x, y))


@member
def penalties_on_weights_and_activations():
    class Penal(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 24), nn.Linear(24, 3)

        def forward(self, x):
            h = torch.relu(self.a(x))
            self.penalty = h.abs().mean()
            return self.b(h)

    net, (x, y) = Penal(), blobs()

    def loss(out, y):
        l1 = sum(p.abs().sum() for p in net.parameters())
        return F.cross_entropy(out, y) + 1e-3 * net.penalty + 1e-5 * l1

    return plain(net, loss, (x, y))


@member
def noisy_labels_by_two_nets_teaching_each_other():
    one, two = small(), small()
    oa, ob = (torch.optim.Adam(n.parameters(), 1e-3) for n in (one, two))
    x, y = blobs()

    def step():
        a, b = one(x), two(x)
        la, lb = F.cross_entropy(a, y, reduction="none"), F.cross_entropy(b, y, reduction="none")
        ka, kb = la.detach().argsort()[:24], lb.detach().argsort()[:24]
        oa.zero_grad()
        la[kb].mean().backward()
        oa.step()
        ob.zero_grad()
        lb[ka].mean().backward()
        ob.step()

    return {"model": one, "loss": F.cross_entropy, "batch": (x, y), "optimizer": [oa, ob], "step": step}


@member
def progressive_unfreezing():
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    for p in net[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.Adam(
        [{"params": net[2].parameters(), "lr": 1e-4}, {"params": net[4].parameters()}], 1e-3
    )
    return plain(net, F.cross_entropy, blobs(), optimizer)


@member
def training_batchnorm_frozen_by_eval_in_train():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            self.head = nn.Linear(8, 4)

        def train(self, mode=True):
            super().train(mode)
            for module in self.body.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            return self

        def forward(self, x):
            return self.head(self.body(x).mean((2, 3)))

    net = Frozen()
    net.train()
    return plain(net, F.cross_entropy, images())


@member
def evolved_without_gradients_for_comparison():
    net, (x, y) = small(), blobs()
    best = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            now = F.cross_entropy(net(x), y)
        if now < loss:
            best.update(copy.deepcopy(net.state_dict()))

    return {"model": net, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@member
def truncated_backpropagation_through_chunks():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.RNN(4, 16, batch_first=True), nn.Linear(16, 2)

        def forward(self, x, h=None):
            y, h = self.rnn(x, h)
            return self.out(y), h

    net = Model()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x = torch.randn(6, 20, 4)
    y = (x[..., 0].cumsum(1) > 0).long()

    def step():
        h = None
        for a, b in zip(x.split(5, 1), y.split(5, 1), strict=True):
            out, h = net(a, h)
            h = h.detach()
            loss = F.cross_entropy(out.reshape(-1, 2), b.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    return {
        "model": net, "loss": lambda out, b: F.cross_entropy(out[0].reshape(-1, 2), b.reshape(-1)),
        "batch": (x[:, :5], y[:, :5]), "optimizer": optimizer, "step": step,
    }  # fmt: skip
