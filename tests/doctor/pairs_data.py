"""Pairs about data: scale, labels, leaks, chance, overlap."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset

from doctor.pairs_batches import flowers, forever, learning, shuffled
from doctor.table import faulty, healthy, trained


def classes(samples=24, width=10, count=3, seed=0):
    torch.manual_seed(seed)
    y = torch.arange(samples) % count
    return torch.randn(samples, width) + 2 * F.one_hot(y, width), y


def case(model, batch, loss=F.cross_entropy, rate=3e-3, **more):
    return trained(model, loss, batch, torch.optim.Adam(model.parameters(), lr=rate), **more)


def body(width=10, out=3):
    return nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, out))


def images(samples=6):
    torch.manual_seed(0)
    return torch.randint(0, 256, (samples, 1, 8, 8)), torch.arange(samples) % 3


class Convolves(nn.Module):
    def __init__(self, before):
        super().__init__()
        self.conv, self.out, self.before = nn.Conv2d(1, 8, 3), nn.Linear(8, 3), before

    def forward(self, x):
        return self.out(F.relu(self.conv(self.before(x))).mean((2, 3)))


# 23


@faulty("inputs-not-scaled")
def bytes_of_images():
    return case(Convolves(lambda x: x.float()), images())


@faulty("inputs-not-scaled")
def years_and_prices():
    x, y = classes()
    return case(body(), (x * 5 + 2000, y))


@faulty("labels-out-of-range")
def labels_begin_at_one():
    x, y = classes()
    return case(body(), (x, y + 1))


@faulty("labels-out-of-range")
def signs_into_binary_cross_entropy():
    x, y = classes(count=2)
    return case(body(out=1), (x, (2.0 * y - 1)[:, None]), nn.BCEWithLogitsLoss())


@faulty("tokens-out-of-range")
def vocabulary_too_small():
    model = nn.Sequential(nn.Embedding(5, 8), nn.Flatten(), nn.Linear(24, 3))
    return case(model, (torch.arange(18).view(6, 3) % 7, torch.arange(6) % 3))


@faulty("one-hot-targets")
def one_hot_rows():
    x, y = classes()
    return case(body(), (x, F.one_hot(y, 3).float()))


@faulty("one-hot-targets")
def one_hot_integers():
    x, y = classes()
    return case(body(), (x, F.one_hot(y, 3)))


@faulty("constant-features")
def columns_that_never_change():
    x, y = classes()
    x[:, 4:7] = 0.37
    return case(body(), (x, y))


@faulty("constant-features")
def every_sample_the_same():
    x, y = classes()
    return case(body(), (x[:1].repeat(24, 1), y))


@faulty("target-among-inputs")
def target_is_a_column():
    x, _ = classes()
    y = torch.sin(3 * x[:, 0])
    return case(body(11, 1), (torch.cat([x, y[:, None]], 1), y[:, None]), F.mse_loss)


@faulty("target-among-inputs")
def label_left_in_the_table():
    x, y = classes()
    x[:, 7] = y.float()
    return case(body(), (x, y))


@faulty("targets-not-shifted")
def targets_are_the_inputs():
    torch.manual_seed(0)
    x = torch.randint(0, 9, (6, 8))
    model = nn.Sequential(nn.Embedding(9, 12), nn.Linear(12, 9))
    return case(model, (x, x.clone()), lambda z, y: F.cross_entropy(z.flatten(0, 1), y.flatten()))


class Reads(nn.Module):
    """A recurrent net over (B, T) or (T, B), or attention to both sides; with labels it gives its loss, too."""

    def __init__(self, first=True, attends=False):
        super().__init__()
        self.table, self.out, self.attends = nn.Embedding(9, 12), nn.Linear(12, 9), attends
        self.net = nn.TransformerEncoderLayer(12, 2, 24, 0.0, batch_first=True) if attends else None
        self.rnn = None if attends else nn.GRU(12, 12, batch_first=first)

    def forward(self, input_ids, labels=None):
        x = self.table(input_ids)
        logits = self.out(self.net(x) if self.attends else self.rnn(x)[0])
        if labels is None:
            return logits
        return {"loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}


def every(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


@faulty("targets-not-shifted")
def time_first_lines_copied():
    torch.manual_seed(0)
    x = torch.randint(0, 9, (8, 6))
    return case(Reads(first=False), (x, x), every, batch_axis=1)


@faulty("targets-not-shifted")
def attention_without_a_mask_copies():
    torch.manual_seed(0)
    x = torch.randint(0, 9, (6, 8))
    return case(Reads(attends=True), (x, x.clone()), every)


@faulty("targets-not-shifted")
def labels_by_name_copied():
    torch.manual_seed(0)
    x = torch.randint(0, 9, (6, 8))
    model = Reads()
    return {"model": model, "loss": lambda out, _: out["loss"], "batch": {"input_ids": x, "labels": x}}


@faulty("does-not-run")
def shapes_do_not_fit():
    x, y = classes()
    return case(nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(15, 3)), (x, y))


@healthy("inputs-not-scaled")
def bytes_divided_inside():
    return case(Convolves(lambda x: x.float() / 255), images())


@healthy("inputs-not-scaled")
def prices_normalised_first():
    x, y = classes()
    return case(nn.Sequential(nn.BatchNorm1d(10), *body()), (x * 50 + 2000, y))


@healthy("labels-out-of-range")
def padding_is_ignored():
    x, y = classes()
    y[::4] = -100
    return case(body(), (x, y))


@healthy("one-hot-targets")
def mixed_labels():
    x, y = classes()
    soft = F.one_hot(y, 3).float()
    return case(body(), (x, 0.7 * soft + 0.3 * soft.flip(0)))


@healthy("constant-features")
def column_of_ones():
    x, y = classes()
    x[:, 0] = 1.0
    return case(body(), (x, y))


@healthy("target-among-inputs")
def autoencoder():
    x, _ = classes()
    return case(nn.Sequential(nn.Linear(10, 4), nn.Tanh(), nn.Linear(4, 10)), (x, x), F.mse_loss)


@healthy("constant-features")
def pictures_with_a_dark_border():
    torch.manual_seed(0)
    x = torch.rand(24, 6, 6) * (torch.rand(24, 6, 6) < 0.6)
    x[:, 0], x[:, -1], x[:, :, 0] = 0, 0, 0
    return case(body(36), (((x - 0.13) / 0.31).flatten(1), torch.arange(24) % 3))


@healthy("targets-not-shifted")
def the_model_puts_the_start_before():
    class Shifts(Reads):
        def forward(self, input_ids):
            return super().forward(F.pad(input_ids[:, :-1], (1, 0), value=8))

    torch.manual_seed(0)
    x = torch.randint(0, 8, (6, 9))
    return case(Shifts(), (x, x), every)


@healthy("targets-not-shifted")
def next_tokens():
    torch.manual_seed(0)
    line = torch.randint(0, 9, (6, 9))
    model = nn.Sequential(nn.Embedding(9, 12), nn.Linear(12, 9))
    return case(model, (line[:, :-1], line[:, 1:]), lambda z, y: F.cross_entropy(z.flatten(0, 1), y.flatten()))


# 24


@faulty("labels-look-shuffled")
def labels_shuffled_apart():
    x, y = classes(300)
    return case(body(), (x, y[torch.randperm(300)]))


@faulty("labels-look-shuffled")
def targets_sorted_apart():
    torch.manual_seed(0)
    angle = torch.rand(300) * 6.28
    x = torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(300, 2)
    return case(
        body(2, 1),
        (x, torch.sin(2 * angle).sort().values[:, None].squeeze(1)),
        lambda z, y: F.mse_loss(z.squeeze(1), y),
    )


@faulty("held-out-overlap")
def split_after_copying():
    x, y = classes(40)
    return case(body(), (x, y), held_out=(torch.cat([x[:10], x[:10] + 1]), y[:20]))


@faulty("held-out-overlap")
def windows_of_one_text_overlap():
    torch.manual_seed(0)
    line = torch.randint(0, 30, (60,))
    windows = line.unfold(0, 6, 1)
    order = torch.randperm(len(windows))
    doubled = torch.cat([windows[order[40:]], windows[order[:5]]])
    model = nn.Sequential(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(40, 30))
    return case(model, (windows[order[:40], :5], windows[order[:40], 5]), held_out=(doubled[:, :5], doubled[:, 5]))


@healthy("labels-look-shuffled")
def labels_belong():
    return case(body(), classes(300))


@healthy("labels-look-shuffled")
def a_faint_sum_of_many_columns():
    torch.manual_seed(0)
    x = torch.randn(400, 3) @ torch.randn(3, 40) + torch.randn(400, 40)
    x[:, 0] = torch.randn(400)
    return case(body(40, 2), (x, (x[:, 0] + 0.5 * torch.randn(400) > 0).long()))


@healthy("labels-look-shuffled")
def numbers_that_pick_rows():
    x, y = classes(300)
    return case(body(), (x, torch.randperm(300)), lambda z, rows: F.cross_entropy(z.index_select(0, rows), y[rows]))


@healthy("labels-look-shuffled")
def random_numbers_to_try_it_out():
    torch.manual_seed(0)
    return case(body(), (torch.randn(300, 10), torch.randint(0, 3, (300,))))


@healthy("held-out-overlap")
def fresh_held_out():
    return case(body(), classes(40), held_out=classes(40, seed=1))


@healthy("held-out-overlap")
def words_that_repeat_by_nature():
    torch.manual_seed(0)
    x = torch.randint(0, 3, (60, 2))
    model = nn.Sequential(nn.Embedding(3, 8), nn.Flatten(), nn.Linear(16, 2))
    return case(model, (x, x.sum(1) % 2), held_out=(x[:20].flip(0), x[:20].flip(0).sum(1) % 2))


# 24: whole sets that do not fit, seen through small batches


def parts_of(x, y):
    place = [0]

    def batch_of():
        place[0] = (place[0] + 20) % len(x)
        rows = slice(place[0], place[0] + 20)
        return x[rows], y[rows]

    return learning(batch_of)


@faulty("labels-look-shuffled")
def sets_permuted_apart_by_numpy():
    x, y = flowers(600)
    order = np.random.default_rng(0)
    return parts_of(x[order.permutation(600)], y[order.permutation(600)])


@faulty("labels-look-shuffled")
def slices_of_rows_in_another_order():
    x, y = flowers(400)
    order = np.random.default_rng(1).permutation(400)
    return parts_of(torch.from_numpy(x.numpy()[order]), torch.from_numpy(y.numpy()[order[::-1].copy()]))


@healthy("labels-look-shuffled")
def sets_permuted_together():
    x, y = flowers(600)
    order = np.random.default_rng(0).permutation(600)
    return parts_of(x[order], y[order])


@healthy("labels-look-shuffled")
def sets_of_noise_that_fit_nothing():
    torch.manual_seed(0)
    return parts_of(torch.randn(400, 5), torch.randint(0, 3, (400,)))


# 27: one class after the other, of which the steps see only the first


def loaded(data):
    batches = forever(DataLoader(data, batch_size=10))
    return learning(lambda: next(batches))


@faulty("batches-of-one-class")
def one_data_set_for_every_class():
    x, y = flowers(600)
    return loaded(ConcatDataset([TensorDataset(x[y == kind], y[y == kind]) for kind in range(3)]))


@faulty("batches-of-one-class")
def a_part_in_the_order_of_its_classes():
    return loaded(Subset(TensorDataset(*flowers(600)), range(0, 600, 2)))


@healthy("batches-of-one-class")
def mixed_parts_one_after_the_other():
    parts = [shuffled(*flowers(200)) for _ in range(3)]
    return loaded(ConcatDataset([TensorDataset(*part) for part in parts]))


@healthy("batches-of-one-class")
def parts_with_a_rare_class():
    y = (torch.arange(1000) % 200 == 199).long()
    return loaded(ConcatDataset([TensorDataset(torch.randn(1000, 5), y) for _ in range(2)]))
