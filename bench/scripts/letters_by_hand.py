# A letter model of plain tensors, trained by hand.
import random

import torch
import torch.nn.functional as F

words = ["anna", "emma", "olivia", "ava", "isabella", "sophia", "mia", "ella", "amelia", "nora", "lena", "mila"] * 8
chars = sorted(set("".join(words)))
stoi = {s: i + 1 for i, s in enumerate(chars)}
stoi["."] = 0
block_size = 3


def build_dataset(words):
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + ".":
            ix = stoi[ch]
            X.append(context)
            Y.append(ix)
            context = context[1:] + [ix]
    return torch.tensor(X), torch.tensor(Y)


random.seed(42)
random.shuffle(words)
Xtr, Ytr = build_dataset(words[:80])
Xdev, Ydev = build_dataset(words[80:])
g = torch.Generator().manual_seed(2147483647)
V = len(stoi)
C = torch.randn((V, 4), generator=g)
W1 = torch.randn((12, 40), generator=g) * 0.3
b1 = torch.randn(40, generator=g) * 0.01
W2 = torch.randn((40, V), generator=g) * 0.05
b2 = torch.zeros(V)
parameters = [C, W1, b1, W2, b2]
for p in parameters:
    p.requires_grad = True

for i in range(200):
    ix = torch.randint(0, Xtr.shape[0], (32,), generator=g)
    emb = C[Xtr[ix]]
    h = torch.tanh(emb.view(-1, 12) @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Ytr[ix])
    for p in parameters:
        p.grad = None
    loss.backward()
    lr = 0.1 if i < 150 else 0.01
    for p in parameters:
        p.data += -lr * p.grad
with torch.no_grad():
    h = torch.tanh(C[Xdev].view(-1, 12) @ W1 + b1)
    print(F.cross_entropy(h @ W2 + b2, Ydev).item())
