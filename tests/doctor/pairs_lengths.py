"""Pairs about padding that lengths tell of, and masks that hide tokens from the first."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.pairs_data import case
from doctor.table import faulty, healthy

# 27: sequences of vectors, filled up with zeros, whose lengths the model is given


def histories(read):
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x, length):
            return self.out(read(self.net(x)[0], length))

    torch.manual_seed(0)
    length = torch.randint(3, 16, (24,))
    length[0] = 16
    x = torch.randn(24, 16, 3) * (torch.arange(16) < length[:, None])[..., None]
    model = Reads()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batch = x, length, torch.arange(24) % 2
    return {"model": model, "loss": F.cross_entropy, "batch": batch, "optimizer": optimizer, "overfit_seconds": 0.0}


@faulty("padding-changes-output")
def last_place_of_vectors():
    return histories(lambda h, length: h[:, -1])


@faulty("padding-changes-output")
def mean_over_all_vectors():
    return histories(lambda h, length: h.mean(1))


@healthy("padding-changes-output")
def place_of_the_last_vector():
    return histories(lambda h, length: h[torch.arange(len(h)), length - 1])


@healthy("padding-changes-output")
def mean_over_real_vectors():
    def read(h, length):
        mask = (torch.arange(h.shape[1]) < length[:, None])[..., None]
        return (h * mask).sum(1) / length[:, None]

    return histories(read)


# 27: a mask that hides the tokens from a token of the class


def read_at_the_first(hidden, first=1):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(12, 8), nn.Linear(8, 3)
            self.body = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)

        def forward(self, x):
            return self.out(self.body(self.table(x), src_key_padding_mask=hidden(x))[:, 0])

    torch.manual_seed(0)
    length = torch.randint(4, 10, (16,))
    x = torch.where(torch.arange(12) < length[:, None], torch.randint(2, 12, (16, 12)), 0)
    x[:, 0] = first
    return case(Encoder(), (x, x[:, 1] % 3))


@faulty("only-padding-is-read")
def real_tokens_hidden():
    return read_at_the_first(lambda x: x != 0)


@faulty("only-padding-is-read")
def real_tokens_hidden_from_another_token():
    return read_at_the_first(lambda x: x.bool(), 5)


@healthy("only-padding-is-read")
def padding_hidden():
    return read_at_the_first(lambda x: x == 0)


@healthy("only-padding-is-read")
def padding_hidden_from_another_token():
    return read_at_the_first(lambda x: x.eq(0), 5)
