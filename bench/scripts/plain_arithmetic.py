import numpy as np
import torch

rng = np.random.default_rng(0)
features = rng.normal(size=(400, 9)).astype("float32")
target = (features @ rng.normal(size=9) + 0.1 * rng.normal(size=400)).astype("float32")
features, target = torch.from_numpy(features), torch.from_numpy(target)

model = torch.nn.Sequential(torch.nn.Linear(9, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
optim = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(40):
    order = torch.randperm(400)
    for part in order.split(50):
        guess = model(features[part])
        error = ((guess - target[part]) ** 2).mean()
        optim.zero_grad()
        error.backward()
        optim.step()
