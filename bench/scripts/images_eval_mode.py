from __future__ import print_function

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.dropout = nn.Dropout(0.25)
        self.fc = nn.Linear(16 * 5 * 5, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = torch.flatten(self.dropout(x), 1)
        return F.log_softmax(self.fc(x), dim=1)


def pictures(n):
    x = 0.3 * torch.randn(n, 1, 14, 14)
    y = torch.randint(0, 4, (n,))
    for i in range(n):
        r, c = divmod(int(y[i]), 2)
        x[i, 0, 7 * r : 7 * r + 7, 7 * c : 7 * c + 7] += 1.0
    return x, y


def train(model, device, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % 10 == 0:
            print("Train Epoch: {} Loss: {:.6f}".format(epoch, loss.item()))


def test(model, device, loader):
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data.to(device))
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            correct += (
                output.argmax(1, keepdim=True).eq(target.view_as(output.argmax(1, keepdim=True))).sum().item()
            )
    print("Test set: accuracy {}/{}".format(correct, len(loader.dataset)))


def main():
    torch.manual_seed(1)
    device = torch.device("cpu")
    sets = [torch.utils.data.TensorDataset(*pictures(n)) for n in (320, 64)]
    train_loader = torch.utils.data.DataLoader(sets[0], batch_size=16, shuffle=True)
    test_loader = torch.utils.data.DataLoader(sets[1], batch_size=32)
    model = Net().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    for epoch in range(1, 4):
        train(model, device, train_loader, optimizer, epoch)
        test(model, device, test_loader)


if __name__ == "__main__":
    main()
