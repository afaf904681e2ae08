"""Pairs about the evaluation: its inputs, its decisions, its rates."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy


def data(samples=100, classes=3, width=6):
    torch.manual_seed(6)
    x = torch.randn(samples, width)
    return x, (x @ torch.randn(width, classes)).argmax(1)


def net(outputs=3, width=6):
    return nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, outputs))


def judged(evaluate, model=None, batch=None, loss=F.cross_entropy):
    """A healthy step, and the evaluation that is given: it takes the model."""
    model, (x, y) = model or net(), batch or data()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def step():
        model.train()
        rows = torch.randperm(len(x))[:20]
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()

    def measured():
        model.eval()
        with torch.no_grad():
            return evaluate(model)

    return {"model": model, "optimizer": optimizer, "step": step, "evaluate": measured}


TEST = data()


def binary(samples=100):
    x, _ = data(samples)
    return x, (x[:, :1] > 0).float()


# 28: decisions


@faulty("argmax-of-one-column")
def argmax_of_a_score():
    x, y = binary()
    return judged(
        lambda model: (model(x).argmax(1) == y.flatten()).float().mean().item(),
        net(1),
        (x, y),
        F.binary_cross_entropy_with_logits,
    )


@faulty("argmax-of-one-column")
def torch_max_of_a_column_as_in_a_tutorial():
    x, y = binary()

    def accuracy(model):
        correct = total = 0
        for xb, yb in zip(x.split(25), y.split(25), strict=True):
            _, predicted = torch.max(torch.sigmoid(model(xb)).data, 1)
            total += yb.size(0)
            correct += (predicted == yb.squeeze(1)).sum().item()
        return 100 * correct / total

    return judged(accuracy, net(1), (x, y), nn.BCEWithLogitsLoss())


@healthy("argmax-of-one-column")
def two_columns_and_argmax():
    x, y = data(classes=2)
    return judged(lambda model: (model(x).argmax(dim=-1) == y).sum().item() / len(y), net(2), (x, y))


@healthy("argmax-of-one-column")
def a_score_and_its_sign():
    x, y = binary()
    return judged(
        lambda model: ((model(x) > 0).float() == y).float().mean().item(),
        net(1),
        (x, y),
        F.binary_cross_entropy_with_logits,
    )


@faulty("argmax-over-wrong-axis")
def argmax_of_everything():
    x, y = data()
    return judged(lambda model: (model(x).argmax() == y).float().mean().item())


@faulty("argmax-over-wrong-axis")
def as_many_samples_as_classes():
    x, y = data(samples=60, classes=6)

    def accuracy(model):
        hits = sum(
            (torch.argmax(model(xb), 0) == yb).sum().item() for xb, yb in zip(x.split(6), y.split(6), strict=True)
        )
        return hits / len(x)

    return judged(accuracy, net(6), (x, y))


@healthy("argmax-over-wrong-axis")
def one_sample_at_a_time():
    x, y = data(samples=30)
    return judged(
        lambda model: sum(int(model(one).argmax() == label) for one, label in zip(x, y, strict=True)) / len(x)
    )


@healthy("argmax-over-wrong-axis")
def pairs_are_matched_both_ways():
    torch.manual_seed(0)
    x = torch.randn(12, 6)
    other = x + 0.1 * torch.randn(12, 6)

    class Matcher(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 8), nn.Linear(6, 8)

        def forward(self, x):
            return self.one(x) @ self.two(other[: len(x)]).T

    def recall(model):
        scores, own = model(x), torch.arange(len(x))
        return ((scores.argmax(0) == own).float().mean() + (scores.argmax(1) == own).float().mean()).item() / 2

    model = Matcher()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step():
        optimizer.zero_grad()
        scores, own = model(x), torch.arange(len(x))
        (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)).backward()
        optimizer.step()

    @torch.no_grad()
    def evaluate():
        return recall(model.eval())

    return {"model": model, "optimizer": optimizer, "step": step, "evaluate": evaluate}


@faulty("output-compared-undecided")
def probabilities_equal_labels():
    x, y = binary()
    return judged(
        lambda model: (torch.sigmoid(model(x)) == y).float().mean().item(),
        net(1),
        (x, y),
        F.binary_cross_entropy_with_logits,
    )


@faulty("output-compared-undecided")
def the_values_of_max_instead_of_the_places():
    x, y = data()

    def accuracy(model):
        best, _ = model(x).max(1)
        return best.eq(y).sum().item() / y.numel()

    return judged(accuracy)


@healthy("output-compared-undecided")
def rounded_probabilities():
    x, y = binary()
    return judged(
        lambda model: torch.round(torch.sigmoid(model(x))).eq(y).float().mean().item(),
        net(1),
        (x, y),
        nn.BCEWithLogitsLoss(),
    )


@healthy("output-compared-undecided")
def numbers_that_are_rounded_to_labels():
    x, y = data()
    target = y.float()[:, None]
    return judged(lambda model: (model(x).round() == target).float().mean().item(), net(1), (x, target), F.mse_loss)


@faulty("logits-compared-with-half")
def half_of_a_logit():
    x, y = binary()
    return judged(
        lambda model: ((model(x) > 0.5) == y.bool()).float().mean().item(), net(1), (x, y), nn.BCEWithLogitsLoss()
    )


@faulty("logits-compared-with-half")
def half_of_a_squeezed_logit():
    x, y = binary()

    def f1(model):
        said = (model(x).squeeze(-1) >= 0.5).long()
        true = y.squeeze(-1).long()
        hits = (said & true).sum().item()
        return 2 * hits / max(1, said.sum().item() + true.sum().item())

    return judged(f1, net(1), (x, y), F.binary_cross_entropy_with_logits)


@healthy("logits-compared-with-half")
def half_of_a_probability():
    x, y = binary()
    return judged(
        lambda model: ((model(x).sigmoid() > 0.5).float() == y).float().mean().item(),
        net(1),
        (x, y),
        nn.BCEWithLogitsLoss(),
    )


@healthy("logits-compared-with-half")
def a_model_with_a_sigmoid_inside():
    x, y = binary()
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
    return judged(lambda model: ((model(x) > 0.5) == (y > 0.5)).float().mean().item(), model, (x, y), nn.BCELoss())


# 28: rates


def in_batches(size=16):
    x, y = data()
    return list(zip(x.split(size), y.split(size), strict=True))


@faulty("rate-by-wrong-count")
def right_by_batches():
    def accuracy(model):
        correct = 0
        for xb, yb in in_batches():
            correct += (model(xb).argmax(1) == yb).sum().item()
        return correct / len(in_batches())

    return judged(accuracy)


@faulty("rate-by-wrong-count")
def percent_by_the_batches_among_others():
    def metrics(model):
        loss, hits = 0.0, torch.tensor(0)
        for xb, yb in in_batches(20):
            out = model(xb)
            loss += F.cross_entropy(out, yb, reduction="sum").item()
            hits += out.max(dim=1).indices.eq(yb).sum()
        return {"loss": loss / 100, "accuracy": 100.0 * hits / len(in_batches(20))}

    return judged(metrics)


@healthy("rate-by-wrong-count")
def right_by_samples_in_percent():
    def accuracy(model):
        hits = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in in_batches())
        return 100 * hits / 100

    return judged(accuracy)


@healthy("rate-by-wrong-count")
def how_many_were_right():
    return judged(lambda model: sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in in_batches(25)))


@faulty("mean-loss-by-wrong-count")
def means_by_the_number_of_samples():
    def loss(model):
        total = 0.0
        for xb, yb in in_batches(20):
            total += F.cross_entropy(model(xb), yb).item()
        return total / 100

    return judged(loss)


@faulty("mean-loss-by-wrong-count")
def sums_by_the_number_of_batches():
    def losses(model):
        criterion, total, batches = nn.CrossEntropyLoss(), 0.0, 0
        for xb, yb in in_batches(25):
            total += criterion(model(xb), yb).item() * xb.size(0)
            batches += 1
        return total / batches, batches

    return judged(losses)


@healthy("mean-loss-by-wrong-count")
def sums_by_the_number_of_samples():
    def loss(model):
        return sum(F.cross_entropy(model(xb), yb, reduction="sum").item() for xb, yb in in_batches()) / 100

    return judged(loss)


@healthy("mean-loss-by-wrong-count")
def means_weighed_by_their_sizes():
    def loss(model):
        return sum(F.cross_entropy(model(xb), yb).item() * len(xb) for xb, yb in in_batches(30)) / 100

    return judged(loss)


@faulty("mean-of-uneven-batches")
def a_last_batch_of_four():
    def loss(model):
        return sum(F.cross_entropy(model(xb), yb).item() for xb, yb in in_batches(48)) / len(in_batches(48))

    return judged(loss)


@faulty("mean-of-uneven-batches")
def accuracies_of_uneven_batches():
    def accuracy(model):
        shares = [(model(xb).argmax(-1) == yb).float().mean() for xb, yb in in_batches(32)]
        return torch.stack(shares).mean()

    return judged(accuracy)


# 28: inputs


def bytes_of(samples=60):
    torch.manual_seed(7)
    raw = torch.randint(0, 256, (samples, 36)).float()
    return raw, (raw[:, 0] > 127).long()


@faulty("evaluation-scaled-otherwise")
def bytes_in_the_evaluation():
    raw, y = bytes_of()
    return judged(lambda model: (model(raw).argmax(1) == y).float().mean().item(), net(2, 36), (raw / 255, y))


@faulty("evaluation-scaled-otherwise")
def normalised_only_in_training():
    raw, y = bytes_of()
    mean, spread = raw.mean(), raw.std()
    held, labels = bytes_of(40)

    def loss(model):
        return F.cross_entropy(model(held / 255.0), labels).item()

    return judged(loss, net(2, 36), ((raw - mean) / spread, y))


@healthy("evaluation-scaled-otherwise")
def the_same_scale_in_both():
    raw, y = bytes_of()
    held, labels = bytes_of(40)
    return judged(
        lambda model: (model(held / 255).argmax(1) == labels).float().mean().item(), net(2, 36), (raw / 255, y)
    )


@healthy("evaluation-scaled-otherwise")
def noise_in_training_only():
    x, y = data(200)

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net()

        def forward(self, x):
            return self.inner(x)

    model = Noisy()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x + 0.5 * torch.randn_like(x)), y).backward()
        optimizer.step()

    @torch.no_grad()
    def evaluate():
        model.eval()
        return (model(x).argmax(1) == y).float().mean().item()

    return {"model": model, "optimizer": optimizer, "step": step, "evaluate": evaluate}


@faulty("random-inputs-in-evaluation")
def the_training_noise_in_the_evaluation():
    x, y = data()
    return judged(lambda model: (model(x + 0.3 * torch.randn_like(x)).argmax(1) == y).float().mean().item())


@faulty("random-inputs-in-evaluation")
def features_dropped_in_the_evaluation():
    x, y = data()

    def augment(x):
        return F.dropout(x, 0.2)

    def accuracy(model):
        out = model(augment(x))
        return int((out.max(1)[1] == y).sum()) / len(y)

    return judged(accuracy)


@healthy("random-inputs-in-evaluation")
def a_random_part_of_the_test_data():
    x, y = data()

    def accuracy(model):
        rows = torch.randperm(len(x))[:50]
        return (model(x[rows]).argmax(1) == y[rows]).float().mean().item()

    return judged(accuracy)


@healthy("random-inputs-in-evaluation")
def samples_that_are_made_on_the_way():
    centers = 3 * torch.eye(3, 6)

    def accuracy(model):
        y = torch.randint(0, 3, (64,))
        x = centers[y] + torch.randn(64, 6)
        return (model(x).argmax(1) == y).float().mean().item()

    return judged(accuracy)


def in_epochs(evaluate):
    (x, y), model = data(40), net()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def epoch():
        for rows in torch.randperm(40).split(10):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    @torch.no_grad()
    def measured():
        return evaluate(model.eval(), x, y)

    return {"model": model, "optimizer": optimizer, "step": epoch, "evaluate": measured}


@faulty("evaluated-on-training-data")
def the_training_rows_again():
    return in_epochs(lambda model, x, y: (model(x).argmax(1) == y).float().mean().item())


@faulty("evaluated-on-training-data")
def half_of_the_training_rows():
    return in_epochs(lambda model, x, y: F.cross_entropy(model(x[:20]), y[:20]).item())


# 28: statistics, and an evaluation that trains


def normed(momentum):
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU(), nn.Linear(8, 3))


def accuracy_of(model):
    return (model(TEST[0]).argmax(1) == TEST[1]).float().mean().item()


@faulty("running-statistics-never-move")
def momentum_zero():
    return judged(accuracy_of, normed(0.0))


@faulty("running-statistics-never-move")
def functional_with_momentum_zero():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
            self.register_buffer("mean", torch.zeros(8))
            self.register_buffer("var", torch.ones(8))

        def forward(self, x):
            x = F.batch_norm(self.first(x), self.mean, self.var, training=self.training, momentum=0)
            return self.last(torch.relu(x))

    return judged(accuracy_of, Net())


@healthy("running-statistics-never-move")
def the_mean_of_all_batches():
    return judged(accuracy_of, normed(None))


@healthy("running-statistics-never-move")
def frozen_statistics():
    model = normed(0.1)
    model[1].eval()
    model[1].train = lambda mode=True: model[1]
    return judged(accuracy_of, model)


@faulty("evaluation-trains")
def the_same_function_for_both():
    (x, y), model = data(), net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def epoch(train):
        model.train(train)
        for xb, yb in zip(x.split(50), y.split(50), strict=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
        return loss.item()

    return {"model": model, "optimizer": optimizer, "step": lambda: epoch(True), "evaluate": lambda: epoch(False)}


@faulty("evaluation-trains")
def a_step_that_was_copied():
    model = net()
    case = judged(accuracy_of, model)
    optimizer = case["optimizer"]

    def evaluate():
        model.eval()
        loss = F.cross_entropy(model(TEST[0]), TEST[1])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return {**case, "evaluate": evaluate}


@healthy("evaluation-trains")
def gradients_by_the_inputs():
    case = judged(accuracy_of)
    model = case["model"]

    def evaluate():
        model.eval()
        x = TEST[0].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
        return slope.abs().mean().item()

    return {**case, "evaluate": evaluate}
