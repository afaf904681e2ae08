"""A character Transformer as courses teach it, for `bench/generators.py` to compare with.

    python bench/plain_transformer.py SECONDS TRAIN HELD COUNT SEED OUT

The recipe of "Neural Networks: Zero to Hero": 4 layers, 4 heads, 64 wide, learned positions, layer norms before
attention and MLP, no dropout; batches of 32 lines drawn at random, padded to the longest; AdamW at 5e-4 with a
weight decay of 0.01, no schedule, no early stop; a line is made by running the whole of it again for every letter.
Learns from the lines of TRAIN for so many seconds, makes COUNT lines, and writes them to OUT as JSON with the
`nats` of all lines of HELD, whose letters TRAIN must have. Needs PyTorch, nothing of spellout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, LAYERS = 64, 4, 4
BATCH, RATE, DECAY = 32, 5e-4, 0.01
MADE_AT_ONCE = 200
IGNORED = -1


class Block(nn.Module):
    """Attention to what came before, then an MLP; both added to what goes in."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(WIDTH)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        batch, length, width = x.shape
        split = self.queries_keys_values(self.before_attention(x)).view(batch, length, 3, HEADS, width // HEADS)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # (B, H, T, C / H) each
        looked = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.project(looked.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(x)


class Transformer(nn.Module):
    """Token ids (B, T) to logits (B, T, V); token 0 begins and ends a line."""

    def __init__(self, size: int, longest: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size, WIDTH)
        self.positions = nn.Embedding(longest, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)], nn.LayerNorm(WIDTH))
        self.logits = nn.Linear(WIDTH, size, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of what comes after each token."""
        places = torch.arange(ids.shape[1])
        return self.logits(self.blocks(self.tokens(ids) + self.positions(places)))


class Coded:
    """Lines as padded ids: inputs `0 line` and targets `line 0`, the rest ignored."""

    def __init__(self, lines: list[str], letters: dict[str, int], longest: int) -> None:
        self.inputs = torch.zeros(len(lines), longest, dtype=torch.long)
        self.targets = torch.full((len(lines), longest), IGNORED)
        for row, line in enumerate(lines):
            ids = torch.tensor([letters[letter] for letter in line], dtype=torch.long)
            self.inputs[row, 1 : len(ids) + 1] = ids
            self.targets[row, : len(ids)] = ids
            self.targets[row, len(ids)] = 0


def loss_of(model: Transformer, coded: Coded, rows: Tensor, reduction: str = "mean") -> Tensor:
    """Cross-entropy of some lines."""
    logits, targets = model(coded.inputs[rows]), coded.targets[rows]
    return functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction=reduction
    )


def train(model: Transformer, coded: Coded, seconds: float) -> int:
    """Step until the time is over; say how many steps that were."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, betas=(0.9, 0.99))
    end, steps = perf_counter() + seconds, 0
    while perf_counter() < end:
        rows = torch.randint(len(coded.inputs), (BATCH,))
        loss = loss_of(model, coded, rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
    return steps


@torch.no_grad()
def make(model: Transformer, names: list[str], longest: int, count: int) -> list[str]:
    """Make lines; one that has not ended at the longest length is cut there."""
    made: list[str] = []
    while len(made) < count:
        ids = torch.zeros(min(MADE_AT_ONCE, count - len(made)), 1, dtype=torch.long)
        for _ in range(longest):
            chances = functional.softmax(model(ids)[:, -1], dim=-1)
            ids = torch.cat([ids, torch.multinomial(chances, 1)], dim=1)
            if (ids[:, 1:] == 0).any(1).all():
                break
        for row in ids[:, 1:].tolist():
            made.append("".join(names[one] for one in row[: row.index(0) if 0 in row else None]))
    return made


def main() -> None:
    """Train, judge, make and write."""
    seconds, train_file, held_file, count, seed, out = sys.argv[1:]
    torch.manual_seed(int(seed))
    lines, held = (Path(path).read_text("utf-8").removesuffix("\n").split("\n") for path in (train_file, held_file))
    names = ["", *sorted(set("".join(lines)))]
    letters = {letter: number for number, letter in enumerate(names)}
    longest = max(map(len, [*lines, *held])) + 1
    coded, judging = Coded(lines, letters, longest), Coded(held, letters, longest)
    model = Transformer(len(names), longest)
    steps = train(model, coded, float(seconds))
    with torch.no_grad():
        rows = torch.arange(len(held)).split(MADE_AT_ONCE)
        nats = sum(float(loss_of(model, judging, some, "sum")) for some in rows)
    found = {"lines": make(model, names, longest, int(count)), "nats": nats, "steps": steps}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
