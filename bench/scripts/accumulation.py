import torch
import torch.nn as nn

torch.manual_seed(0)
ACCUM = 4
net = nn.Sequential(nn.Linear(20, 64), nn.LayerNorm(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 5))
opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=5e-3, total_steps=40)
w = torch.randn(20, 5)
step = 0
opt.zero_grad()
for micro in range(160):
    x = torch.randn(8, 20)
    y = (x @ w).argmax(1)
    loss = nn.functional.cross_entropy(net(x), y, label_smoothing=0.05) / ACCUM
    loss.backward()
    if (micro + 1) % ACCUM == 0:
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        sched.step()
        opt.zero_grad()
        step += 1
