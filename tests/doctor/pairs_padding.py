"""Pairs about padding: in the loss, in the table, behind what a model reads, and in accumulated means."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from doctor.table import faulty, healthy, trained


def sentences(rows=16, size=14, pad=0, shortest=2, longest=6, words=12):
    """Tokens 1 … words−1 (0 and `pad` apart), filled up to the size."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, words, (rows, size), generator=generator)
    length = torch.randint(shortest, longest + 1, (rows,), generator=generator)
    return torch.where(torch.arange(size) < length[:, None], x, pad), length


def case(model, loss, batch, rate=1e-2):
    return trained(model, loss, batch, torch.optim.Adam(model.parameters(), lr=rate), overfit_seconds=0.0)


class Tagger(nn.Module):
    def __init__(self, words=12, tags=5, both=False):
        super().__init__()
        self.table, self.net = nn.Embedding(words, 8), nn.GRU(8, 8, batch_first=True, bidirectional=both)
        self.out = nn.Linear(16 if both else 8, tags)

    def forward(self, x):
        return self.out(self.net(self.table(x))[0])


def tags(x, pad=0, empty=0):
    return torch.where(x != pad, x % 4 + 1, empty)


# padding-in-the-loss, only-padding-in-the-loss, ignore-index-is-a-label


@faulty("padding-in-the-loss")
def every_place_of_a_tagger():
    x, _ = sentences()
    return case(Tagger(), lambda output, y: F.cross_entropy(output.transpose(1, 2), y), (x, tags(x)))


@faulty("padding-in-the-loss")
def mean_of_gathered_log_probabilities():
    x, _ = sentences(pad=1)

    def loss(output, y):
        return -F.log_softmax(output, -1).gather(2, y[..., None]).squeeze(2).mean()

    return case(Tagger(tags=6), loss, (x, tags(x, 1, 5)))


@faulty("padding-in-the-loss")
def next_words_with_their_padding():
    lines = pad_sequence([torch.randint(2, 12, (n,)) for n in (3, 9, 5, 12, 4, 6, 3, 7)], batch_first=True)

    def loss(output, y):
        return F.cross_entropy(output.reshape(-1, output.size(-1)), y.reshape(-1))

    return case(Tagger(tags=12), loss, (lines[:, :-1], lines[:, 1:]))


@faulty("only-padding-in-the-loss")
def mask_the_wrong_way_round():
    x, _ = sentences()

    def loss(output, y):
        each = F.cross_entropy(output.flatten(0, 1), y.flatten(), reduction="none")
        mask = (y == 0).flatten().float()
        return (each * mask).sum() / mask.sum()

    return case(Tagger(), loss, (x, tags(x)))


@faulty("only-padding-in-the-loss")
def real_places_filled_with_the_ignored_label():
    x, _ = sentences()

    class Criterion(nn.Module):
        def forward(self, output, y):
            return F.cross_entropy(output.permute(0, 2, 1), y.masked_fill(y > 0, -100))

    return case(Tagger(), Criterion(), (x, tags(x)))


@faulty("ignore-index-is-a-label")
def ignores_one_instead_of_zero():
    x, _ = sentences()
    ce = nn.CrossEntropyLoss(ignore_index=1)
    return case(Tagger(), lambda output, y: ce(output.flatten(0, 1), y.flatten()), (x, tags(x)))


@faulty("ignore-index-is-a-label")
def ignores_zero_where_padding_is_the_last():
    x, _ = sentences(pad=1)
    y = torch.where(x != 1, x % 4, 4)
    return case(Tagger(), lambda o, y: F.nll_loss(o.log_softmax(-1).transpose(1, 2), y, ignore_index=0), (x, y))


@healthy("padding-in-the-loss")
def padding_ignored():
    x, _ = sentences()
    return case(Tagger(), lambda o, y: F.cross_entropy(o.transpose(1, 2), y, ignore_index=0), (x, tags(x)))


@healthy("padding-in-the-loss")
def padding_masked_by_hand():
    x, _ = sentences()

    def loss(output, y):
        mask = y != 0
        return F.cross_entropy(output[mask], y[mask])

    return case(Tagger(), loss, (x, tags(x)))


@healthy("padding-in-the-loss")
def one_end_per_line():
    torch.manual_seed(0)
    x = torch.randint(1, 12, (12, 8))
    x[:, -1] = 0
    return case(Tagger(tags=12), lambda o, y: F.cross_entropy(o.transpose(1, 2), y), (x[:, :-1], x[:, 1:]))


@healthy("ignore-index-is-a-label")
def bits_with_zeros_at_the_end():
    torch.manual_seed(0)
    x = torch.randint(0, 2, (16, 10))
    return case(Tagger(2, 2), lambda o, y: F.cross_entropy(o.transpose(1, 2), y), (x, x.cumsum(1) % 2))


@healthy("ignore-index-is-a-label")
def labels_of_padding_are_minus_hundred():
    x, _ = sentences()
    return case(Tagger(), lambda o, y: F.cross_entropy(o.transpose(1, 2), y), (x, tags(x, 0, -100)))


# padding-idx-is-a-token


class Bag(nn.Module):
    def __init__(self, index, words=12):
        super().__init__()
        self.table, self.out = nn.Embedding(words, 8, padding_idx=index), nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.table(x).sum(1) / 4)


@faulty("padding-idx-is-a-token")
def last_row_of_the_table():
    x, _ = sentences()
    return case(Bag(-1), F.cross_entropy, (x, x[:, 0] % 2))


@faulty("padding-idx-is-a-token")
def functional_with_another_index():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.out = nn.Parameter(torch.randn(12, 8)), nn.Linear(8, 2)

        def forward(self, tokens):
            return self.out(F.embedding(tokens, self.weight, padding_idx=5).amax(1))

    x, _ = sentences(pad=1)
    return case(Functional(), nn.CrossEntropyLoss(), (x, x[:, 0] % 2))


@healthy("padding-idx-is-a-token")
def the_padding_itself():
    x, _ = sentences()
    return case(Bag(0), F.cross_entropy, (x, x[:, 0] % 2))


@healthy("padding-idx-is-a-token")
def a_row_that_is_not_used():
    x, _ = sentences(words=11, size=6)
    return case(Bag(11), F.cross_entropy, (torch.where(x > 0, x, 2), x[:, 0] % 2))


# padding-changes-output, only-padding-is-read


class Reader(nn.Module):
    """A recurrent net, read in the given way."""

    def __init__(self, read, kind=nn.GRU):
        super().__init__()
        self.table, self.net, self.out = (
            nn.Embedding(12, 8, padding_idx=0),
            kind(8, 8, batch_first=True),
            nn.Linear(8, 3),
        )
        self.read = read

    def forward(self, x):
        return self.out(self.read(self, x, self.table(x)))


def _last(self, x, h):
    return self.net(h)[0][:, -1]


def _state(self, x, h):
    return self.net(h)[1][0][-1]


def _mean(self, x, h):
    return self.net(h)[0].mean(dim=1)


def _at_length(self, x, h):
    return self.net(h)[0][torch.arange(len(x)), (x != 0).sum(1) - 1]


def _packed(self, x, h):
    return self.net(pack_padded_sequence(h, (x != 0).sum(1), batch_first=True, enforce_sorted=False))[1][-1]


def _masked_mean(self, x, h):
    mask = (x != 0)[..., None]
    return (self.net(h)[0] * mask).sum(1) / mask.sum(1)


def _highest(self, x, h):
    return self.net(h)[0].masked_fill((x == 0)[..., None], -9.0).amax(1)


def classified(read, kind=nn.GRU, size=24):
    x, length = sentences(size=size)
    return case(Reader(read, kind), F.cross_entropy, (x, x[torch.arange(len(x)), length - 1] % 3))


@faulty("padding-changes-output")
def last_place_of_a_gru():
    return classified(_last)


@faulty("padding-changes-output")
def last_state_of_an_lstm():
    return classified(_state, nn.LSTM)


@faulty("padding-changes-output")
def mean_over_all_places():
    return classified(_mean)


@faulty("padding-changes-output")
def attention_without_a_mask():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(12, 8), nn.Linear(8, 3)
            self.body = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)

        def forward(self, x):
            return self.out(self.body(self.table(x))[:, 0])

    x, _ = sentences(size=24)
    return case(Encoder(), F.cross_entropy, (x, x[:, 1] % 3))


@healthy("padding-changes-output")
def place_of_the_last_token():
    return classified(_at_length)


@healthy("padding-changes-output")
def packed_sequences():
    return classified(_packed)


@healthy("padding-changes-output")
def mean_over_tokens():
    return classified(_masked_mean, nn.LSTM)


@healthy("padding-changes-output")
def highest_of_a_convolution():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.conv, self.out = (
                nn.Embedding(12, 8, padding_idx=0),
                nn.Conv1d(8, 8, 3),
                nn.Linear(8, 3),
            )

        def forward(self, x):
            return self.out(torch.relu(self.conv(self.table(x).transpose(1, 2))).amax(2))

    x, _ = sentences(size=24)
    return case(Words(), F.cross_entropy, (x, x[:, 1] % 3))


@healthy("padding-changes-output")
def tags_of_a_net_that_reads_both_ways():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(12, 8, padding_idx=0), nn.Linear(16, 3)
            self.net = nn.LSTM(8, 8, batch_first=True, bidirectional=True)

        def forward(self, x):
            return self.out(self.net(self.table(x))[0])

    x, _ = sentences(size=24)
    tags = (x % 3).masked_fill(x == 0, -100)
    return case(Tagger(), lambda output, y: F.cross_entropy(output.transpose(1, 2), y), (x, tags))


@healthy("padding-changes-output")
def wide_convolutions_and_a_mean_over_tokens():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(12, 8, padding_idx=0), nn.Linear(8, 3)
            self.one, self.two = (nn.Conv1d(8, 8, 3, padding=wide, dilation=wide) for wide in (2, 4))

        def forward(self, x):
            mask = (x != 0).unsqueeze(-1)
            h = self.two(torch.relu(self.one(self.table(x).transpose(1, 2)))).transpose(1, 2)
            return self.out((h * mask).sum(1) / mask.sum(1))

    x, _ = sentences(size=24)
    return case(Words(), F.cross_entropy, (x, x[:, 1] % 3))


@healthy("padding-changes-output")
def rows_of_a_picture():
    """The lower rows of a digit are empty: that is no padding."""
    torch.manual_seed(0)
    x = torch.rand(16, 10, 6) * (torch.arange(10) < torch.randint(5, 10, (16, 1)))[..., None]

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(self.net(x)[0][:, -1])

    return case(Rows(), F.cross_entropy, (x, torch.arange(16) % 3))


@faulty("only-padding-is-read")
def pooling_mask_inverted():
    def read(self, x, h):
        mask = (x == 0)[..., None].float()
        return (h * mask).sum(1) / mask.sum(1).clamp(min=1) + 0.0 * mask.sum(1)

    class Free(Reader):
        def __init__(self):
            super().__init__(read)
            self.table = nn.Embedding(12, 8)

    x, _ = sentences(size=12)
    return case(Free(), F.cross_entropy, (x, x[:, 0] % 3))


@faulty("only-padding-is-read")
def highest_of_the_empty_places():
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(12, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))

        def forward(self, tokens):
            h = self.table(tokens).masked_fill(tokens.ne(0)[..., None], float("-inf"))
            return self.out(h.max(dim=1).values)

    x, _ = sentences(size=12)
    return case(Pool(), F.cross_entropy, (x, x[:, 0] % 3))


@healthy("only-padding-is-read")
def highest_of_the_tokens():
    return classified(_highest)


@healthy("only-padding-is-read")
def first_token_only():
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(12, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(self.table(x[:, 0]))

    x, _ = sentences(size=12)
    return case(First(), F.cross_entropy, (x, x[:, 0] % 3))


# means-of-unequal-parts


def accumulated(reduction, rows):
    x, _ = sentences(rows=16, longest=14)
    x = x[(x != 0).sum(1).argsort()] if rows == "sorted" else x
    y, model = tags(x), Tagger()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        count = (y != 0).sum()
        for one, tag in zip(x.split(4), y.split(4), strict=True):
            output = model(one).flatten(0, 1)
            if reduction == "sum":
                (F.cross_entropy(output, tag.flatten(), ignore_index=0, reduction="sum") / count).backward()
            elif reduction == "module":
                (nn.CrossEntropyLoss(ignore_index=0)(output, tag.flatten()) / 4).backward()
            else:
                (F.cross_entropy(output, tag.flatten(), ignore_index=0) / 4).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("means-of-unequal-parts")
def mean_of_every_part():
    return accumulated("mean", "sorted")


@faulty("means-of-unequal-parts")
def a_module_that_takes_means():
    return accumulated("module", "sorted")


@healthy("means-of-unequal-parts")
def sums_over_all_tokens():
    return accumulated("sum", "sorted")


@healthy("means-of-unequal-parts")
def parts_of_one_size():
    x = torch.randint(1, 12, (16, 8), generator=torch.Generator().manual_seed(0))
    y, model = tags(x), Tagger()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        for one, tag in zip(x.split(4), y.split(4), strict=True):
            (F.cross_entropy(model(one).flatten(0, 1), tag.flatten(), ignore_index=0) / 4).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}
