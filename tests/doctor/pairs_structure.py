"""Pairs about what depends on what: on no input, on other samples, on the future, on scrambled axes."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def case(model, loss, batch, **more):
    return trained(model, loss, batch, torch.optim.Adam(model.parameters(), lr=3e-3), **more)


def sequences(samples=6, length=7, width=8, count=3):
    torch.manual_seed(0)
    return torch.randn(samples, length, width), torch.arange(samples) % count


def text(samples=6, length=9, letters=11):
    torch.manual_seed(0)
    line = torch.randint(0, letters, (samples, length + 1))
    return line[:, :-1], line[:, 1:]


def every(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


# 9


class Detached(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.first, self.last, self.mode = nn.Linear(8, 16), nn.Linear(16, 3), mode

    def forward(self, x):
        h = self.first(x.mean(1))
        if self.mode == "zeros":
            h = torch.zeros_like(h)
        if self.mode == "one":
            h = F.layer_norm(h[..., None], (1,)).squeeze(-1)
        if self.mode == "dead":
            h = torch.relu(h)
        return self.last(h)


@faulty("output-ignores-input")
def overwritten_by_zeros():
    return case(Detached("zeros"), F.cross_entropy, sequences())


@faulty("output-ignores-input")
def normalised_one_by_one():
    return case(Detached("one"), F.cross_entropy, sequences())


@faulty("output-ignores-input")
def every_unit_dead():
    model = Detached("dead")
    nn.init.constant_(model.first.bias, -100.0)
    return case(model, F.cross_entropy, sequences())


@healthy("output-ignores-input")
def last_layer_starts_at_zero():
    model = Detached("dead")
    nn.init.zeros_(model.last.weight)
    nn.init.zeros_(model.last.bias)
    return case(model, F.cross_entropy, sequences())


@healthy("output-ignores-input")
def tokens_through_an_embedding():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(11, 8), nn.Linear(8, 3)

        def forward(self, index):
            return self.out(self.table(index).mean(1))

    return case(Bag(), F.cross_entropy, (text()[0], torch.arange(6) % 3))


# 10


class Recurrent(nn.Module):
    def __init__(self, first, kind=nn.LSTM):
        super().__init__()
        self.net, self.out = kind(8, 12, batch_first=first), nn.Linear(12, 3)

    def forward(self, x):
        return self.out(self.net(x)[0][:, -1])


@faulty("samples-mix")
def lstm_without_batch_first():
    return case(Recurrent(False), F.cross_entropy, sequences())


@faulty("samples-mix")
def encoder_without_batch_first():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
            self.net, self.out = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(self.net(x).mean(1))

    return case(Encoder(), F.cross_entropy, sequences())


@faulty("samples-mix")
def normalised_over_the_batch_by_hand():
    class Normed(Detached):
        def forward(self, x):
            h = self.first(x.mean(1))
            return self.last((h - h.mean(0)) / (h.std(0) + 1e-5))

    return case(Normed(""), F.cross_entropy, sequences())


@faulty("samples-mix")
def tagger_with_the_batch_as_time():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net, self.out = nn.Embedding(11, 8), nn.GRU(8, 12), nn.Linear(12, 4)

        def forward(self, index):
            return self.out(self.net(self.table(index))[0])

    x, _ = text()
    return case(Tagger(), every, (x, (x % 4).flip(1)))


@healthy("samples-mix")
def lstm_with_batch_first():
    return case(Recurrent(True, nn.GRU), F.cross_entropy, sequences())


@healthy("samples-mix")
def time_first_inside():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.LSTM(8, 12), nn.Linear(12, 3)

        def forward(self, x):
            _, (h, _) = self.net(x.transpose(0, 1))
            return self.out(h[-1])

    return case(Turned(), F.cross_entropy, sequences())


@healthy("samples-mix")
def time_first_data():
    class Outside(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.LSTM(8, 12), nn.Linear(12, 3)

        def forward(self, x):
            return self.out(self.net(x)[0][-1])

    x, y = sequences()
    return case(Outside(), F.cross_entropy, (x.transpose(0, 1).contiguous(), y))


@healthy("samples-mix")
def batchnorm_in_train_mode():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(56, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)
    )
    return case(model, F.cross_entropy, sequences())


# 11


class Language(nn.Module):
    """A small causal model, in the given way."""

    def __init__(self, way, letters=11):
        super().__init__()
        self.table, self.place = nn.Embedding(letters, 12), nn.Embedding(16, 12)
        self.way, self.out = way, nn.Linear(12, letters)
        if way == "both":
            self.net = nn.GRU(12, 6, batch_first=True, bidirectional=True)
        elif way in ("attention", "masked"):
            self.net = nn.MultiheadAttention(12, 2, batch_first=True)
        elif way in ("same", "left"):
            self.net = nn.Conv1d(12, 12, 3, padding=1 if way == "same" else 0)
        else:
            self.net = nn.LSTM(12, 12, batch_first=True)

    def forward(self, index):
        length = index.shape[1]
        x = 0.3 * (self.table(index) + self.place(torch.arange(length, device=index.device)))
        if self.way in ("attention", "masked"):
            mask = torch.ones(length, length, dtype=torch.bool).triu(1) if self.way == "masked" else None
            x = x + self.net(x, x, x, attn_mask=mask, need_weights=False)[0]
        elif self.way == "same":
            x = x + self.net(x.transpose(1, 2)).transpose(1, 2)
        elif self.way == "left":
            x = x + self.net(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
        else:
            x = self.net(x)[0]
        return self.out(x)


@faulty("looks-ahead")
def attention_without_a_mask():
    return case(Language("attention"), every, text())


@faulty("looks-ahead")
def bidirectional_language_model():
    return case(Language("both"), every, text())


@faulty("looks-ahead")
def convolution_padded_on_both_sides():
    return case(Language("same"), lambda z, y: F.cross_entropy(z.transpose(1, 2), y), text())


@faulty("looks-ahead")
def forecast_that_sees_tomorrow():
    class Forecast(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Conv1d(2, 2, 5, padding=2)

        def forward(self, x):
            return self.net(x.transpose(1, 2)).transpose(1, 2)

    torch.manual_seed(0)
    series = torch.randn(5, 14, 2)
    return case(Forecast(), F.mse_loss, (series[:, :-1], series[:, 1:]))


@healthy("looks-ahead")
def attention_with_a_mask():
    return case(Language("masked"), every, text())


@healthy("looks-ahead")
def convolution_padded_on_the_left():
    return case(Language("left"), every, text())


@healthy("looks-ahead")
def recurrent_language_model():
    return case(Language("lstm"), every, text())


@healthy("looks-ahead")
def tagger_may_see_both_sides():
    x, _ = text()
    return case(Language("both", 11), every, (x, (x * 3 + x.roll(1, 1)) % 11))


# 12


@faulty("reshape-scrambles-axes")
def view_for_time_first():
    class Viewed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.out = nn.LSTM(8, 12), nn.Linear(12, 3)

        def forward(self, x):
            b, t, c = x.shape
            return self.out(self.net(x.view(t, b, c))[0][-1])

    return case(Viewed(), F.cross_entropy, sequences())


class Heads(nn.Module):
    """Attention with two heads, split and merged with or without transposing."""

    def __init__(self, split, merge):
        super().__init__()
        self.qkv, self.out, self.split, self.merge = nn.Linear(8, 24), nn.Linear(8, 3), split, merge

    def heads(self, x):
        b, t, _ = x.shape
        return x.view(b, t, 2, 4).transpose(1, 2) if self.split else x.reshape(b, 2, t, 4)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = map(self.heads, self.qkv(x).chunk(3, dim=-1))
        y = F.softmax(q @ k.mT / 2, dim=-1) @ v
        y = y.transpose(1, 2).reshape(b, t, c) if self.merge else y.reshape(b, t, c)
        return self.out(y.mean(1))


@faulty("reshape-scrambles-axes")
def heads_split_by_view():
    return case(Heads(False, True), F.cross_entropy, sequences())


@faulty("reshape-scrambles-axes")
def heads_merged_by_view():
    return case(Heads(True, False), F.cross_entropy, sequences())


@faulty("reshape-scrambles-axes")
def logits_viewed_for_the_loss():
    def loss(logits, y):
        b, t, c = logits.shape
        return F.cross_entropy(logits.view(b, c, t), y)

    return case(Language("masked"), loss, text())


@faulty("reshape-scrambles-axes")
def channels_last_images_viewed():
    class Images(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.out = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

        def forward(self, x):
            x = x.view(x.shape[0], x.shape[3], x.shape[1], x.shape[2])
            return self.out(F.relu(self.conv(x)).mean((2, 3)))

    torch.manual_seed(0)
    return case(Images(), F.cross_entropy, (torch.randn(6, 8, 8, 3), torch.arange(6) % 4))


@healthy("reshape-scrambles-axes")
def heads_split_and_merged_right():
    return case(Heads(True, True), F.cross_entropy, sequences())


@healthy("reshape-scrambles-axes")
def images_flattened():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 4))
    return case(model, F.cross_entropy, (torch.randn(6, 1, 8, 8), torch.arange(6) % 4))


@healthy("reshape-scrambles-axes")
def neighbours_joined_as_in_wavenet():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.one, self.two, self.out = (
                nn.Embedding(11, 6),
                nn.Linear(12, 10),
                nn.Linear(20, 10),
                nn.Linear(20, 11),
            )

        def forward(self, index):
            x = self.table(index)
            for layer in (self.one, self.two):
                b, t, c = x.shape
                x = torch.tanh(layer(x.view(b, t // 2, c * 2)))
            return self.out(x.view(x.shape[0], -1))

    x, _ = text(length=8)
    return case(Joined(), F.cross_entropy, (x, x[:, 0]))
