"""Pairs about schedules that take factors or rates, wait for what is better, and about copies and data in place."""

import copy

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from doctor import pairs_updates
from doctor.table import faulty, healthy


def data(samples=60):
    torch.manual_seed(4)
    x = torch.randn(samples, 6) * 2 + 1
    return x, (x[:, 0] + x[:, 1] > 2).long()


def norms():
    return nn.Sequential(nn.Linear(6, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 2))


def scheduled(schedule, measure=None, rate=5e-3):
    """A program whose schedule takes a step after every step, or what is measured after every evaluation."""
    (x, y), model = data(), nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2))
    optimizer = optim.Adam(model.parameters(), rate)
    scheduler = schedule(optimizer)

    def step():
        model.train()
        optimizer.zero_grad()
        chosen = torch.randperm(len(x))[:20]
        F.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
        if measure is None:
            scheduler.step()

    def evaluate():
        model.eval()
        with torch.no_grad():
            if measure is not None:
                scheduler.step(measure(model, x, y))

    return {"model": model, "optimizer": optimizer, "step": step, "evaluate": evaluate}


# 26: factors


@faulty("factor-is-a-rate")
def a_function_with_a_warm_up_of_rates():
    return scheduled(lambda one: lr_scheduler.LambdaLR(one, lambda step: 5e-3 * min(1.0, (step + 1) / 500)))


@faulty("factor-is-a-rate")
def a_table_of_rates():
    table = [3e-3, 1e-3, 3e-4]
    return scheduled(lambda one: lr_scheduler.LambdaLR(one, lambda step: table[min(step // 100, 2)]))


@healthy("factor-is-a-rate")
def a_warm_up_of_factors():
    return scheduled(lambda one: lr_scheduler.LambdaLR(one, lambda step: min(1.0, (step + 1) / 5000)), rate=0.05)


@healthy("factor-is-a-rate")
def rates_on_a_rate_of_one():
    def schedule(optimizer):
        return lr_scheduler.LambdaLR(optimizer, lambda step: 5e-3 * 0.999**step)

    return scheduled(schedule, rate=1.0)


# 26: plateaus


def mean_loss(model, x, y):
    parts = [F.cross_entropy(model(x[a : a + 25]), y[a : a + 25]).item() * len(x[a : a + 25]) for a in (0, 25, 50)]
    return sum(parts) / len(x)


def accuracy(model, x, y):
    return (model(x).argmax(1) == y).float().mean()


@faulty("plateau-mode-wrong")
def the_most_of_a_mean_loss():
    return scheduled(lambda one: lr_scheduler.ReduceLROnPlateau(one, mode="max"), mean_loss)


@faulty("plateau-mode-wrong")
def the_least_of_an_accuracy_in_per_cent():
    def measure(model, x, y):
        return 100 * (model(x).argmax(1) == y).sum().item() / len(y)

    return scheduled(lambda one: lr_scheduler.ReduceLROnPlateau(one, patience=1), measure)


@healthy("plateau-mode-wrong")
def the_least_of_a_mean_loss():
    return scheduled(lambda one: lr_scheduler.ReduceLROnPlateau(one, mode="min"), mean_loss)


@healthy("plateau-mode-wrong")
def the_most_of_an_accuracy():
    return scheduled(lambda one: lr_scheduler.ReduceLROnPlateau(one, mode="max"), accuracy)


@healthy("plateau-mode-wrong")
def the_least_of_an_error_rate():
    def measure(model, x, y):
        return 1 - accuracy(model, x, y)

    return scheduled(lambda one: lr_scheduler.ReduceLROnPlateau(one), measure)


# 28: copies


def averaged(follow, make=lambda model: copy.deepcopy(model)):
    (x, y), model = data(), norms()
    follower = make(model)
    optimizer = optim.Adam(model.parameters(), 5e-3)

    def step():
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            follow(follower, model)

    def evaluate():
        follower.eval()
        with torch.no_grad():
            return (follower(x).argmax(1) == y).sum().item() / len(y)

    return {"model": model, "optimizer": optimizer, "step": step, "evaluate": evaluate}


def mix(follower, model):
    for mine, yours in zip(follower.parameters(), model.parameters(), strict=True):
        mine.copy_(0.9 * mine + 0.1 * yours)


@faulty("copy-without-statistics")
def an_average_of_parameters():
    return averaged(mix)


@faulty("copy-without-statistics")
def all_parameters_averaged_at_once():
    def follow(follower, model):
        torch._foreach_lerp_(list(follower.parameters()), list(model.parameters()), 0.1)

    return averaged(follow)


@healthy("copy-without-statistics")
def torchs_average_with_buffers():
    def make(model):
        return AveragedModel(model, use_buffers=True)

    return averaged(lambda follower, model: follower.update_parameters(model), make)


@healthy("copy-without-statistics")
def a_state_that_is_mixed():
    def follow(follower, model):
        mine, yours = follower.state_dict(), model.state_dict()
        mixed = {name: yours[name] if "num" in name else 0.9 * mine[name] + 0.1 * yours[name] for name in mine}
        follower.load_state_dict(mixed)

    return averaged(follow)


# 27: data that change by being read


class Samples(Dataset):
    """Reads a sample from a store, and changes it."""

    def __init__(self, change, store=torch.Tensor.clone):
        x, self.y = data()
        self.x, self.change = store(x), change

    def __len__(self):
        return len(self.y)

    def __getitem__(self, place):
        return self.change(self, place), self.y[place]


def read(dataset):
    loader = DataLoader(dataset, batch_size=20, shuffle=True)
    batches = iter([])

    def take():
        nonlocal batches
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
            batch = next(batches)
        return batch

    return by_batches(take)


def by_batches(take):
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2))
    optimizer = optim.Adam(model.parameters(), 5e-3)

    def step():
        x, y = take()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("data-change-by-reading")
def an_array_scaled_where_it_lies():
    def change(samples, place):
        row = samples.x[place]
        row *= 0.9
        return torch.from_numpy(row)

    return read(Samples(change, torch.Tensor.numpy))


@faulty("data-change-by-reading")
def noise_on_a_slice_of_the_data():
    (x, y), place = data(), [0]

    def take():
        place[0] = (place[0] + 20) % 60
        batch = x[place[0] : place[0] + 20]
        batch += 0.1 * torch.randn_like(batch)
        return batch, y[place[0] : place[0] + 20]

    return by_batches(take)


@healthy("data-change-by-reading")
def noise_on_a_sum():
    return read(Samples(lambda samples, place: samples.x[place] + 0.1 * torch.randn(6)))


@healthy("data-change-by-reading")
def a_cache_that_is_filled_when_read():
    cache = {}

    def change(samples, place):
        if place not in cache:
            cache[place] = samples.x[place].clone().mul_(2)
        return cache[place]

    return read(Samples(change))


@healthy("data-change-by-reading")
def one_buffer_for_all_samples():
    buffer = torch.empty(6)
    return read(Samples(lambda samples, place: buffer.copy_(samples.x[place]).add_(torch.randn(6))))


@healthy("data-change-by-reading")
def noise_on_rows_that_were_picked():
    (x, y) = data()

    def take():
        chosen = torch.randperm(60)[:20]
        batch = x[chosen]
        batch += 0.1 * torch.randn_like(batch)
        return batch, y[chosen]

    return by_batches(take)


# 28: splits


def split(evaluated, trained_on):
    """A graph of rows without edges: all rows are given at once."""
    (x, y), model = data(), nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2))
    optimizer = optim.Adam(model.parameters(), 5e-3)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x)[trained_on], y[trained_on]).backward()
        optimizer.step()

    def evaluate():
        with torch.no_grad():
            right = model(x).argmax(1) == y
            return right[evaluated].float().mean().item()

    return {"model": model, "optimizer": optimizer, "step": step, "evaluate": evaluate}


def halves():
    mask = torch.zeros(60, dtype=torch.bool)
    mask[::2] = True
    return mask


@faulty("evaluated-on-training-data")
def a_mask_that_the_loss_forgets():
    return split(~halves(), slice(None))


@healthy("evaluated-on-training-data")
def a_mask_for_both():
    return split(~halves(), halves())


# 26: cosines


def cosine(length, every=1, kind=lr_scheduler.CosineAnnealingLR):
    return pairs_updates.scheduled(
        lambda p: optim.SGD(p, 0.05), lambda optimizer: kind(optimizer, length), every=every
    )


@faulty("cosine-passes-its-end")
def three_epochs_gone_through_by_the_batch():
    return cosine(3)


@faulty("cosine-passes-its-end")
def half_an_epoch():
    return cosine(2)


@healthy("cosine-passes-its-end")
def a_cosine_as_long_as_the_training():
    return cosine(60)


@healthy("cosine-passes-its-end")
def warm_restarts_on_purpose():
    return cosine(3, kind=lr_scheduler.CosineAnnealingWarmRestarts)
