import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(7)
latent = 8
G = nn.Sequential(nn.Linear(latent, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 6), nn.Tanh())
D = nn.Sequential(nn.Linear(6, 48), nn.LeakyReLU(0.1), nn.Linear(48, 1), nn.Sigmoid())
g_opt = torch.optim.Adam(G.parameters(), lr=1e-3)
d_opt = torch.optim.Adam(D.parameters(), lr=1e-3)
real_data = torch.tanh(torch.randn(512, 6) + 0.5)


def d_loss_fn(real, fake):
    ones, zeros = torch.ones(len(real), 1), torch.zeros(len(fake), 1)
    return F.binary_cross_entropy_with_logits(D(real), ones) + F.binary_cross_entropy_with_logits(D(fake), zeros)


for step in range(50):
    real = real_data[torch.randint(0, 512, (32,))]
    with torch.no_grad():
        fake = G(torch.randn(32, latent))
    d_opt.zero_grad()
    d_loss = d_loss_fn(real, fake)
    d_loss.backward()
    d_opt.step()

    g_opt.zero_grad()
    g_loss = F.binary_cross_entropy_with_logits(D(G(torch.randn(32, latent))), torch.ones(32, 1))
    g_loss.backward()
    g_opt.step()
