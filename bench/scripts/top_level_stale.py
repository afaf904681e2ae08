import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
data = torch.randn(300, 8)
labels = data[:, :4].argmax(dim=1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 32)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(80):
    i = torch.randint(0, 300, (32,))
    loss = F.cross_entropy(net(data[i]), labels[i])
    loss.backward()
    opt.step()
