import torch
from torch import nn

torch.manual_seed(4)
t = torch.linspace(0, 4, 60).unsqueeze(1)
signal = torch.exp(-t) * torch.cos(3 * t)
net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=6)
for i in range(15):

    def closure():
        optimizer.zero_grad()
        loss = ((net(t) - signal) ** 2).mean()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    print(i, loss.item())
