"""Regression of a noisy sine."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build(width):
    return nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))


def train_one_epoch(model, loader, optimizer):
    model.train()
    total = 0.0
    for xb, yb in loader:
        prediction = model(xb)
        loss = nn.functional.mse_loss(prediction, yb)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    return total / len(loader.dataset)


@torch.no_grad()
def validate(model, loader):
    model.eval()
    return sum(nn.functional.mse_loss(model(x), y, reduction="sum").item() for x, y in loader) / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="the script's own")
    args = parser.parse_args()
    torch.manual_seed(0)
    x = torch.rand(256, 1) * 6 - 3
    y = torch.sin(x) + 0.05 * torch.randn_like(x)
    train, valid = TensorDataset(x[:200], y[:200]), TensorDataset(x[200:], y[200:])
    model = build(args.width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(args.epochs):
        loss = train_one_epoch(model, DataLoader(train, 32, shuffle=True), optimizer)
        print(epoch, loss, validate(model, DataLoader(valid, 56)))


if __name__ == "__main__":
    main()
