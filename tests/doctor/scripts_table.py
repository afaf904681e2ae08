"""Scripts in many styles: the source, and the id that must be found; None: a healthy one."""

DATA = """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
X = torch.randn(60, 6)
Y = X[:, :3].argmax(1)
"""
NET = DATA + "net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))\n"

SCRIPTS = {
    "a loop at top level": (
        NET
        + """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for i in range(30):
    opt.zero_grad()
    F.cross_entropy(net(X), Y).backward()
    opt.step()
""",
        None,
    ),
    "an embedding with padding": (
        DATA
        + """
net = nn.Sequential(nn.Embedding(9, 8, padding_idx=0), nn.Flatten(), nn.Linear(32, 3))
tokens = torch.randint(1, 9, (60, 4))
Y = tokens[:, 0] % 3
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for i in range(30):
    opt.zero_grad()
    F.cross_entropy(net(tokens), Y).backward()
    opt.step()
""",
        None,
    ),
    "weights made anew for every pass": (
        DATA
        + """
W = torch.randn(6, 3) * 0.1
for i in range(30):
    W = W.detach().requires_grad_(True)
    F.cross_entropy(X @ W, Y).backward()
    with torch.no_grad():
        W = W - 0.5 * W.grad
""",
        None,
    ),
    "gradients never zeroed": (
        NET
        + """
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
def main():
    for i in range(30):
        loss = F.cross_entropy(net(X), Y)
        loss.backward()
        opt.step()
if __name__ == "__main__":
    main()
""",
        "stale-gradients",
    ),
    "evaluated in train mode": (
        DATA
        + """
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
for epoch in range(20):
    for i in range(0, 60, 20):
        opt.zero_grad()
        F.cross_entropy(net(X[i : i + 20]), Y[i : i + 20]).backward()
        opt.step()
    with torch.no_grad():
        accuracy = (net(X).argmax(1) == Y).float().mean()
""",
        "evaluating-in-train-mode",
    ),
    "plain tensors, updated by hand": (
        DATA
        + """
W1, W2 = torch.randn(6, 16) * 0.3, torch.randn(16, 3) * 0.1
parameters = [W1, W2]
W2 *= 0.5
for p in parameters:
    p.requires_grad = True
for i in range(30):
    ix = torch.randint(0, 60, (24,))
    loss = F.cross_entropy(torch.tanh(X[ix] @ W1) @ W2, Y[ix])
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data += -0.1 * p.grad
""",
        None,
    ),
    "by hand, never zeroed": (
        DATA
        + """
w = torch.zeros(6, 1, requires_grad=True)
target = X.sum(1, keepdim=True)
for i in range(30):
    loss = ((X @ w - target) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.01 * w.grad
""",
        "stale-gradients",
    ),
    "a loss of plain arithmetic": (
        DATA
        + """
net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
target = X.sum(1)
for i in range(30):
    opt.zero_grad()
    loss = ((net(X) - target) ** 2).mean()
    loss.backward()
    opt.step()
""",
        "broadcast-output-target",
    ),
    "the loss inside the model, divided outside": (
        """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.mix, self.out = nn.Embedding(9, 16), nn.Conv1d(16, 16, 3, padding=1), nn.Linear(16, 9)
    def forward(self, idx, targets=None):
        h = torch.tanh(self.mix(self.table(idx).transpose(1, 2))).transpose(1, 2)
        logits = self.out(h)
        B, T, C = logits.shape
        loss = None if targets is None else F.cross_entropy(logits.view(B * T, C), targets.view(B * T))
        return logits, loss
data = torch.randint(0, 9, (400,))
model = Model()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(20):
    for micro in range(2):
        ix = torch.randint(0, 380, (6,)).tolist()
        x = torch.stack([data[i : i + 12] for i in ix])
        y = torch.stack([data[i + 1 : i + 13] for i in ix])
        logits, loss = model(x, y)
        (loss / 2).backward()
    opt.step()
    opt.zero_grad()
""",
        "looks-ahead",
    ),
    "two optimizers": (
        DATA
        + """
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
D = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
d_opt, g_opt = (torch.optim.Adam(net.parameters(), lr=1e-3) for net in (D, G))
bce = nn.BCEWithLogitsLoss()
one, zero = torch.ones(60, 1), torch.zeros(60, 1)
for i in range(10):
    fake = G(torch.randn(60, 4))
    d_opt.zero_grad()
    (bce(D(X), one) + bce(D(fake.detach()), zero)).backward()
    d_opt.step()
    g_opt.zero_grad()
    bce(D(fake), one).backward()
    g_opt.step()
""",
        None,
    ),
    "a closure": (
        NET
        + """
opt = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=3)
def closure():
    opt.zero_grad()
    loss = F.cross_entropy(net(X), Y)
    loss.backward()
    return loss
for i in range(5):
    opt.step(closure)
""",
        None,
    ),
    "a closure after every evaluation": (
        NET
        + """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
def closure():
    opt.zero_grad()
    loss = F.cross_entropy(net(X[:40]), Y[:40])
    loss.backward()
    return loss
for i in range(30):
    opt.step(closure)
    net.eval()
    with torch.no_grad():
        accuracy = (net(X[40:]).argmax(1) == Y[40:]).float().mean()
    net.train()
""",
        None,
    ),
    "an accuracy of one output's argmax, after an epoch": (
        NET.replace("nn.Linear(16, 3)", "nn.Linear(16, 1)")
        + """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
labels = (X[:, 0] > 0).long()
for epoch in range(9):
    for i in range(0, 60, 10):
        opt.zero_grad()
        F.binary_cross_entropy_with_logits(net(X[i : i + 10]).squeeze(1), labels[i : i + 10].float()).backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        accuracy = (net(X).argmax(1) == labels).float().mean()
    net.train()
""",
        "argmax-of-one-column",
    ),
    "scaled, in half precision": (
        NET.replace("nn.Linear(16, 3)", "nn.Linear(16, 3), nn.Softmax(1)")
        + """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu")
for i in range(20):
    opt.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = F.cross_entropy(net(X), Y)
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
""",
        "softmax-before-cross-entropy",
    ),
    "an encoder and a decoder": (
        DATA
        + """
encoder, decoder = nn.Linear(6, 4), nn.Linear(4, 6)
opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
for i in range(20):
    opt.zero_grad()
    loss = F.mse_loss(decoder(torch.tanh(encoder(X))), X)
    loss.backward()
    opt.step()
""",
        None,
    ),
    "micro-batches, zeroed before each": (
        NET
        + """
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
for i in range(40):
    opt.zero_grad()
    part = slice(15 * (i % 4), 15 * (i % 4) + 15)
    (F.cross_entropy(net(X[part]), Y[part]) / 4).backward()
    if i % 4 == 3:
        opt.step()
        pass
""",
        "gradient-thrown-away",
    ),
    "micro-batches, zeroed after the step": (
        NET
        + """
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
for i in range(40):
    pass
    part = slice(15 * (i % 4), 15 * (i % 4) + 15)
    (F.cross_entropy(net(X[part]), Y[part]) / 4).backward()
    if i % 4 == 3:
        opt.step()
        opt.zero_grad()
""",
        None,
    ),
    "a teacher, and then a pupil that is given probabilities": (
        NET
        + """
def train(model, loss_of, steps):
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        opt.zero_grad()
        loss_of(model).backward()
        opt.step()
teacher = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
train(teacher, lambda model: F.cross_entropy(model(X), Y), 12)
def distilled(model):
    with torch.no_grad():
        wanted = F.softmax(teacher(X), 1)
    return F.kl_div(F.softmax(model(X), 1), wanted, reduction="batchmean")
train(net, distilled, 12)
""",
        "kl-div-arguments",
    ),
    "a teacher, and then a pupil": (
        NET
        + """
def train(model, loss_of, steps):
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        opt.zero_grad()
        loss_of(model).backward()
        opt.step()
teacher = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
train(teacher, lambda model: F.cross_entropy(model(X), Y), 12)
def distilled(model):
    with torch.no_grad():
        wanted = F.softmax(teacher(X), 1)
    return F.kl_div(F.log_softmax(model(X), 1), wanted, reduction="batchmean")
train(net, distilled, 12)
""",
        None,
    ),
    "a divergence that is subtracted": (
        DATA
        + """
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 8), nn.Linear(4, 6)
    def forward(self, x):
        m, v = self.inner(x).chunk(2, 1)
        return self.outer(m + (0.5 * v).exp() * torch.randn_like(m)), m, v
vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=1e-3)
for i in range(10):
    made, m, v = vae(X)
    divergence = -((v.exp() + m * m - 1 - v) / 2).sum(dim=1)
    loss = F.mse_loss(made, X) + 0.01 * divergence.mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
        "divergence-is-maximised",
    ),
    "a divergence that is added": (
        DATA
        + """
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 8), nn.Linear(4, 6)
    def forward(self, x):
        m, v = self.inner(x).chunk(2, 1)
        return self.outer(m + (0.5 * v).exp() * torch.randn_like(m)), m, v
vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=1e-3)
for i in range(10):
    made, m, v = vae(X)
    divergence = ((v.exp() + m * m - 1 - v) / 2).sum(dim=1)
    loss = F.mse_loss(made, X) + 0.01 * divergence.mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
        None,
    ),
    "a decoder that is given what it is to say": (
        DATA
        + """
table, net, out = nn.Embedding(9, 16), nn.GRU(16, 16, batch_first=True), nn.Linear(16, 9)
reads = nn.GRU(16, 16, batch_first=True)
trained = [p for part in (table, net, out, reads) for p in part.parameters()]
opt = torch.optim.Adam(trained, lr=1e-2)
for i in range(10):
    source = torch.randint(1, 9, (20, 5))
    target = source.roll(2, 1)
    _, state = reads(table(source))
    given = target
    logits = out(net(table(given), state)[0])
    opt.zero_grad()
    F.cross_entropy(logits.transpose(1, 2), target).backward()
    opt.step()
""",
        "targets-not-shifted",
    ),
    "a decoder that is given what was said before": (
        DATA
        + """
table, net, out = nn.Embedding(9, 16), nn.GRU(16, 16, batch_first=True), nn.Linear(16, 9)
reads = nn.GRU(16, 16, batch_first=True)
trained = [p for part in (table, net, out, reads) for p in part.parameters()]
opt = torch.optim.Adam(trained, lr=1e-2)
for i in range(10):
    source = torch.randint(1, 9, (20, 5))
    target = source.roll(2, 1)
    _, state = reads(table(source))
    given = F.pad(target, (1, 0))[:, :-1]
    logits = out(net(table(given), state)[0])
    opt.zero_grad()
    F.cross_entropy(logits.transpose(1, 2), target).backward()
    opt.step()
""",
        None,
    ),
    "clipped while it is scaled": (
        NET
        + """
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for i in range(20):
    opt.zero_grad()
    scaler.scale(F.cross_entropy(net(X), Y)).backward()
    pass
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
""",
        "clip-before-unscale",
    ),
    "unscaled, and then clipped": (
        NET
        + """
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for i in range(20):
    opt.zero_grad()
    scaler.scale(F.cross_entropy(net(X), Y)).backward()
    scaler.unscale_(opt)
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
""",
        None,
    ),
    "a policy that is asked many times": (
        NET
        + """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for i in range(10):
    place, taken, rewards = torch.rand(40), [], []
    goal = torch.rand(40)
    for t in range(4):
        policy = torch.distributions.Categorical(logits=net(torch.stack([place, goal, *[goal * 0] * 4], 1)))
        action = policy.sample()
        taken.append(policy.log_prob(action))
        place = (place + 0.2 * (action.float() - 1)).clamp(0, 1)
        rewards.append(1 - (place - goal).abs())
    returns = torch.stack(rewards).flip(0).cumsum(0).flip(0)
    loss = -(torch.stack(taken) * (returns - returns.mean(1, keepdim=True))).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
        None,
    ),
    "a part of the loss that has no weight yet": (
        NET
        + """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for i in range(12):
    known = F.cross_entropy(net(X[:20]), Y[:20])
    with torch.no_grad():
        wanted = net(X[20:] + 0.1 * torch.randn(40, 6)).softmax(1)
    alike = F.mse_loss(net(X[20:]).softmax(1), wanted)
    loss = known + min(1.0, i / 10) * alike
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
        None,
    ),
}
