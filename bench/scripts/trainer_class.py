import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, classes))

    def forward(self, features):
        return torch.softmax(self.body(features), dim=-1)


class Trainer:
    def __init__(self, model, lr=1e-2):
        self.model = model
        self.optim = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.loss = nn.CrossEntropyLoss()
        self.history = []

    def training_step(self, batch):
        x, y = batch
        self.optim.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optim.step()
        self.history.append(float(loss))

    def evaluate(self, batch):
        self.model.eval()
        with torch.no_grad():
            hits = (self.model(batch[0]).argmax(1) == batch[1]).float().mean().item()
        self.model.train()
        return hits

    def fit(self, batches, epochs):
        for _ in range(epochs):
            for batch in batches:
                self.training_step(batch)
            print(self.evaluate(batches[0]))


if __name__ == "__main__":
    torch.manual_seed(5)
    w = torch.randn(12, 5)
    batches = []
    for _ in range(8):
        x = torch.randn(40, 12)
        batches.append((x, (x @ w).argmax(1)))
    Trainer(Classifier(12, 32, 5)).fit(batches, 10)
