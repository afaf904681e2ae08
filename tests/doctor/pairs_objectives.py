"""Pairs about objectives: squashed twice, arguments, weights, signs, constants, bootstraps, own backwards."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.table import faulty, healthy, trained


def classes(samples=24, width=6, count=3):
    torch.manual_seed(0)
    y = torch.arange(samples) % count
    return torch.randn(samples, width) + 1.5 * F.one_hot(y, width), y


def numbers(samples=24, width=6):
    torch.manual_seed(0)
    x = torch.randn(samples, width)
    return x, (x[:, :1] - 0.5 * x[:, 1:2]).detach()


def net(out=3, *last):
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, out), *last)


def case(model, loss, batch, optimizer=None, **more):
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, loss, batch, optimizer, overfit_seconds=0.0, **more)


# squashed-twice, logarithm-twice


@faulty("squashed-twice")
def softmax_and_softmax_by_hand():
    def loss(output, y):
        p = torch.exp(output - output.max(1, keepdim=True).values)
        p = p / p.sum(1, keepdim=True)
        return -torch.log(p[range(len(y)), y] + 1e-9).mean()

    return case(net(3, nn.Softmax(1)), loss, classes())


@faulty("squashed-twice")
def sigmoid_in_the_model_and_in_the_loss():
    x, y = classes(count=2)

    def loss(output, y):
        return F.binary_cross_entropy(output.sigmoid().squeeze(1), y)

    return case(net(1, nn.Sigmoid()), loss, (x, y.float()))


@faulty("squashed-twice")
def sigmoid_written_twice():
    x, y = classes(count=2)

    def squash(z):
        return 1 / (1 + torch.exp(-z))

    def loss(output, y):
        p = squash(squash(output[:, 0]))
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    return case(net(1), loss, (x, y.float()))


@healthy("squashed-twice")
def softmax_once_by_hand():
    def loss(output, y):
        e = output.exp()
        return -(e / e.sum(1, keepdim=True)).log()[torch.arange(len(y)), y].mean()

    return case(net(), loss, classes())


@healthy("squashed-twice")
def gates_of_gates():
    class Gates(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(torch.sigmoid(self.two(torch.sigmoid(self.one(x)))))

    return case(Gates(), F.cross_entropy, classes())


@healthy("squashed-twice")
def focal_loss():
    def loss(output, y):
        log_p = F.log_softmax(output, 1)
        right = log_p.gather(1, y[:, None])[:, 0]
        return (-((1 - right.exp()) ** 2) * right).mean()

    return case(net(), loss, classes())


@faulty("logarithm-twice")
def log_of_log_softmax_clamped():
    def loss(output, y):
        return -output.clamp(min=1e-7).log().gather(1, y[:, None]).mean()

    return case(net(3, nn.LogSoftmax(1)), loss, classes())


@faulty("logarithm-twice")
def logarithm_in_both():
    x, y = classes(count=2)

    def loss(output, y):
        log_p = torch.log(torch.sigmoid(output[:, 0]))
        return -(y * torch.log(log_p.clamp(min=1e-6)) + 0.1 * log_p).mean()

    return case(net(1), loss, (x, y.float()))


@healthy("logarithm-twice")
def gumbel_noise():
    def loss(output, y):
        u = torch.rand_like(output)
        return F.cross_entropy(output - 0.1 * torch.log(-torch.log(u + 1e-9) + 1e-9), y)

    return case(net(), loss, classes())


@healthy("logarithm-twice")
def log_of_a_mean_of_probabilities():
    def loss(output, y):
        p = F.log_softmax(output, 1).exp()
        return F.nll_loss((0.9 * p + 0.1 * p.mean(0)).log(), y) - 0.01 * (p.mean(0) * p.mean(0).log()).sum()

    return case(net(), loss, classes())


# kl-div-arguments, soft-targets-not-normalised


def soft():
    x, y = classes()
    return x, F.softmax(2 * F.one_hot(y, 3).float(), 1)


@faulty("kl-div-arguments")
def kl_of_logits():
    return case(net(), lambda output, y: F.kl_div(output, y, reduction="batchmean"), soft())


@faulty("kl-div-arguments")
def kl_of_probabilities_in_a_distillation():
    torch.manual_seed(1)
    teacher, kl = net(), nn.KLDivLoss(reduction="batchmean")

    def loss(output, x):
        with torch.no_grad():
            hint = (teacher(x) / 2).softmax(-1)
        return 4 * kl((output / 2).softmax(-1), hint)

    x, _ = classes()
    return case(net(), loss, (x, x))


@faulty("kl-div-arguments")
def kl_with_logarithms_as_targets():
    x, p = soft()
    return case(net(3, nn.LogSoftmax(-1)), nn.KLDivLoss(reduction="batchmean"), (x, p.log()))


@healthy("kl-div-arguments")
def kl_as_it_should_be():
    return case(net(), lambda output, y: F.kl_div(F.log_softmax(output, 1), y, reduction="batchmean"), soft())


@healthy("kl-div-arguments")
def kl_in_logarithms():
    x, p = soft()
    kl = nn.KLDivLoss(reduction="batchmean", log_target=True)
    return case(net(3, nn.LogSoftmax(-1)), kl, (x, p.log()))


def several_labels():
    x, y = classes()
    return x, ((F.one_hot(y, 3) + F.one_hot((y * 2 + 1) % 3, 3)) > 0).float()


@faulty("soft-targets-not-normalised")
def several_labels_for_cross_entropy():
    return case(net(), nn.CrossEntropyLoss(), several_labels())


@faulty("soft-targets-not-normalised")
def scores_of_raters():
    x, y = classes()
    return case(net(), F.cross_entropy, (x, 5.0 * F.one_hot(y, 3) + torch.rand(len(y), 3)))


@healthy("soft-targets-not-normalised")
def mixed_labels():
    x, y = classes()
    weight = torch.rand(len(y), 1)
    return case(net(), F.cross_entropy, (x, weight * F.one_hot(y, 3) + (1 - weight) * F.one_hot(y.flip(0), 3)))


@healthy("soft-targets-not-normalised")
def several_labels_as_they_should_be():
    return case(net(), nn.BCEWithLogitsLoss(), several_labels())


# cross-entropy-over-wrong-axis, ctc-arguments, regression-shapes-differ, regression-on-class-ids


class Moments(nn.Module):
    """One answer for every moment, (B, T, C)."""

    def __init__(self, out, turn=False, last=None):
        super().__init__()
        self.net, self.out, self.turn, self.last = nn.GRU(4, 8, batch_first=True), nn.Linear(8, out), turn, last

    def forward(self, x):
        z = self.out(self.net(x)[0])
        z = self.last(z) if self.last is not None else z
        return z.transpose(1, 2) if self.turn else z


def moments(size=5):
    torch.manual_seed(0)
    x = torch.randn(6, size, 4)
    return x, x.argmax(2)


@faulty("cross-entropy-over-wrong-axis")
def as_many_moments_as_classes():
    return case(Moments(5), F.cross_entropy, moments())


@faulty("cross-entropy-over-wrong-axis")
def scaled_logits_of_moments():
    return case(Moments(5), lambda o, y: nn.CrossEntropyLoss(label_smoothing=0.1)(o / 0.7, y), moments())


@healthy("cross-entropy-over-wrong-axis")
def classes_on_the_second_axis():
    return case(Moments(5, turn=True), F.cross_entropy, moments())


@healthy("cross-entropy-over-wrong-axis")
def pixels():
    torch.manual_seed(0)
    x = torch.randn(4, 2, 6, 6)
    return case(nn.Conv2d(2, 3, 3, padding=1), F.cross_entropy, (x, torch.randint(0, 3, (4, 6, 6))))


def spoken(labels, logs=True, moments_=12, length=4):
    torch.manual_seed(0)
    x = torch.randn(6, moments_, 4)
    last = nn.LogSoftmax(-1) if logs else None
    lengths = torch.full((6,), moments_), torch.full((6,), length)

    def loss(output, y):
        return F.ctc_loss(output.transpose(0, 1), y, *lengths, zero_infinity=True)

    return case(Moments(7, last=last), loss, (x, labels))


@faulty("ctc-arguments")
def labels_from_zero():
    return spoken(torch.randint(0, 7, (6, 4), generator=torch.Generator().manual_seed(0)))


@faulty("ctc-arguments")
def logits_for_ctc():
    return spoken(torch.randint(1, 7, (6, 4)), logs=False)


@faulty("ctc-arguments")
def fewer_moments_than_labels():
    return spoken(torch.randint(1, 7, (6, 9)), moments_=7, length=9)


@healthy("ctc-arguments")
def ctc_as_it_should_be():
    return spoken(torch.randint(1, 7, (6, 4)))


@healthy("ctc-arguments")
def ctc_with_the_blank_at_the_end():
    torch.manual_seed(0)
    ctc = nn.CTCLoss(blank=6)
    sizes = torch.full((6,), 12), torch.tensor([2, 3, 4, 2, 3, 4])
    x, y = torch.randn(6, 12, 4), torch.randint(0, 6, (18,))
    model = Moments(7, last=nn.LogSoftmax(-1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        ctc(model(x).transpose(0, 1), y, *sizes).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("regression-shapes-differ")
def three_outputs_for_one_number():
    return case(net(3), nn.MSELoss(), numbers())


@faulty("regression-shapes-differ")
def one_target_per_row_of_outputs():
    x, y = numbers()
    return case(net(4), lambda o, y: F.smooth_l1_loss(o, y.view(-1, 1)), (x, y[:, 0]))


@faulty("regression-on-class-ids")
def class_ids_as_numbers():
    x, y = classes()
    return case(net(1), lambda o, y: F.mse_loss(o.squeeze(1), y.float()), (x, y))


@faulty("regression-on-class-ids")
def class_ids_by_absolute_error():
    x, y = classes(30, count=5)
    return case(net(1), nn.L1Loss(), (x, y.float().unsqueeze(1)))


@healthy("regression-shapes-differ")
def quantiles():
    steps = torch.tensor([0.1, 0.5, 0.9])

    def loss(output, y):
        error = y - output
        return torch.maximum(steps * error, (steps - 1) * error).mean()

    return case(net(3), loss, numbers())


@healthy("regression-on-class-ids")
def plain_numbers():
    return case(net(1), nn.MSELoss(), numbers())


# class-weights-inverted, class-weights-misplaced


def rare(samples=120):
    torch.manual_seed(0)
    x = torch.randn(samples, 6)
    return x, (x[:, 0] > 1.2).float()


def uneven(samples=120):
    torch.manual_seed(0)
    y = torch.cat([torch.full((n,), c) for c, n in ((0, samples - 36), (1, 28), (2, 8))])
    return torch.randn(samples, 6) + 1.5 * F.one_hot(y, 6), y


@faulty("class-weights-inverted")
def share_as_pos_weight():
    x, y = rare()
    criterion = nn.BCEWithLogitsLoss(pos_weight=y.mean().reshape(1))
    return case(net(1), criterion, (x, y[:, None]))


@faulty("class-weights-inverted")
def counts_as_weights():
    x, y = uneven()
    weight = torch.bincount(y).float() / len(y)
    return case(net(), lambda o, y: F.cross_entropy(o, y, weight=weight), (x, y))


@faulty("class-weights-inverted")
def weights_of_many_labels():
    torch.manual_seed(0)
    x = torch.randn(100, 6)
    y = (x[:, :4] > 1.0).float()
    weight = y.sum(0) / (1 - y).sum(0)
    return case(net(4), lambda o, y: F.binary_cross_entropy_with_logits(o, y, pos_weight=weight), (x, y))


@faulty("class-weights-misplaced")
def counts_in_order_of_size():
    x, y = uneven()
    y = torch.tensor([1, 2, 0])[y]
    counts = sorted(torch.bincount(y).tolist(), reverse=True)
    weight = len(y) / torch.tensor(counts).float()
    return case(net(), nn.CrossEntropyLoss(weight), (x, y))


@faulty("class-weights-misplaced")
def weights_rolled_by_one():
    x, y = uneven()
    weight = (1 / torch.bincount(y).float()).roll(1)
    return case(net(3, nn.LogSoftmax(1)), nn.NLLLoss(weight=weight / weight.sum()), (x, y))


@healthy("class-weights-inverted")
def negatives_over_positives():
    x, y = rare()
    return case(net(1), nn.BCEWithLogitsLoss(pos_weight=(1 - y).sum() / y.sum()), (x, y[:, None]))


@healthy("class-weights-misplaced")
def inverse_frequencies():
    x, y = uneven()
    return case(net(), nn.CrossEntropyLoss(1 / torch.bincount(y).float().sqrt()), (x, y))


@healthy("class-weights-misplaced")
def weights_of_even_classes():
    x, y = classes(60)
    return case(net(), nn.CrossEntropyLoss(torch.tensor([1.0, 3.0, 1.0])), (x, y))


# loss-rewards-mistakes, loss-is-constant


@faulty("loss-rewards-mistakes")
def a_minus_too_many():
    return case(net(), lambda o, y: -F.cross_entropy(o, y), classes())


@faulty("loss-rewards-mistakes")
def log_probabilities_without_a_minus():
    return case(net(), lambda o, y: F.log_softmax(o, 1)[torch.arange(len(y)), y].mean(), classes())


@faulty("loss-rewards-mistakes")
def squares_maximised():
    model = net(1)
    return case(model, nn.MSELoss(), numbers(), torch.optim.SGD(model.parameters(), lr=0.01, maximize=True))


@faulty("loss-rewards-mistakes")
def binary_by_hand_with_the_wrong_sign():
    x, y = classes(count=2)

    def loss(output, y):
        p = torch.sigmoid(output.squeeze(1))
        return -F.binary_cross_entropy(p, y)

    return case(net(1), loss, (x, y.float()))


@healthy("loss-rewards-mistakes")
def likelihood_maximised():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, maximize=True)
    return case(model, lambda o, y: F.log_softmax(o, 1).gather(1, y[:, None]).mean(), classes(), optimizer)


@healthy("loss-rewards-mistakes")
def pairs_of_one_class_lie_together():
    def loss(output, y):
        z = F.normalize(output, dim=1)
        same = (y[:, None] == y).float().fill_diagonal_(0)
        scores = (z @ z.T / 0.5).fill_diagonal_(-9)
        return -(same * scores.log_softmax(1)).sum() / same.sum()

    return case(net(4), loss, classes())


@healthy("loss-rewards-mistakes")
def margin_of_signs():
    x, y = classes(count=2)
    return case(net(1), lambda o, y: (1 - o.squeeze(1) * y).clamp(min=0).mean(), (x, 2.0 * y - 1))


@faulty("loss-is-constant")
def one_class():
    x, y = classes(count=1)
    return case(net(1), F.cross_entropy, (x, y))


@faulty("loss-is-constant")
def softmax_over_the_only_output():
    x, y = classes(count=2)

    def loss(output, y):
        return ((output - output.logsumexp(1, keepdim=True)).exp().squeeze(1) - y).pow(2).mean()

    return case(net(1), loss, (x, y.float()))


@healthy("loss-is-constant")
def a_margin_still_open():
    return case(net(), nn.MultiMarginLoss(), classes())


@healthy("loss-is-constant")
def absolute_errors():
    return case(net(1), nn.L1Loss(), numbers())


# target-not-detached


def values(loss):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    now, then, reward, action = torch.randn(20, 6), torch.randn(20, 6), torch.randn(20), torch.randint(0, 3, (20,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        loss(model, now, then, reward, action).backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}


@faulty("target-not-detached")
def q_learning():
    def loss(model, now, then, reward, action):
        q = model(now).gather(1, action[:, None]).squeeze(1)
        return F.smooth_l1_loss(q, reward + 0.99 * model(then).max(1).values)

    return values(loss)


@faulty("target-not-detached")
def temporal_difference_by_hand():
    def loss(model, now, then, reward, action):
        done = (reward > 1).float()
        target = reward + 0.9 * (1 - done) * model(then)[:, 0]
        return (target - model(now)[:, 0]).pow(2).mean()

    return values(loss)


@healthy("target-not-detached")
def q_learning_with_a_fixed_target():
    def loss(model, now, then, reward, action):
        with torch.no_grad():
            target = reward + 0.99 * model(then).amax(1)
        return F.mse_loss(model(now).gather(1, action[:, None])[:, 0], target)

    return values(loss)


@healthy("target-not-detached")
def two_views_of_one_sample():
    def loss(model, now, then, reward, action):
        return F.mse_loss(model(now), model(now + 0.1 * then)) - 0.1 * model(now).std(0).mean()

    return values(loss)


# reductions-mixed, loss-sums-over-batch


class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.spread, self.back = nn.Linear(6, 2), nn.Linear(6, 2), nn.Linear(2, 6)

    def forward(self, x):
        mean, spread = self.mean(x), self.spread(x)
        return self.back(mean + torch.randn_like(mean) * (spread / 2).exp()), mean, spread


def divergence(mean, spread):
    return -0.5 * (1 + spread - mean.pow(2) - spread.exp())


@faulty("reductions-mixed")
def mean_error_and_summed_divergence():
    def loss(output, x):
        return F.mse_loss(output[0], x) + torch.sum(divergence(*output[1:]))

    x, _ = classes()
    return case(Variational(), loss, (x, x))


@faulty("reductions-mixed")
def summed_labels_and_a_mean_penalty():
    def loss(output, y):
        return F.cross_entropy(output, y, reduction="sum") + 5.0 * output.square().mean()

    return case(net(), loss, classes())


@healthy("reductions-mixed")
def both_are_means_over_samples():
    def loss(output, x):
        return (output[0] - x).square().sum(1).mean() + divergence(*output[1:]).sum(1).mean()

    x, _ = classes()
    return case(Variational(), loss, (x, x))


@healthy("reductions-mixed")
def sum_with_a_penalty_of_weights():
    model = net()

    def loss(output, y):
        return F.cross_entropy(output, y, reduction="sum") + 0.01 * sum(
            p.square().sum() for p in model.parameters()
        )

    return case(model, loss, classes(), torch.optim.Adam(model.parameters(), lr=1e-3))


@healthy("reductions-mixed")
def a_total_variation_with_a_weight_of_its_own():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 6, 6)

    def loss(output, y):
        rows, columns = output.diff(dim=2).abs().sum(), output.diff(dim=3).abs().sum()
        return F.mse_loss(output, y) + 1e-4 * (rows + columns)

    return case(nn.Conv2d(1, 1, 3, padding=1), loss, (x + 0.1 * torch.randn_like(x), x))


@faulty("loss-sums-over-batch")
def summed_squares():
    model = net(1)
    return case(model, nn.MSELoss(reduction="sum"), numbers(), torch.optim.Adam(model.parameters(), lr=1e-3))


@faulty("loss-sums-over-batch")
def summed_by_hand():
    return case(net(1), lambda o, y: ((o - y) ** 2).sum(), numbers())


@healthy("loss-sums-over-batch")
def mean_by_hand():
    return case(net(1), lambda o, y: ((o - y) ** 2).sum() / len(y), numbers())


# custom-backward-wrong


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x


class Swish(torch.autograd.Function):
    """With its context set up apart, and its derivative right or not."""

    @staticmethod
    def forward(x):
        return x * torch.sigmoid(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * s * (1 + x * (1 - s))


class Forgets(Swish):
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * torch.sigmoid(x)


class Signs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -0.5 * grad


cube = Cube.apply


class Own(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.one, self.two, self.function = nn.Linear(6, 8), nn.Linear(8, 3), function

    def forward(self, x):
        return self.two(self.function(self.one(x)))


@faulty("custom-backward-wrong")
def power_that_is_not_lowered():
    return case(Own(cube), F.cross_entropy, classes())


@faulty("custom-backward-wrong")
def half_of_a_product_rule():
    return case(Own(Forgets.apply), F.cross_entropy, classes())


@healthy("custom-backward-wrong")
def a_right_derivative():
    return case(Own(Swish.apply), F.cross_entropy, classes())


@healthy("custom-backward-wrong")
def signs_straight_through():
    return case(Own(Signs.apply), F.cross_entropy, classes())


@healthy("custom-backward-wrong")
def gradient_reversed():
    return case(Own(Reverse.apply), F.cross_entropy, classes())


# labels-of-other-rows, labels-unrelated-to-inputs


def many(move=lambda y: y, samples=240):
    torch.manual_seed(0)
    x = torch.randn(samples, 6)
    return x, move((x[:, :3] + 0.2 * torch.randn(samples, 3)).argmax(1))


@faulty("labels-of-other-rows")
def labels_one_row_late():
    return case(net(), F.cross_entropy, many(lambda y: y.roll(1)))


@faulty("labels-of-other-rows")
def labels_read_backwards():
    x, y = numbers(260)
    return case(net(1), nn.MSELoss(), (x, y.flip(0)))


@faulty("labels-unrelated-to-inputs")
def labels_shuffled_by_themselves():
    return case(net(), F.cross_entropy, many(lambda y: y[torch.randperm(len(y))]))


@faulty("labels-unrelated-to-inputs")
def rows_shuffled_by_themselves():
    x, y = numbers(260)
    return case(net(1), nn.MSELoss(), (x[torch.randperm(len(x))], y))


@healthy("labels-of-other-rows")
def labels_of_their_rows():
    return case(net(), F.cross_entropy, many())


@healthy("labels-unrelated-to-inputs")
def exclusive_or():
    torch.manual_seed(0)
    x = torch.randn(240, 6)
    return case(net(2), F.cross_entropy, (x, (x[:, 0] * x[:, 1] > 0).long()))
