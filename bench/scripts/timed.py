"""A small training that says how much of the processor's time a step takes, once it has run for a while.

python timed.py STEPS [perceptron | convolutional | recurrent | attention | by-hand]
"""

import hashlib
import sys
import time

import torch
from torch import nn

steps, kind = int(sys.argv[1]), (*sys.argv[2:], "perceptron")[0]
torch.manual_seed(0)
x = torch.randn(256, 20)
y = x[:, :4].argmax(1)
if kind == "convolutional":
    x = x[:64].repeat(1, 8)[:, :144].view(64, 1, 12, 12)
    y = y[:64]
    body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU())
    net = nn.Sequential(body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 4))
elif kind == "recurrent":

    class Recurrent(nn.Module):
        """Reads a row as ten pairs."""

        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.GRU(2, 32, batch_first=True), nn.Linear(32, 4)

        def forward(self, rows):
            """What the last state says."""
            return self.outer(self.inner(rows.view(-1, 10, 2))[0][:, -1])

    net = Recurrent()
elif kind == "attention":
    x, y = x[:64].view(64, 10, 2).repeat(1, 1, 8), y[:64]
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Flatten(), nn.Linear(160, 4))
else:
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
optimizer = None if kind == "by-hand" else torch.optim.Adam(net.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
parameters = list(net.parameters())
began = 0.0
for step in range(steps):
    if step == steps // 2:
        began = time.process_time()
    if optimizer is None:
        for p in parameters:
            p.grad = None
        criterion(net(x), y).backward()
        with torch.no_grad():
            for p in parameters:
                p -= 0.1 * p.grad
        continue
    optimizer.zero_grad()
    loss = criterion(net(x), y)
    loss.backward()
    optimizer.step()
print("milliseconds a step:", (time.process_time() - began) / (steps - steps // 2) * 1000)
print("weights:", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
