"""Pairs about the step: modes, stale gradients, order, parameters in optimizers."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=12, width=10, count=3):
    torch.manual_seed(0)
    return torch.randn(samples, width), torch.arange(samples) % count


class Dropped(nn.Module):
    def __init__(self, rate=0.3):
        super().__init__()
        self.first, self.last, self.rate = nn.Linear(10, 16), nn.Linear(16, 3), rate

    def forward(self, x):
        return self.last(F.dropout(F.relu(self.first(x)), self.rate, self.training))


def normed():
    return nn.Sequential(nn.Linear(10, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


# 2: training in eval mode


@faulty("training-in-eval-mode")
def evaluation_leaves_eval_on():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def evaluate():
        model.eval()
        with torch.no_grad():
            return (model(x).argmax(1) == y).float().mean().item()

    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (x, y),
        "optimizer": optimizer,
        "step": step,
        "evaluate": evaluate,
    }


@faulty("training-in-eval-mode")
def handed_over_in_eval_mode():
    (x, y), model = classes(), Dropped().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        for _ in range(2):
            optimizer.zero_grad(set_to_none=True)
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            optimizer.step()

    return {"model": model, "loss": nn.CrossEntropyLoss(), "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("training-in-eval-mode")
def eval_mode_without_anything_that_minds():
    x, y = classes()
    model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3)).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("training-in-eval-mode")
def frozen_backbone_in_eval_mode():
    x, y = classes()
    backbone = nn.Sequential(nn.Linear(10, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU()).requires_grad_(False)
    model = nn.Sequential(backbone, nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-2)

    def step():
        model.train()
        backbone.eval()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


# 3: evaluating in train mode


@faulty("evaluating-in-train-mode")
def forgot_eval():
    case = trained(Dropped(), F.cross_entropy, classes(), None)
    model, (x, y) = case["model"], case["batch"]
    optimizer = case["optimizer"] = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    @torch.no_grad()
    def evaluate():
        return F.cross_entropy(model(x), y).item()

    return {**case, "step": step, "evaluate": evaluate}


@faulty("evaluating-in-train-mode")
def eval_too_late():
    (x, y), model = classes(), normed()
    case = trained(model, nn.CrossEntropyLoss(), (x, y), torch.optim.SGD(model.parameters(), lr=0.05))

    def evaluate():
        with torch.inference_mode():
            hits = (model(x).argmax(-1) == y).sum()
        model.eval()
        return int(hits)

    return {**case, "evaluate": evaluate}


@faulty("no-grad-forward-in-train-mode")
def accuracy_inside_the_step():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step():
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            (model(x + 1).argmax(1) == y).float().mean()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("evaluating-in-train-mode")
def evaluation_restores_the_mode():
    (x, y), model = classes(), Dropped()
    case = trained(model, F.cross_entropy, (x, y), torch.optim.Adam(model.parameters(), lr=1e-2))

    def evaluate():
        was = model.training
        try:
            model.train(False)
            return F.cross_entropy(model(x), y).item()
        finally:
            model.train(was)

    return {**case, "evaluate": evaluate}


@healthy("no-grad-forward-in-train-mode")
def accuracy_measured_in_eval_mode():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step():
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            (model(x + 1).argmax(1) == y).float().mean()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


# 4: random in eval mode


class AlwaysDrops(Dropped):
    def forward(self, x):
        return self.last(F.dropout(F.relu(self.first(x)), self.rate))


class AlwaysNoisy(Dropped):
    def forward(self, x):
        x = x + 0.1 * torch.randn_like(x)
        return self.last(torch.relu(self.first(x)))


class NoisyInTraining(Dropped):
    def forward(self, x):
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.last(torch.relu(self.first(x)))


class Sampled(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.spread, self.last = nn.Linear(10, 4), nn.Linear(10, 4), nn.Linear(4, 3)

    def forward(self, x):
        scale = (0.5 * self.spread(x)).exp()
        return self.last(self.mean(x) + torch.randn_like(scale) * scale)


def _plain(model, rate=1e-2):
    return trained(model, F.cross_entropy, classes(), torch.optim.Adam(model.parameters(), lr=rate))


@faulty("random-in-eval-mode")
def functional_dropout_without_training():
    return _plain(AlwaysDrops())


@faulty("random-in-eval-mode")
def noise_added_always():
    return _plain(AlwaysNoisy())


@healthy("random-in-eval-mode")
def noise_added_in_training():
    return _plain(NoisyInTraining())


@healthy("random-in-eval-mode")
def noise_with_a_learned_scale():
    return _plain(Sampled())


# 5: stale gradients


@faulty("stale-gradients")
def no_zero_grad():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        model.train()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("stale-gradients")
def zero_grad_once_before_the_loop():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        model.train()
        optimizer.zero_grad()
        for _ in range(4):
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("stale-gradients")
def only_half_of_the_parameters_zeroed():
    (x, y), model = classes(), Dropped(0.0)
    first = torch.optim.SGD(model.first.parameters(), lr=0.01)
    last = torch.optim.SGD(model.last.parameters(), lr=0.01)

    def step():
        first.zero_grad()
        F.cross_entropy(model(x), y).backward()
        first.step()
        last.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": [first, last], "step": step}


@faulty("stale-gradients")
def by_hand_without_none():
    (x, y), model = classes(), Dropped(0.0)

    def step():
        F.cross_entropy(model(x), y).backward()
        for p in model.parameters():
            p.data += -0.05 * p.grad

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "step": step}


@healthy("stale-gradients")
def by_hand_as_in_the_lecture():
    (x, y), model = classes(), Dropped(0.0)

    def step():
        loss = F.cross_entropy(model(x), y)
        for p in model.parameters():
            p.grad = None
        loss.backward()
        for p in model.parameters():
            p.data += -0.05 * p.grad

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "step": step}


@healthy("stale-gradients")
def accumulation_over_four():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    count = 0

    def step():
        nonlocal count
        (F.cross_entropy(model(x), y) / 4).backward()
        count += 1
        if count % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("stale-gradients")
def lbfgs_closure():
    (x, y), model = classes(), Dropped(0.0)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

    def step():
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("stale-gradients")
def lbfgs_closure_without_zero():
    (x, y), model = classes(), Dropped(0.0)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)

    def closure():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return {
        "model": model,
        "loss": F.cross_entropy,
        "batch": (x, y),
        "optimizer": optimizer,
        "step": lambda: optimizer.step(closure),
    }


@faulty("step-without-backward")
def stepped_twice():
    (x, y), model = classes(), Dropped(0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


# 6: order


@faulty("zeroed-before-step")
def zero_after_backward():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("zeroed-before-step")
def zero_by_the_model():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step():
        nn.CrossEntropyLoss()(model(x), y).backward()
        model.zero_grad(set_to_none=False)
        optimizer.step()

    return {"model": model, "loss": nn.CrossEntropyLoss(), "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("optimizer-never-steps")
def forgot_step():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("optimizer-never-steps")
def step_without_calling_it():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def step():
        model.train()
        loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        optimizer.step  # noqa: B018

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("clip-after-step")
def clipped_after():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("clip-after-step")
def clipped_before_backward():
    from torch.nn.utils import clip_grad_norm_

    (x, y), model = classes(), normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        clip_grad_norm_(model.parameters(), 0.5)
        loss.backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("clip-after-step")
def clipped_between():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("clip-after-step")
def measured_after():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), float("inf"))

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("scheduler-before-optimizer")
def scheduler_first():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)

    def step():
        optimizer.zero_grad()
        scheduler.step()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@faulty("scheduler-before-optimizer")
def one_cycle_first():
    (x, y), model = classes(), normed()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=100)

    def step():
        F.cross_entropy(model(x), y).backward()
        schedule.step()
        optimizer.step()
        optimizer.zero_grad()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("scheduler-before-optimizer")
def scheduler_last():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        scheduler.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}


@healthy("scheduler-before-optimizer")
def rate_set_by_hand_first():
    (x, y), model = classes(), Dropped()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * 0.99
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "loss": F.cross_entropy, "batch": (x, y), "optimizer": optimizer, "step": step}
