"""Pairs about what learns: leaves nobody owns, steps that reach nothing, shared and tied layers, zero slopes."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=24, width=6, count=3):
    torch.manual_seed(0)
    y = torch.arange(samples) % count
    return torch.randn(samples, width) + 1.5 * F.one_hot(y, width), y


def case(model, batch=None, optimizer=None, loss=F.cross_entropy, **more):
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=5e-3)
    return trained(model, loss, batch or classes(), optimizer, overfit_seconds=1.0, **more)


def stepped(model, optimizer, step, loss=F.cross_entropy, batch=None):
    return {"model": model, "loss": loss, "batch": batch or classes(), "optimizer": optimizer, "step": step,
            "overfit_seconds": 0.0}  # fmt: skip


class Net(nn.Module):
    """A net made of what it is given."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.way = forward

    def forward(self, x):
        return self.way(self, x)


# learned-but-not-registered


@faulty("learned-but-not-registered")
def layers_in_a_plain_list():
    def forward(self, x):
        for layer in self.blocks:
            x = x + torch.tanh(layer(x))
        return self.head(x)

    return case(Net(forward, blocks=[nn.Linear(6, 6) for _ in range(2)], head=nn.Linear(6, 3)))


@faulty("learned-but-not-registered")
def heads_in_a_dictionary():
    def forward(self, x):
        return self.heads["kind"](torch.relu(self.body(x)))

    return case(Net(forward, body=nn.Linear(6, 12), heads={"kind": nn.Linear(12, 3)}))


@faulty("learned-but-not-registered")
def temperature_as_a_tensor():
    def forward(self, x):
        return self.body(x) * self.scale.exp()

    return case(Net(forward, body=nn.Linear(6, 3), scale=torch.zeros((), requires_grad=True)))


@faulty("learned-but-not-registered")
def layer_in_an_object_that_is_no_module():
    class Block:
        def __init__(self):
            self.linear = nn.Linear(6, 6)

        def __call__(self, x):
            return torch.relu(self.linear(x))

    return case(Net(lambda self, x: self.out(self.block(x)), block=Block(), out=nn.Linear(6, 3)))


@faulty("learned-but-not-registered")
def layer_of_nobody():
    first = nn.Linear(6, 8)
    return case(Net(lambda self, x: self.out(torch.tanh(first(x))), out=nn.Linear(8, 3)))


@faulty("learned-but-not-registered")
def weights_of_tasks_outside():
    spread = torch.zeros(2, requires_grad=True)

    def loss(output, y):
        one, two = F.cross_entropy(output, y), output.pow(2).mean()
        return (torch.exp(-spread) * torch.stack([one, two]) + spread).sum()

    return case(nn.Linear(6, 3), loss=loss)


@healthy("learned-but-not-registered")
def weights_of_tasks_in_the_optimizer():
    model, spread = nn.Linear(6, 3), torch.zeros(2, requires_grad=True)

    def loss(output, y):
        one, two = F.cross_entropy(output, y), output.pow(2).mean()
        return (torch.exp(-spread) * torch.stack([one, two]) + spread).sum()

    return case(model, optimizer=torch.optim.Adam([*model.parameters(), spread], lr=1e-3), loss=loss)


@healthy("learned-but-not-registered")
def tensor_moved_by_hand():
    model, shift = nn.Linear(6, 3), torch.zeros(3, requires_grad=True)
    (x, y), optimizer = classes(), torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x) + shift, y).backward()
        optimizer.step()
        with torch.no_grad():
            shift.sub_(0.1 * shift.grad)
            shift.grad = None

    return stepped(model, optimizer, step)


@healthy("learned-but-not-registered")
def slope_with_respect_to_places():
    """An equation's residual: places need gradients, and nobody trains them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    places = torch.linspace(0, 1, 20)[:, None].requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        u = model(places)
        (slope,) = torch.autograd.grad(u.sum(), places, create_graph=True)
        ((slope + u) ** 2).mean().backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("learned-but-not-registered")
def teacher_hidden_in_a_list():
    def forward(self, x):
        with torch.no_grad():
            hint = self.teacher[0](x)
        return self.body(torch.cat([x, hint], 1))

    return case(Net(forward, teacher=[nn.Linear(6, 4)], body=nn.Linear(10, 3)))


# parameter-without-gradient, in the user's own step


@faulty("parameter-without-gradient")
def encoder_under_no_grad_in_the_step():
    model = nn.ModuleDict({"encoder": nn.Linear(6, 8), "head": nn.Linear(8, 3)})
    both = Net(lambda self, x: self.parts["head"](torch.relu(self.parts["encoder"](x))), parts=model)
    (x, y), optimizer = classes(), torch.optim.Adam(both.parameters(), lr=1e-2)

    def step():
        with torch.no_grad():
            hidden = torch.relu(model["encoder"](x))
        optimizer.zero_grad()
        F.cross_entropy(model["head"](hidden), y).backward()
        optimizer.step()

    return stepped(both, optimizer, step)


@faulty("parameter-without-gradient")
def features_detached_in_the_step():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.classifier = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), nn.Linear(8, 3)

        def forward(self, x):
            return self.classifier(self.features(x))

    model, (x, y) = Two(), classes()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        z = model.features(x)
        loss = F.cross_entropy(model.classifier(z.detach()), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return stepped(model, optimizer, step)


@healthy("parameter-without-gradient")
def critic_and_actor_take_turns():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.actor, self.critic = nn.Linear(6, 3), nn.Linear(6, 1)

        def forward(self, x):
            return self.actor(x) + self.critic(x)

    model, (x, y) = Both(), classes()
    actor = torch.optim.Adam(model.actor.parameters(), lr=1e-3)
    critic = torch.optim.Adam(model.critic.parameters(), lr=1e-3)

    def step():
        value = model.critic(x)
        critic.zero_grad()
        (value[:, 0] - y.float()).pow(2).mean().backward()
        critic.step()
        with torch.no_grad():
            advantage = y.float() - model.critic(x)[:, 0]
        actor.zero_grad()
        (F.cross_entropy(model.actor(x), y, reduction="none") * advantage).mean().backward()
        actor.step()

    return stepped(model, [actor, critic], step)


@healthy("parameter-without-gradient")
def a_measurement_without_gradients_in_the_step():
    model, (x, y) = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), classes()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            (model(x).argmax(1) == y).float().mean()

    return stepped(model, optimizer, step)


# no-gradient-arrives


@faulty("no-gradient-arrives")
def backward_forgotten():
    model, (x, y) = nn.Linear(6, 3), classes()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        _ = loss.backward
        optimizer.step()

    return stepped(model, optimizer, step)


@faulty("no-gradient-arrives")
def loss_wrapped_again():
    model, (x, y) = nn.Linear(6, 3), classes()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        total = sum(F.cross_entropy(model(a[None]), b[None]).item() for a, b in zip(x, y, strict=True))
        torch.tensor(total / len(x), requires_grad=True).backward()
        optimizer.step()

    return stepped(model, optimizer, step)


@faulty("no-gradient-arrives")
def everything_frozen():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    for parameter in model.parameters():
        parameter.requires_grad = False
    return {"model": model, "loss": F.cross_entropy, "batch": classes(),
            "optimizer": torch.optim.Adam(model.parameters())}  # fmt: skip


@healthy("no-gradient-arrives")
def closure_of_a_line_search():
    model, (x, y) = nn.Linear(6, 3), classes()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) + 0.01 * model.weight.square().sum()
        loss.backward()
        return loss

    return stepped(model, optimizer, lambda: optimizer.step(closure))


@healthy("no-gradient-arrives")
def a_picture_is_optimised():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).requires_grad_(False)
    picture = torch.zeros(4, 6, requires_grad=True)
    optimizer = torch.optim.Adam([picture], lr=0.1)

    def step():
        optimizer.zero_grad()
        (-model(picture)[:, 1].mean()).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


# slope-is-zero, gradient-exactly-zero


@faulty("slope-is-zero")
def activations_rounded():
    def forward(self, x):
        return self.out(torch.round(self.first(x) * 4) / 4)

    return case(Net(forward, first=nn.Linear(6, 8), out=nn.Linear(8, 3)))


@faulty("slope-is-zero")
def codes_of_signs():
    torch.manual_seed(0)
    x = torch.randn(16, 6)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
    end = nn.Linear(5, 6)
    return case(Net(lambda self, x: self.end(self.code(x).sign()), code=model, end=end), (x, x), loss=F.mse_loss)


@healthy("slope-is-zero")
def rounded_straight_through():
    def forward(self, x):
        z = self.first(x)
        return self.out(z + (z.round() - z).detach())

    return case(Net(forward, first=nn.Linear(6, 8), out=nn.Linear(8, 3)))


@healthy("slope-is-zero")
def adapter_that_starts_at_zero():
    down, up = nn.Linear(6, 2, bias=False), nn.Linear(2, 3, bias=False)
    nn.init.zeros_(up.weight)
    return case(Net(lambda self, x: self.base(x) + self.up(self.down(x)), base=nn.Linear(6, 3), up=up, down=down))


@faulty("gradient-exactly-zero")
def branch_times_an_empty_mask():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 3), nn.Linear(6, 3)
            self.register_buffer("mask", torch.zeros(3))

        def forward(self, x):
            return self.one(x) + self.mask * self.two(x)

    return case(Gated())


@faulty("gradient-exactly-zero")
def clamped_beyond_its_range():
    def forward(self, x):
        return self.out(x) + self.gate(x).clamp(-9, -8).mean(1, keepdim=True)

    return case(Net(forward, out=nn.Linear(6, 3), gate=nn.Linear(6, 4)))


@healthy("gradient-exactly-zero")
def a_term_that_grows_later():
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.aux, self.weight = nn.Linear(6, 3), nn.Linear(6, 3), 0.0

        def forward(self, x):
            return self.body(x) + self.weight * self.aux(x)

    return case(Auxiliary())


@healthy("gradient-exactly-zero")
def rows_of_a_table_that_rest():
    torch.manual_seed(0)
    x = torch.randint(0, 6, (16, 4))
    model = Net(lambda self, x: self.out(self.table(x).mean(1)), table=nn.Embedding(50, 8), out=nn.Linear(8, 3))
    return case(model, (x, torch.arange(16) % 3))


# same-layer-repeated, tied-weights-apart, parameter-twice


@faulty("same-layer-repeated")
def list_times_number():
    def forward(self, x):
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return self.out(x)

    return case(Net(forward, blocks=nn.ModuleList([nn.Linear(6, 6)] * 4), out=nn.Linear(6, 3)))


@faulty("same-layer-repeated")
def one_block_unpacked():
    block = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    return case(nn.Sequential(*[block for _ in range(3)], nn.Linear(6, 3)))


@healthy("same-layer-repeated")
def one_activation_for_all():
    act = nn.GELU()
    return case(nn.Sequential(nn.Linear(6, 8), act, nn.Linear(8, 8), act, nn.Linear(8, 3)))


@healthy("same-layer-repeated")
def one_cell_through_time():
    def forward(self, x):
        for _ in range(3):
            x = x + torch.tanh(self.cell(x))
        return self.out(x)

    return case(Net(forward, cell=nn.Linear(6, 6), out=nn.Linear(6, 3)))


def language(tie):
    torch.manual_seed(0)
    x = torch.randint(0, 9, (8, 6))
    model = Net(lambda self, x: self.out(torch.tanh(self.mix(self.table(x)))), table=nn.Embedding(9, 8),
                mix=nn.Linear(8, 8), out=nn.Linear(8, 9, bias=False))  # fmt: skip
    nn.init.normal_(model.table.weight, std=0.3)
    tie(model)
    loss = lambda output, y: F.cross_entropy(output.flatten(0, 1), y.flatten())  # noqa: E731
    return case(model, (x, (x + 3) % 9), loss=loss)


def _copy(model):
    model.out.weight = nn.Parameter(model.table.weight.detach().clone())


def _copy_in_place(model):
    model.out.weight.data.copy_(model.table.weight)


def _by_data(model):
    model.out.weight.data = model.table.weight.data


def _tie(model):
    model.out.weight = model.table.weight


@faulty("tied-weights-apart")
def tied_by_a_copy():
    return language(_copy)


@faulty("tied-weights-apart")
def tied_by_copying_numbers():
    return language(_copy_in_place)


@faulty("parameter-twice")
def tied_by_data():
    return language(_by_data)


@faulty("parameter-twice")
def shared_through_data_of_two_encoders():
    one, two = nn.Linear(6, 8), nn.Linear(6, 8)
    two.weight.data = one.weight.data
    return case(
        Net(lambda self, x: self.out(torch.relu(self.one(x)) * self.two(x)), one=one, two=two, out=nn.Linear(8, 3))
    )


@healthy("tied-weights-apart")
def tied_as_it_should_be():
    return language(_tie)


@healthy("tied-weights-apart")
def not_tied_at_all():
    return language(lambda model: None)


@healthy("parameter-twice")
def layers_that_are_copies_of_one():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 8, 0.0, batch_first=True)
    model = Net(
        lambda self, x: self.out(self.body(x).mean(1)), body=nn.TransformerEncoder(layer, 2), out=nn.Linear(8, 3)
    )
    return case(model, (torch.randn(6, 4, 8), torch.arange(6) % 3))


# parameter-never-moves


@faulty("parameter-never-moves")
def put_back_after_every_step():
    model, (x, y) = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), classes()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = {name: value.clone() for name, value in model[0].state_dict().items()}

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model[0].load_state_dict(start)

    return stepped(model, optimizer, step)


@faulty("parameter-never-moves")
def updates_lost_in_rounding():
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.offset, self.out = nn.Parameter(torch.full((6,), 4096.0)), nn.Linear(6, 3)

        def forward(self, x):
            return self.out(x * self.offset / 4096)

    model = Large()
    return case(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.01))


@healthy("parameter-never-moves")
def one_group_at_rest():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters(), "lr": 0.05}]
    return case(model, optimizer=torch.optim.SGD(groups, lr=0.05))


@healthy("parameter-never-moves")
def adapter_of_two_factors():
    down, up = nn.Linear(6, 2, bias=False), nn.Linear(2, 3, bias=False)
    nn.init.zeros_(up.weight)
    return case(Net(lambda self, x: self.base(x) + self.up(self.down(x)), base=nn.Linear(6, 3), up=up, down=down),
                optimizer=None)  # fmt: skip
