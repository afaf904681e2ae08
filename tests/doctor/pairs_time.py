"""Pairs about time: states, graphs that reach back, and what is kept."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from doctor.table import faulty, healthy, trained


def sequences(samples=24, length=6):
    torch.manual_seed(8)
    x = torch.randn(samples, length, 4)
    return x, (x[:, 0, 0] > 0).long()


class Cell(nn.Module):
    """A recurrence by hand; `between` is what happens to the state from one moment to the next."""

    def __init__(self, between):
        super().__init__()
        self.inner, self.recurrent, self.out, self.between = (
            nn.Linear(4, 8),
            nn.Linear(8, 8),
            nn.Linear(8, 2),
            between,
        )

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = torch.tanh(self.inner(x[:, t]) + self.recurrent(self.between(h)))
        return self.out(h)


class Lstm(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.cell, self.out, self.cut = nn.LSTMCell(4, 8), nn.Linear(8, 2), cut

    def forward(self, x):
        state = None
        for moment in x.unbind(1):
            state = self.cell(moment, state)
            if self.cut:
                state = tuple(part.detach() for part in state)
        return self.out(self.cell(x[:, -1], state)[0])


def classified(model):
    x, y = sequences()
    return trained(model, F.cross_entropy, (x, y), torch.optim.Adam(model.parameters(), 1e-2), overfit_seconds=0.0)


@faulty("state-detached-in-time")
def data_of_the_state():
    return classified(Cell(lambda h: h.data))


@faulty("state-detached-in-time")
def both_states_detached_in_the_loop():
    return classified(Lstm(cut=True))


@faulty("state-detached-in-time")
def a_loop_in_the_step():
    x, y = sequences()
    cell, out = nn.GRUCell(4, 8), nn.Linear(8, 2)
    model = nn.ModuleList([cell, out])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step():
        h = torch.zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = cell(x[:, t], h).detach() if t < 5 else cell(x[:, t], h)
        optimizer.zero_grad()
        F.cross_entropy(out(h), y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("state-detached-in-time")
def positions_detached_beside_a_state_that_flows():
    class Refined(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.move, self.first = nn.GRUCell(2, 8), nn.Linear(8, 2), nn.Linear(24, 8)

        def forward(self, x):
            h, at = torch.tanh(self.first(x.flatten(1))), x.new_zeros(len(x), 2)
            for _ in range(4):
                at = at.detach()
                h = self.cell(at, h)
                at = at + self.move(h)
            return at

    return classified(Refined())


@healthy("state-detached-in-time")
def a_state_that_flows():
    return classified(Cell(lambda h: h))


@healthy("state-detached-in-time")
def greedy_words_with_a_state_that_flows():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.cell, self.out = nn.Embedding(5, 8), nn.GRUCell(8, 8), nn.Linear(8, 5)
            self.first = nn.Linear(4, 8)

        def forward(self, x):
            h, word, said = self.first(x[:, 0]), torch.zeros(len(x), dtype=torch.long), []
            for _ in range(4):
                h = self.cell(self.words(word.detach()), h)
                said.append(self.out(h))
                word = said[-1].argmax(-1)
            return torch.stack(said, 1).flatten(1)

    return classified(Decoder())


# 29: graphs that reach back


@faulty("graph-reaches-back")
def a_state_with_its_graph_and_retain_graph():
    x, y = sequences()

    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.out, self.memory = nn.Linear(4, 2), None

        def forward(self, x):
            now = x.mean(1)
            self.memory = now if self.memory is None else 0.5 * self.memory + self.scale * now
            return self.out(self.memory)

    model = Leaky()
    model.scale = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([model.scale], 1e-2)
    other = torch.optim.SGD(model.out.parameters(), 0.0)

    def step():
        optimizer.zero_grad()
        other.zero_grad()
        F.cross_entropy(model(x), y).backward(retain_graph=True)
        for p in model.out.parameters():
            p.grad = None
        with torch.no_grad():
            model.scale.data = model.scale.data.clone()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("graph-reaches-back")
def losses_added_up_over_the_steps():
    x, y = sequences()
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    optimizer, total = torch.optim.SGD(model.parameters(), 1e-2), [0.0]

    def step():
        optimizer.zero_grad()
        total[0] = total[0] + F.cross_entropy(model(x), y)
        total[0].backward(retain_graph=True)
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("graph-reaches-back")
def a_state_that_is_detached_between_chunks():
    x, y = sequences()
    cell, out = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 2)
    model = nn.ModuleList([cell, out])
    optimizer, kept = torch.optim.SGD(model.parameters(), 1e-2), [torch.zeros(1, 24, 8)]

    def step():
        hidden, state = cell(x, kept[0])
        kept[0] = state.detach()
        optimizer.zero_grad()
        F.cross_entropy(out(hidden[:, -1]), y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("graph-reaches-back")
def a_generator_and_its_judge():
    torch.manual_seed(0)
    maker, judge = nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    model, real = nn.ModuleList([maker, judge]), torch.randn(16, 4)
    one, two = torch.optim.Adam(judge.parameters(), 1e-3), torch.optim.Adam(maker.parameters(), 1e-3)
    loss = nn.BCEWithLogitsLoss()

    def step():
        made = maker(torch.randn(16, 3))
        one.zero_grad()
        (loss(judge(real), torch.ones(16, 1)) + loss(judge(made.detach()), torch.zeros(16, 1))).backward()
        one.step()
        two.zero_grad()
        loss(judge(made), torch.ones(16, 1)).backward()
        two.step()

    return {"model": model, "optimizer": [one, two], "step": step}


# 29: states of other samples


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x, h=None):
        hidden, h = self.gru(x, h)
        return self.out(hidden[:, -1]), h


def stateful(batch_of, begin=lambda h: h.detach()):
    model, kept = Stateful(), [None]
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        x, y = batch_of()
        out, h = model(x, kept[0])
        kept[0] = begin(h)
        optimizer.zero_grad()
        F.cross_entropy(out, y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": lambda: [step() for _ in range(3)]}


@faulty("state-of-other-samples")
def a_state_and_shuffled_sequences():
    x, y = sequences(64)
    loader = iter(DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True))
    return stateful(lambda: next(loader))


@faulty("state-of-other-samples")
def a_state_and_random_rows():
    x, y = sequences(40)

    def batch():
        rows = torch.randint(0, 40, (8,))
        return x[rows], y[rows]

    return stateful(batch, lambda h: h.data)


@healthy("state-of-other-samples")
def a_state_that_begins_anew():
    x, y = sequences(64)
    loader = iter(DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True))
    return stateful(lambda: next(loader), lambda h: torch.zeros_like(h))


@healthy("state-of-other-samples")
def chunks_of_long_sequences():
    torch.manual_seed(0)
    long, labels, at = torch.randn(8, 90, 4), torch.arange(8) % 2, [0]

    def batch():
        at[0] = (at[0] + 6) % 84
        return long[:, at[0] : at[0] + 6], labels

    return stateful(batch)


# 30: what is kept, and begun anew


def logged(keep):
    x, y = sequences()
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)

    def step():
        for _ in range(2):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            keep(loss)

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("total-keeps-graphs")
def a_total_of_losses():
    total = [0.0]

    def keep(loss):
        total[0] += loss

    return logged(keep)


@faulty("total-keeps-graphs")
def a_history_of_losses():
    history = []
    return logged(history.append)


@faulty("evaluation-keeps-graph")
def evaluated_with_gradients():
    (x, y), model = sequences(), nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    case = trained(model, F.cross_entropy, (x, y), torch.optim.SGD(model.parameters(), 1e-2))

    def evaluate():
        model.eval()
        return F.cross_entropy(model(x), y).item()

    return {**case, "evaluate": evaluate, "batch": None}


@faulty("evaluation-keeps-graph")
def accuracy_with_gradients():
    (x, y), model = sequences(), nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    case = trained(model, F.cross_entropy, (x, y), torch.optim.SGD(model.parameters(), 1e-2))
    return {**case, "evaluate": lambda: (model(x).argmax(1) == y).float().mean(), "batch": None}


def from_loaders(loader_of):
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    optimizer, keep = torch.optim.SGD(model.parameters(), 1e-2), TensorDataset(*sequences())

    def step():
        for x, y in loader_of(keep):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            break

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("loader-rebuilt-every-step")
def a_loader_built_in_the_step():
    return from_loaders(lambda data: DataLoader(data, batch_size=8, shuffle=True))


@faulty("loader-rebuilt-every-step")
def an_iterator_begun_in_the_step():
    loader = DataLoader(TensorDataset(*sequences()), batch_size=4, shuffle=True)
    return from_loaders(lambda data: iter(loader))


@faulty("many-items-a-step")
def every_logit_is_printed():
    seen = []
    (x, y), model = sequences(), nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)

    def step():
        out = model(x)
        seen.extend(out[i, j].item() for i in range(24) for j in range(2))
        optimizer.zero_grad()
        F.cross_entropy(out, y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("many-items-a-step")
def norms_one_by_one():
    (x, y), model = (
        sequences(),
        nn.Sequential(nn.Flatten(), *[nn.Linear(24, 24) for _ in range(17)], nn.Linear(24, 2)),
    )
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        for p in model.parameters():
            p.grad.norm().item()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("many-items-a-step")
def counters_that_the_optimizer_reads_out():
    layers = [layer for _ in range(17) for layer in (nn.Linear(24, 24), nn.LayerNorm(24))]
    (x, y), model = sequences(), nn.Sequential(nn.Flatten(), *layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@healthy("total-keeps-graphs")
def a_total_of_numbers():
    total = [0.0]

    def keep(loss):
        total[0] += loss.item()

    return logged(keep)


# 30: the graph of gradients


def differentiated(backward):
    (x, y), model = sequences(), nn.Sequential(nn.Flatten(), nn.Linear(24, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)

    def step():
        optimizer.zero_grad()
        backward(F.cross_entropy(model(x), y), [*model.parameters()])
        optimizer.step()
        for p in model.parameters():
            p.grad = None

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("graph-of-gradients-kept")
def create_graph_left_over():
    return differentiated(lambda loss, _: loss.backward(create_graph=True))


@faulty("graph-of-gradients-kept")
def create_graph_by_place():
    return differentiated(lambda loss, _: loss.backward(None, True, True))


@healthy("graph-of-gradients-kept")
def a_penalty_on_the_gradient():
    def backward(loss, parameters):
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        (loss + 0.1 * sum(one.square().sum() for one in slopes)).backward()

    return differentiated(backward)


@healthy("graph-of-gradients-kept")
def second_derivatives_from_the_same_graph():
    def backward(loss, parameters):
        loss.backward(create_graph=True)
        signs = [torch.randn_like(p).sign() for p in parameters]
        torch.autograd.grad([p.grad for p in parameters], parameters, signs)

    return differentiated(backward)
