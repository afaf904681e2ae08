"""Pairs about what the steps are given: repeated, sorted or single samples, orders, workers."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from doctor.table import faulty, healthy


def flowers(samples=120, classes=3):
    torch.manual_seed(4)
    y = torch.arange(samples) * classes // samples
    return torch.randn(samples, 5) + 2 * F.one_hot(y, 5), y


def net(classes=3):
    return nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, classes))


def learning(batch_of, model=None, loss=F.cross_entropy, evaluate=None, rate=1e-2, times=3):
    model = model or net()
    optimizer = torch.optim.Adam(model.parameters(), rate)

    def step():
        model.train()
        for _ in range(times):
            x, y = batch_of()
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

    def measured():
        model.eval()
        with torch.no_grad():
            x, y = evaluate
            return (model(x).argmax(1) == y).float().mean().item()

    case = {"model": model, "optimizer": optimizer, "step": step}
    return {**case, "evaluate": measured} if evaluate else case


def shuffled(x, y):
    rows = torch.randperm(len(x))
    return x[rows], y[rows]


def forever(loader):
    while True:
        yield from loader


# 27: the same batch


@faulty("same-batch-every-step")
def a_new_iterator_in_every_step():
    loader = DataLoader(TensorDataset(*shuffled(*flowers())), batch_size=12)
    return learning(lambda: next(iter(loader)))


@faulty("same-batch-every-step")
def drawn_before_the_loop():
    x, y = shuffled(*flowers())
    loader = DataLoader(TensorDataset(x, y), batch_size=10, shuffle=True)
    xb, yb = next(iter(loader))
    return learning(lambda: (xb, yb), evaluate=(x, y))


@faulty("same-batch-every-step")
def the_slice_does_not_move():
    x, y = shuffled(*flowers())
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step():
        for i in range(4):
            begin = (i // 100) * 8
            xb, yb = x[begin : begin + 8], y[begin : begin + 8]
            loss = nn.CrossEntropyLoss()(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("same-batch-every-step")
def all_data_in_every_step():
    x, y = flowers()
    return learning(lambda: (x[:90], y[:90]), evaluate=(x[90:], y[90:]))


@healthy("same-batch-every-step")
def twenty_points_and_a_grid():
    x = torch.linspace(-1, 1, 20)[:, None]
    grid, model = torch.linspace(-2, 2, 400)[:, None], nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    case = learning(lambda: (x, x**3), model, F.mse_loss)

    @torch.no_grad()
    def evaluate():
        return model(grid).abs().max().item()

    return {**case, "evaluate": evaluate}


@healthy("same-batch-every-step")
def an_iterator_that_goes_on():
    batches = forever(DataLoader(TensorDataset(*flowers()), batch_size=12, shuffle=True))
    return learning(lambda: next(batches))


@healthy("same-batch-every-step")
def parts_of_all_in_every_step():
    x, y = flowers(64, 2)
    model = net(2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step():
        for xb, yb in zip(x.chunk(8), y.chunk(8), strict=True):
            (F.cross_entropy(model(xb), yb) / 8).backward()
        optimizer.step()
        optimizer.zero_grad()

    return {"model": model, "optimizer": optimizer, "step": step}


# 27: orders


@faulty("targets-of-other-samples")
def two_permutations():
    x, y = flowers()

    def batch():
        rows = torch.randperm(len(x))[:16]
        others = torch.randperm(len(y))[:16]
        return x[rows], y[others]

    return learning(batch)


@faulty("targets-of-other-samples")
def two_loaders():
    x, y = flowers()
    both = zip(
        forever(DataLoader(x, batch_size=10, shuffle=True)),
        forever(DataLoader(y, batch_size=10, shuffle=True)),
        strict=True,
    )
    return learning(lambda: next(both))


@faulty("targets-of-other-samples")
def shuffled_by_numpy_one_after_the_other():
    x, y = flowers()
    values = (y.float() - 1)[:, None]
    model, draws = net(1), np.random.default_rng(0)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def epoch():
        xs, ys = x[draws.permutation(len(x))], values[draws.permutation(len(x))]
        for begin in range(0, 90, 30):
            optimizer.zero_grad()
            loss = F.mse_loss(model(xs[begin : begin + 30]), ys[begin : begin + 30])
            loss.backward()
            optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": epoch}


@healthy("targets-of-other-samples")
def one_permutation_for_both():
    x, y = flowers()

    def batch():
        rows = torch.randint(0, len(x), (16,))
        return x[rows], y[rows]

    return learning(batch)


@healthy("targets-of-other-samples")
def mixup():
    x, y = flowers()
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step():
        rows = torch.randperm(len(x))[:24]
        xb, yb, share, other = x[rows], y[rows], 0.3, torch.randperm(24)
        out = model(share * xb + (1 - share) * xb[other])
        loss = share * F.cross_entropy(out, yb) + (1 - share) * F.cross_entropy(out, yb[other])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("targets-of-other-samples")
def a_forecast_three_ahead():
    torch.manual_seed(0)
    series, future = torch.randn(200, 5).cumsum(0) / 5, torch.randn(200, 1).cumsum(0) / 5

    def batch():
        begin = torch.randint(0, 190, (12,))
        return series[begin], future[begin + 3]

    return learning(batch, net(1), F.mse_loss)


def mixing(share_of_inputs, share_of_targets, again=False):
    """Mixup whose shares and partners may differ."""
    x, y = flowers()
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step():
        rows, share = torch.randperm(len(x))[:24], float(torch.rand(()))
        xb, yb, order = x[rows], y[rows], torch.randperm(24)
        one, two = share_of_inputs(share), share_of_targets(share)
        out = model(one * xb + (1 - one) * xb[order])
        order = torch.randperm(24) if again else order
        loss = two * F.cross_entropy(out, yb) + (1 - two) * F.cross_entropy(out, yb[order])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("mixed-otherwise")
def shares_exchanged():
    return mixing(lambda share: share, lambda share: 1 - share)


@faulty("mixed-otherwise")
def partners_drawn_twice():
    return mixing(lambda share: 0.6, lambda share: 0.6, again=True)


@healthy("mixed-otherwise")
def the_larger_share_for_both():
    return mixing(lambda share: max(share, 1 - share), lambda share: max(share, 1 - share))


@healthy("mixed-otherwise")
def soft_targets_mixed_by_rows():
    x, y = flowers()
    model, soft = net(), F.one_hot(y, 3).float()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step():
        rows, order, share = torch.randperm(len(x))[:24], torch.arange(23, -1, -1), torch.rand(24, 1)
        optimizer.zero_grad()
        xb, tb = x[rows], soft[rows]
        out = model(share * xb + (1 - share) * xb.flip(0))
        F.cross_entropy(out, share * tb + (1 - share) * tb[order]).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


# 27: one class


@faulty("batches-of-one-class")
def a_sorted_list_without_shuffling():
    batches = forever(DataLoader(TensorDataset(*flowers()), batch_size=10, shuffle=False))
    return learning(lambda: next(batches))


@faulty("batches-of-one-class")
def slices_of_a_sorted_table():
    (x, y), at = flowers(240, 2), [0]

    def batch():
        begin = at[0] % len(x)
        at[0] += 16
        return x[begin : begin + 16], y[begin : begin + 16].float()[:, None]

    return {
        **learning(batch, net(1), nn.BCEWithLogitsLoss()),
        "batch": (x, y.float()[:, None]),
        "loss": nn.BCEWithLogitsLoss(),
    }


@healthy("batches-of-one-class")
def a_list_that_is_mixed():
    batches = forever(DataLoader(TensorDataset(*shuffled(*flowers())), batch_size=10, shuffle=False))
    return learning(lambda: next(batches))


@healthy("batches-of-one-class")
def one_in_two_hundred():
    x = torch.randn(2000, 5)
    y = (torch.arange(2000) % 200 == 199).long()
    batches = forever(DataLoader(TensorDataset(x, y), batch_size=10))
    return learning(lambda: next(batches), net(2))


@healthy("batches-of-one-class")
def real_and_made_one_after_the_other():
    torch.manual_seed(0)
    x, model = torch.randn(64, 5), net(1)
    optimizer, loss = torch.optim.Adam(model.parameters(), 1e-3), nn.BCEWithLogitsLoss()

    def step():
        for given, label in ((x[torch.randint(0, 64, (16,))], 1.0), (torch.rand(16, 5), 0.0)):
            optimizer.zero_grad()
            loss(model(given), torch.full((16, 1), label)).backward()
            optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


# 27: one sample


def pictures(samples=24):
    torch.manual_seed(5)
    return torch.randn(samples, 1, 6, 6), torch.arange(samples) % 2


def convolutional(norm):
    return nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))


@faulty("batchnorm-one-sample")
def a_loader_of_one():
    x, y = pictures()
    batches = forever(DataLoader(TensorDataset(x, y), batch_size=1, shuffle=True))
    return learning(lambda: next(batches), convolutional(nn.BatchNorm2d(4)), evaluate=(x, y))


@faulty("batchnorm-one-sample")
def sample_by_sample_with_unsqueeze():
    (x, y), place = pictures(), [0]
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(136, 2))

    def batch():
        place[0] = (place[0] + 1) % len(x)
        return x[place[0]].unsqueeze(0), y[place[0] : place[0] + 1]

    return learning(batch, model, evaluate=(x, y))


@healthy("batchnorm-one-sample")
def one_by_one_with_group_norm():
    x, y = pictures()
    batches = forever(DataLoader(TensorDataset(x, y), batch_size=1, shuffle=True))
    return learning(lambda: next(batches), convolutional(nn.GroupNorm(2, 4)), evaluate=(x, y))


@healthy("batchnorm-one-sample")
def eight_in_training_and_one_by_one_later():
    x, y = pictures()
    batches = forever(DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True))
    model = convolutional(nn.BatchNorm2d(4))
    case = learning(lambda: next(batches), model)

    def evaluate():
        model.eval()
        with torch.inference_mode():
            return sum(int(model(one[None]).argmax() == label) for one, label in zip(x, y, strict=True)) / len(x)

    return {**case, "evaluate": evaluate}


# 27: workers; the loaders are only begun, as processes would cost seconds


class Noisy(Dataset):
    def __init__(self, draws):
        (self.x, self.y), self.draws = flowers(), draws

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        noise = self.draws.normal(size=5) if self.draws is not None else np.random.normal(size=5)  # noqa: NPY002
        return self.x[i] + torch.as_tensor(noise, dtype=torch.float32), self.y[i]


class Begun(DataLoader):
    """In place of worker processes: what one of them would do."""

    def _get_iterator(self):
        self.__dict__["num_workers"], kept = 0, self.num_workers
        try:
            return super()._get_iterator()
        finally:
            self.__dict__["num_workers"] = kept


def in_workers(draws, init=None):
    torch.manual_seed(0)
    with warnings.catch_warnings(action="ignore"):  # torch counts the cores
        loader = Begun(Noisy(draws), batch_size=12, shuffle=True, num_workers=3, worker_init_fn=init)
    batches = forever(loader)
    return learning(lambda: next(batches), times=1)


@faulty("workers-draw-alike")
def the_same_seed_for_each():
    return in_workers(None, lambda worker: np.random.seed(42))  # noqa: NPY002


@faulty("workers-draw-alike")
def a_generator_in_the_data_set():
    return in_workers(np.random.default_rng(0))


@healthy("workers-draw-alike")
def seeded_by_the_worker():
    return in_workers(None, lambda worker: np.random.seed(torch.initial_seed() % 2**32))  # noqa: NPY002


@healthy("workers-draw-alike")
def torchs_own_seeds():
    return in_workers(None)
