"""Pairs about what should come to the same: states, parts, processes, precision."""

import copy
import io

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy


def labels(samples=48, classes=3):
    torch.manual_seed(2)
    x = torch.randn(samples, 6)
    return x, (x @ torch.randn(6, classes)).argmax(1)


def classifier(classes=3):
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, classes))


def looped(model, optimizer, x, y, before=lambda: None, after=lambda: None):
    """A case whose step is an ordinary one, with something around it."""

    def step():
        before()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        after()

    return {"model": model, "optimizer": optimizer, "step": step, "loss": F.cross_entropy, "batch": (x, y)}


# 31: states that are kept


class Keeper:
    """Keeps the best of a training."""

    def __init__(self, copying):
        self.copying, self.best, self.history, self.least = copying, None, [], float("inf")

    def look(self, model, loss):
        if loss < self.least:
            self.least = loss
            self.best = copy.deepcopy(model.state_dict()) if self.copying else model.state_dict()


def kept_by_an_object(copying):
    (x, y), model = labels(), classifier()
    optimizer, keeper = torch.optim.Adam(model.parameters(), 1e-2), Keeper(copying)

    def after():
        if keeper.best is None:
            keeper.look(model, float(F.cross_entropy(model(x), y).detach()))

    return looped(model, optimizer, x, y, after=after)


@faulty("state-kept-by-reference")
def the_best_state_is_the_living_one():
    return kept_by_an_object(copying=False)


@healthy("state-kept-by-reference")
def the_best_state_is_a_copy():
    return kept_by_an_object(copying=True)


@faulty("state-kept-by-reference")
def rolled_back_to_a_shallow_copy():
    (x, y), model = labels(), classifier()
    optimizer, held = torch.optim.SGD(model.parameters(), 0.1), {}

    def before():
        if held:
            model.load_state_dict(held["state"])
        held["state"] = dict(model.state_dict())

    return looped(model, optimizer, x, y, before=before)


@healthy("state-kept-by-reference")
def an_average_reads_the_living_state_and_a_file_gets_it():
    (x, y), model = labels(), classifier()
    optimizer, average, held = torch.optim.SGD(model.parameters(), 0.1), copy.deepcopy(model), {}

    def after():
        held["now"] = model.state_dict()
        for name, mean in average.state_dict().items():
            mean.mul_(0.9).add_(held["now"][name], alpha=0.1)
        held["saved"] = model.state_dict()
        torch.save({"net": held["saved"]}, io.BytesIO())

    return looped(model, optimizer, x, y, after=after)


# 31: checkpoints that do not fit, or lack a part


@faulty("checkpoint-does-not-fit")
def a_prefix_and_not_strict():
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    teacher = {f"module.{name}": one.clone() for name, one in classifier().state_dict().items()}
    return looped(model, optimizer, x, y, before=lambda: model.load_state_dict(teacher, strict=False))


@faulty("checkpoint-does-not-fit")
def a_filter_that_lets_nothing_through():
    (x, y), model = labels(), classifier()
    optimizer, file, begun = torch.optim.SGD(model.parameters(), 0.1), io.BytesIO(), []
    torch.save({f"net.{name}": one for name, one in classifier().state_dict().items()}, file)

    def before():
        if not begun:
            file.seek(0)
            given, own = torch.load(file, weights_only=True), model.state_dict()
            own.update({name: one for name, one in given.items() if name in own})
            model.load_state_dict(own)
            begun.append(True)

    return looped(model, optimizer, x, y, before=before)


def resumed(with_optimizer, prefix=""):
    """A training that goes on from a checkpoint of another."""
    (x, y), first, model = labels(), classifier(), classifier()
    before, optimizer = (torch.optim.Adam(one.parameters(), 1e-2) for one in (first, model))
    for _ in range(3):
        before.zero_grad()
        F.cross_entropy(first(x), y).backward()
        before.step()
    file, begun = io.BytesIO(), []
    torch.save({"net": first.state_dict(), "opt": before.state_dict(), "epoch": 3}, file)

    def load():
        if begun:
            return
        file.seek(0)
        checkpoint = torch.load(file, weights_only=True)
        model.load_state_dict({name.removeprefix(prefix): one for name, one in checkpoint["net"].items()})
        if with_optimizer:
            optimizer.load_state_dict(checkpoint["opt"])
        begun.append(checkpoint["epoch"])

    return looped(model, optimizer, x, y, before=load)


@healthy("checkpoint-does-not-fit")
def everything_is_loaded():
    return resumed(with_optimizer=True)


@healthy("checkpoint-does-not-fit")
def a_body_is_loaded_and_the_head_is_new():
    (x, y), model = (
        labels(),
        nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)),
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    body = {name: one.clone() for name, one in model.state_dict().items() if not name.startswith("4.")}
    return looped(model, optimizer, x, y, before=lambda: model.load_state_dict(body, strict=False))


@faulty("optimizer-state-not-loaded")
def the_weights_alone_are_resumed():
    return resumed(with_optimizer=False)


@faulty("optimizer-state-not-loaded")
def momentum_is_left_in_the_file():
    (x, y), model = labels(), classifier()
    optimizer, file, state = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9), io.BytesIO(), {"begun": False}
    other = torch.optim.SGD(list(model.parameters()), 0.05, momentum=0.9)
    F.cross_entropy(model(x), y).backward()
    other.step()
    torch.save([model.state_dict(), other.state_dict()], file)

    def before():
        if not state["begun"]:
            file.seek(0)
            weights, _ = torch.load(file, weights_only=True)
            model.load_state_dict(weights)
            state["begun"] = True

    return looped(model, optimizer, x, y, before=before)


@healthy("optimizer-state-not-loaded")
def fine_tuned_by_another_optimizer():
    case = resumed(with_optimizer=False)
    model, x, y = case["model"], *case["batch"]
    load, optimizer = case["step"].__closure__, torch.optim.AdamW(model.parameters(), 1e-3)
    before = next(cell.cell_contents for cell in load if getattr(cell.cell_contents, "__name__", "") == "load")
    return looped(model, optimizer, x, y, before=before)


@healthy("optimizer-state-not-loaded")
def resumed_with_its_moments():
    return resumed(with_optimizer=True)


def saving(parts, scheduled=True, steps=1):
    """A training that saves what `parts` makes of its parts after every step."""
    (x, y), model = labels(), classifier()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9) if scheduled else None

    def after():
        if scheduler is not None:
            scheduler.step()
        torch.save(parts(model, optimizer, scheduler), io.BytesIO())

    case = looped(model, optimizer, x, y, after=after)
    return {**case, "evaluate": lambda: scheduler}


@faulty("checkpoint-incomplete")
def the_schedule_is_not_saved():
    return saving(lambda model, optimizer, _: {"model": model.state_dict(), "optimizer": optimizer.state_dict()})


@faulty("checkpoint-incomplete")
def the_schedule_is_saved_and_the_moments_are_not():
    return saving(lambda model, _, scheduler: (model.state_dict(), scheduler.state_dict()))


@healthy("checkpoint-incomplete")
def all_parts_are_saved():
    return saving(lambda *parts: [one.state_dict() for one in parts])


@healthy("checkpoint-incomplete")
def weights_alone_are_saved_for_use():
    return saving(lambda model, *_: {"weights": model.state_dict(), "epoch": 3})
