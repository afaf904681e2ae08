"""Pairs about the size of the user's own updates: scales, schedules, signs, decay."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy


def numbers(samples=64):
    torch.manual_seed(1)
    x = torch.randn(samples, 6)
    return x, x @ torch.randn(6, 1)


def labels(samples=48, classes=3):
    torch.manual_seed(2)
    x = torch.randn(samples, 6)
    return x, (x @ torch.randn(6, classes)).argmax(1)


def regressor():
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))


def classifier(classes=3):
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, classes))


def steps_of(model, optimizer, loss_of, after=lambda: None):
    def step():
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()
        after()

    return {"model": model, "optimizer": optimizer, "step": step}


# 26: the loss of accumulated parts


@faulty("loss-divided-twice")
def the_helper_divides_and_the_loop_divides():
    (x, y), model = numbers(), regressor()
    optimizer, accumulate = torch.optim.Adam(model.parameters(), 1e-3), 4

    def loss_of(part):
        return F.mse_loss(model(x[part::4]), y[part::4]).div(accumulate)

    def step():
        for part in range(accumulate):
            loss = loss_of(part)
            loss = loss / accumulate
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("loss-divided-twice")
def squares_by_hand_times_a_share_twice():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)

    def step():
        model.zero_grad()
        share = len(x[:8]) / len(x)
        for xb, yb in zip(x.split(8), y.split(8), strict=True):
            ((model(xb) - yb).pow(2).mean() * share * share).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step, "batch": (x, y), "loss": F.mse_loss}


@healthy("loss-divided-twice")
def divided_once_by_the_parts():
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step():
        optimizer.zero_grad()
        for xb, yb in zip(x.chunk(6), y.chunk(6), strict=True):
            (nn.functional.cross_entropy(model(xb), yb) / 6).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("loss-divided-twice")
def sums_over_the_parts_divided_by_all():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)

    def step():
        optimizer.zero_grad()
        for xb, yb in zip(x.chunk(4), y.chunk(4), strict=True):
            loss = F.mse_loss(model(xb), yb, reduction="sum") / len(x)
            loss.backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


# 26: loss scales


@faulty("scaled-gradients-stepped")
def scaler_without_its_step():
    (x, y), model = labels(), classifier()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 1e-3), torch.amp.GradScaler("cpu", init_scale=256.0)

    def step():
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        optimizer.step()
        scaler.update()

    # update() raises where nothing was unscaled, so the loop leaves it out.
    def plain():
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": plain or step}


@faulty("scaled-gradients-stepped")
def scale_as_a_tensor_and_clipping():
    (x, y), model = numbers(), regressor()
    optimizer, scale = torch.optim.Adam(model.parameters(), 1e-3), torch.tensor(2.0**12)

    def loss_of():
        return scale * F.smooth_l1_loss(model(x), y)

    def step():
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for p in model.parameters():
            p.grad = None

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("scaled-gradients-stepped")
def scaler_as_it_should_be():
    (x, y), model = labels(), classifier()
    optimizer, scaler = torch.optim.AdamW(model.parameters(), 1e-3), torch.amp.GradScaler("cpu", init_scale=2.0**14)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("scaled-gradients-stepped")
def scaled_and_unscaled_by_hand():
    (x, y), model = numbers(), regressor()
    optimizer, scale = torch.optim.SGD(model.parameters(), 0.02), torch.tensor(512.0)

    def step():
        optimizer.zero_grad()
        (F.mse_loss(model(x), y) * scale).backward()
        with torch.no_grad():
            for p in model.parameters():
                p.grad.div_(scale)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("clip-before-unscale")
def clipped_while_scaled():
    (x, y), model = labels(), classifier()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step():
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("clip-before-unscale")
def values_clipped_and_then_unscaled():
    (x, y), model = numbers(), regressor()
    optimizer, scaler = (
        torch.optim.RMSprop(model.parameters(), 1e-3),
        torch.amp.GradScaler("cpu", init_scale=4096.0),
    )

    class Trainer:
        def training_step(self):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = model(x)
            return F.mse_loss(out.float(), y)

        def __call__(self):
            loss = scaler.scale(self.training_step())
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.5)
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()

    return {"model": model, "optimizer": optimizer, "step": Trainer()}


@faulty("gradient-scaled-down")
def unscaled_a_second_time_by_hand():
    (x, y), model = numbers(), regressor()
    optimizer, scale = torch.optim.SGD(model.parameters(), 0.05), 128.0

    def step():
        optimizer.zero_grad()
        (F.mse_loss(model(x), y) * scale).backward()
        for _ in range(2):
            for p in model.parameters():
                p.grad /= scale
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("gradient-scaled-down")
def the_mean_divided_by_the_number_of_all():
    (x, y), model = labels(480), classifier()
    return steps_of(
        model, torch.optim.SGD(model.parameters(), 0.5), lambda: nn.CrossEntropyLoss()(model(x), y) / len(x)
    )


@healthy("gradient-scaled-down")
def a_small_penalty_beside_the_loss():
    (x, y), model = numbers(), regressor()
    penalty = lambda: sum(p.pow(2).sum() for p in model.parameters())  # noqa: E731
    return steps_of(
        model,
        torch.optim.SGD(model.parameters(), 0.05),
        lambda: F.mse_loss(model(x), y) + 1e-4 * penalty(),
    )


@healthy("gradient-scaled-down")
def clipped_hard_and_often():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        (100 * F.mse_loss(model(x), 3 * y, reduction="sum")).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


# 26: the direction


@faulty("loss-is-maximised")
def minus_before_cross_entropy():
    (x, y), model = labels(), classifier()
    return steps_of(model, torch.optim.Adam(model.parameters(), 1e-3), lambda: -F.cross_entropy(model(x), y))


@faulty("loss-is-maximised")
def maximize_left_on():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, maximize=True)
    case = steps_of(model, optimizer, lambda: ((y - model(x)) ** 2).mean())
    return {**case, "batch": (x, y), "loss": nn.MSELoss()}


@healthy("loss-is-maximised")
def log_likelihood_with_maximize():
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, maximize=True)
    return steps_of(model, optimizer, lambda: -F.nll_loss(F.log_softmax(model(x), -1), y))


@healthy("loss-is-maximised")
def an_adversary_against_frozen_weights():
    (x, y), inner = labels(), classifier().requires_grad_(False)

    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift, self.inner = nn.Parameter(torch.full((6,), 0.1)), inner

        def forward(self, x):
            return self.inner(x + self.shift)

    model = Shifted()
    return steps_of(model, torch.optim.SGD([model.shift], 1e-2), lambda: -F.cross_entropy(model(x), y))


@healthy("loss-is-maximised")
def policy_gradient_with_a_baseline():
    (x, y), model = labels(), classifier()

    def loss_of():
        chances = torch.distributions.Categorical(logits=model(x))
        action = chances.sample()
        reward = (action == y).float()
        return -(chances.log_prob(action) * (reward - reward.mean())).mean() - 0.01 * chances.entropy().mean()

    return steps_of(model, torch.optim.Adam(model.parameters(), 1e-2), loss_of)


# 26: the schedule


def mini_batches(x, y, size=8):
    while True:
        for rows in torch.randperm(len(x)).split(size):
            yield x[rows], y[rows]


def scheduled(optimizer_of, scheduler_of, every=1):
    (x, y), model = labels(), classifier()
    optimizer = optimizer_of(model.parameters())
    scheduler, batches, count = scheduler_of(optimizer), mini_batches(x, y), [0]

    def step():
        xb, yb = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(model(xb), yb).backward()
        optimizer.step()
        count[0] += 1
        if count[0] % every == 0:
            scheduler.step()

    return {"model": model, "optimizer": optimizer, "step": lambda: [step() for _ in range(6)]}


@faulty("learning-rate-dies")
def step_lr_by_the_batch():
    return scheduled(
        lambda p: torch.optim.SGD(p, 0.1), lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=5, gamma=0.1)
    )


@faulty("learning-rate-dies")
def milestones_by_the_batch():
    return scheduled(
        lambda p: torch.optim.SGD(p, 0.1),
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [10, 20, 30], gamma=0.1),
    )


@faulty("learning-rate-dies")
def exponential_by_the_batch():
    return scheduled(
        lambda p: torch.optim.AdamW(p, 1e-3), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.9)
    )


@healthy("learning-rate-dies")
def exponential_by_the_epoch():
    return scheduled(
        lambda p: torch.optim.AdamW(p, 1e-3),
        lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.9),
        every=12,
    )


@healthy("learning-rate-dies")
def one_cycle_of_sixty_batches():
    return scheduled(
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=60),
    )


@healthy("learning-rate-dies")
def a_line_that_ends_with_the_training():
    return scheduled(
        lambda p: torch.optim.Adam(p, 1e-3),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: max(0.0, 1 - s / 60)),
    )


# 26: nothing moves, or hardly


@faulty("update-is-zero")
def warm_up_of_whole_numbers():
    return scheduled(
        lambda p: torch.optim.Adam(p, 1e-3),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: float(min(1, s // 500))),
    )


@faulty("update-is-zero")
def the_rate_set_to_zero_by_hand():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step(count=[0]):  # noqa: B006
        count[0] += 1
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (count[0] // 1000)
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("update-is-zero")
def warm_up_from_zero_by_the_step():
    return scheduled(
        lambda p: torch.optim.Adam(p, 1e-3),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: min(1.0, s / 500)),
    )


@healthy("update-is-zero")
def a_part_that_rests_beside_one_that_learns():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}], 0.1
    )
    return steps_of(model, optimizer, lambda: F.mse_loss(model(x), y))


@faulty("update-too-small")
def clipped_to_a_millionth():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("update-too-small")
def a_schedule_that_gives_rates_instead_of_factors():
    return scheduled(
        lambda p: torch.optim.SGD(p, 1e-3),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: 1e-3 if s < 100 else 1e-4),
    )


@healthy("update-too-small")
def fine_tuning_with_a_small_rate():
    (x, y), model = labels(), classifier()
    return steps_of(model, torch.optim.AdamW(model.parameters(), 2e-5), lambda: F.cross_entropy(model(x), y))


@healthy("update-too-small")
def a_long_warm_up_from_a_millionth():
    return scheduled(
        lambda p: torch.optim.SGD(p, 0.1),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=1e-6, total_iters=400),
    )


# 26: too far


@faulty("update-too-large")
def a_sum_with_the_rate_of_a_mean():
    (x, y), model = numbers(256), regressor()
    return steps_of(
        model, torch.optim.SGD(model.parameters(), 0.1), lambda: nn.MSELoss(reduction="sum")(model(x), y)
    )


@faulty("update-too-large")
def adam_at_ten_with_clipping():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=10.0)

    def step():
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("update-too-large")
def a_sum_with_a_rate_of_its_own():
    (x, y), model = numbers(256), regressor()
    return steps_of(
        model,
        torch.optim.SGD(model.parameters(), 1e-4),
        lambda: F.mse_loss(model(x), y, reduction="sum"),
    )


@healthy("update-too-large")
def zero_weights_that_leave_zero_at_once():
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    y, model = x @ torch.ones(6, 1), nn.Linear(6, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return steps_of(model, torch.optim.SGD(model.parameters(), 0.3), lambda: F.mse_loss(model(x), y))


@healthy("update-too-large")
def a_large_rate_that_clipping_tames():
    (x, y), model = numbers(), regressor()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)

    def step():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step, "batch": (x, y), "loss": F.mse_loss}


# 26: decay


@faulty("weight-decay-dominates")
def decay_of_five_in_sgd():
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=5.0)
    return steps_of(model, optimizer, lambda: F.cross_entropy(model(x), y))


@faulty("weight-decay-dominates")
def decay_that_was_meant_for_adamw():
    (x, y), model = numbers(), regressor()
    groups = [{"params": model[0].parameters(), "weight_decay": 3.0}, {"params": model[2].parameters()}]
    optimizer = torch.optim.Adam(groups, lr=1e-3, weight_decay=2.0)
    return steps_of(model, optimizer, lambda: F.mse_loss(model(x), 0.3 * y))


@faulty("weight-decay-dominates")
def a_penalty_in_the_loss():
    (x, y), model = numbers(), regressor()
    penalty = lambda: sum((p**2).sum() for p in model.parameters())  # noqa: E731
    return steps_of(
        model, torch.optim.SGD(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), 0.1 * y) + 10 * penalty()
    )


@healthy("weight-decay-dominates")
def adamw_with_a_tenth():
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    return steps_of(model, optimizer, lambda: F.cross_entropy(model(x), y))


@healthy("weight-decay-dominates")
def sgd_with_the_usual_decay():
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    return steps_of(model, optimizer, lambda: F.cross_entropy(model(x), y))


# 26: the limit of clipping


def clipped(limit, scale=1.0, by_value=False):
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step():
        optimizer.zero_grad()
        (scale * F.cross_entropy(model(x), y)).backward()
        clip = nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_
        clip(model.parameters(), limit)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("clip-limit-too-low")
def a_norm_of_a_ten_thousandth():
    return clipped(1e-4)


@faulty("clip-limit-too-low")
def values_of_a_hundred_thousandth():
    return clipped(1e-5, by_value=True)


@healthy("clip-limit-too-low")
def a_large_loss_and_a_limit_of_a_tenth():
    return clipped(0.1, 100.0)


@healthy("clip-limit-too-low")
def a_low_limit_that_the_gradient_keeps():
    return clipped(1e-3, 1e-3)
