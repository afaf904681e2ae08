import torch
from torch import nn

torch.manual_seed(6)
X = torch.randn(240, 15)
y = (X.pow(2).sum(1) > 15).float()
Xtr, ytr, Xte, yte = X[:200], y[:200], X[200:], y[200:]
model = nn.Sequential(nn.Linear(15, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 1))
loss_fn = nn.BCEWithLogitsLoss()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
model.train()
for epoch in range(12):
    for i in range(0, 200, 40):
        logits = model(Xtr[i : i + 40]).squeeze(1)
        loss = loss_fn(logits, ytr[i : i + 40])
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        acc = ((model(Xte).squeeze(1) > 0) == (yte > 0.5)).float().mean()
    print(f"epoch {epoch}: {acc:.3f}")
