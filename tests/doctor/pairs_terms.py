"""Pairs about labels of similarities, terms made of decisions, layers that are one, and joined tensors."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.pairs_flows import rows, stepping
from doctor.table import faulty, healthy

# 26: partners


def aligned(loss):
    x = rows()

    def of(model):
        a = F.normalize(model["one"](x), dim=1)
        b = F.normalize(model["other"](x.tanh()), dim=1)
        return loss(a, b)

    return stepping({"one": nn.Linear(8, 8), "other": nn.Linear(8, 8)}, of)


@faulty("one-partner-for-all")
def pairs_whose_labels_are_zeros():
    return aligned(lambda a, b: F.cross_entropy(a @ b.T / 0.1, torch.zeros(len(a), dtype=torch.long)))


@faulty("one-partner-for-all")
def pairs_whose_labels_are_filled():
    def loss(a, b):
        table = torch.einsum("id,jd->ij", a, b) * 8.0
        labels = torch.full((len(a),), len(a) - 1)
        return (F.cross_entropy(table, labels) + F.cross_entropy(table.t(), labels)) / 2

    return aligned(loss)


@healthy("one-partner-for-all")
def pairs_that_are_counted():
    return aligned(lambda a, b: F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a))))


@healthy("one-partner-for-all")
def a_partner_before_a_queue():
    queue = F.normalize(torch.randn(39, 8), dim=1)

    def loss(a, b):
        table = torch.cat([(a * b).sum(1, keepdim=True), a @ queue.T], dim=1) / 0.2
        return F.cross_entropy(table, torch.zeros(len(a), dtype=torch.long))

    return aligned(loss)


# 26: terms of decisions


def marked(term):
    x = rows()
    y = (x[:, :1] > 0.5).float()

    def loss(model):
        logits = model["net"](x)
        return F.binary_cross_entropy_with_logits(logits, y) + 0.5 * term(logits, y)

    return stepping({"net": nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 1))}, loss)


def overlap(p, y):
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


@faulty("term-of-decisions")
def an_overlap_of_decisions():
    return marked(lambda logits, y: overlap((torch.sigmoid(logits) > 0.5).float(), y))


@faulty("term-of-decisions")
def a_rate_of_rounded_probabilities():
    def term(logits, y):
        wrong = torch.sigmoid(logits).round().ne(y)
        return wrong.float().mean()

    return marked(term)


@healthy("term-of-decisions")
def an_overlap_of_probabilities():
    return marked(lambda logits, y: overlap(torch.sigmoid(logits), y))


@healthy("term-of-decisions")
def hard_samples_chosen_by_their_loss():
    def term(logits, y):
        each = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
        hard = (each > each.mean()).float()
        return (each * hard).sum() / hard.sum().clamp(min=1)

    return marked(term)
