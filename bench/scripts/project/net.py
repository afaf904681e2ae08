import torch
from torch import nn


class Attention(nn.Module):
    """One head over the words of a sentence."""

    def __init__(self, d):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2) / x.shape[-1] ** 0.5
        return torch.softmax(scores, dim=0) @ self.v(x)


class Tagger(nn.Module):
    def __init__(self, words, tags, d=24):
        super().__init__()
        self.table, self.attention, self.out = nn.Embedding(words, d), Attention(d), nn.Linear(d, tags)

    def forward(self, x):
        h = self.table(x)
        return self.out(h + self.attention(h)).mean(1)
