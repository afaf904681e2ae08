import torch
from torch import nn

torch.manual_seed(9)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 64), nn.Linear(64, 6)

    def forward(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))))


model = torch.compile(MLP())
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
w = torch.randn(16, 6)
for step in range(60):
    x = torch.randn(64, 16)
    loss = nn.functional.cross_entropy(model(x), (x @ w).argmax(1))
    opt.zero_grad()
    loss.backward()
    opt.step()
