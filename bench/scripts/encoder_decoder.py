"""Reverse a short sequence: an encoder and a decoder, each with its optimizer."""

import torch
from torch import nn, optim

SOS, V, H, L = 0, 9, 32, 5
torch.manual_seed(0)


class EncoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.gru = nn.Embedding(V, H), nn.GRU(H, H, batch_first=True)

    def forward(self, x):
        return self.gru(self.embedding(x))


class DecoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.gru, self.out = nn.Embedding(V, H), nn.GRU(H, H, batch_first=True), nn.Linear(H, V)

    def forward(self, token, hidden):
        output, hidden = self.gru(torch.relu(self.embedding(token)), hidden)
        return self.out(output), hidden


def train(source, target, encoder, decoder, enc_opt, dec_opt, criterion):
    enc_opt.zero_grad()
    dec_opt.zero_grad()
    _, hidden = encoder(source)
    token = torch.full((len(source), 1), SOS)
    loss = 0
    for t in range(L):
        logits, hidden = decoder(token, hidden)
        loss = loss + criterion(logits.squeeze(1), target[:, t])
        token = target[:, t : t + 1]
    loss.backward()
    enc_opt.step()
    dec_opt.step()
    return loss.item() / L


encoder, decoder = EncoderRNN(), DecoderRNN()
enc_opt, dec_opt = optim.Adam(encoder.parameters(), lr=5e-3), optim.Adam(decoder.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()
for step in range(60):
    source = torch.randint(1, V, (16, L))
    value = train(source, source.flip(1), encoder, decoder, enc_opt, dec_opt, criterion)
    if step % 20 == 0:
        print(step, value)
