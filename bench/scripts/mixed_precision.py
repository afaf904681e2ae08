import torch
from torch import nn

torch.manual_seed(2)
device = "cpu"
model = nn.Sequential(
    nn.Conv1d(4, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv1d(16, 16, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool1d(1),
    nn.Flatten(),
    nn.Linear(16, 3),
).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler(device)
wave = torch.linspace(0, 6.28, 32)
for it in range(60):
    y = torch.randint(0, 3, (24,))
    x = torch.sin(wave * (y[:, None, None] + 1) + torch.rand(24, 4, 1) * 6.28) + 0.1 * torch.randn(24, 4, 32)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device_type=device, dtype=torch.bfloat16):
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    scaler.step(optimizer)
    scaler.update()
