"""Which language is a name from? A recurrent cell, called letter by letter; the optimizer forgot the readout."""

import random

import torch
import torch.nn as nn

names = {
    "it": ["rossi", "bianchi", "russo", "romano", "gallo"],
    "de": ["schmidt", "schulz", "koch", "bauer", "wolf"],
    "jp": ["tanaka", "suzuki", "sato", "kimura", "mori"],
}
letters = "abcdefghijklmnopqrstuvwxyz"


class RNN(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.hidden_size = hidden
        self.i2h = nn.Linear(inputs + hidden, hidden)
        self.h2o = nn.Linear(hidden, outputs)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        hidden = torch.tanh(self.i2h(torch.cat((input, hidden), 1)))
        return self.softmax(self.h2o(hidden)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


def lineToTensor(line):
    tensor = torch.zeros(len(line), 1, 26)
    for li, letter in enumerate(line):
        tensor[li][0][letters.index(letter)] = 1
    return tensor


random.seed(0)
torch.manual_seed(0)
rnn = RNN(26, 24, 3)
criterion = nn.NLLLoss()
optimizer = torch.optim.SGD(rnn.i2h.parameters(), lr=0.05)
for it in range(200):
    c = random.choice(list(names))
    line, category = lineToTensor(random.choice(names[c])), torch.tensor([list(names).index(c)])
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for i in range(line.size()[0]):
        output, hidden = rnn(line[i], hidden)
    loss = criterion(output, category)
    loss.backward()
    optimizer.step()
