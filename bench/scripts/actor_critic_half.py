"""Actor and critic on bandits with context; the optimizer has only the actor."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(11)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 3))
        self.critic = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, state):
        return self.actor(state), self.critic(state).squeeze(-1)


best = torch.randn(5, 3)
model = ActorCritic()
optimizer = torch.optim.Adam(model.actor.parameters(), lr=3e-3)
for update in range(60):
    states = torch.randn(64, 5)
    logits, values = model(states)
    dist = torch.distributions.Categorical(logits=logits)
    actions = dist.sample()
    rewards = ((states @ best).argmax(1) == actions).float()
    advantage = rewards - values.detach()
    loss = (
        -(dist.log_prob(actions) * advantage).mean()
        + 0.5 * F.mse_loss(values, rewards)
        - 0.01 * dist.entropy().mean()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
