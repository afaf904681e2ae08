"""Pictures: classifiers as beginners' tutorials and the classical papers have them."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from doctor.zoo import images, member, plain


def digits(samples=32, size=28, classes=10):
    """Grey pictures of one bright blob whose place is the class, black at the border, standardised as MNIST is."""
    y = torch.arange(samples) % classes
    grid = torch.arange(size).float()
    row, column = 8 + (y // 5) * 8 + torch.randn(samples), 6 + (y % 5) * 4 + torch.randn(samples)
    blob = torch.exp(-((grid[None, :, None] - row[:, None, None]) ** 2) / 6)
    blob = blob * torch.exp(-((grid[None, None] - column[:, None, None]) ** 2) / 6)
    blob = (blob + 0.2 * torch.rand_like(blob) * (blob > 0.1)).clamp(0, 1)
    blob[blob < 0.05] = 0
    return ((blob - 0.1307) / 0.3081)[:, None], y


@member
def mnist_as_in_the_official_example():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 3, 1)
            self.conv2 = nn.Conv2d(8, 16, 3, 1)
            self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
            self.fc1, self.fc2 = nn.Linear(2304, 32), nn.Linear(32, 10)

        def forward(self, x):
            x = F.relu(self.conv1(x))
            x = F.relu(self.conv2(x))
            x = F.max_pool2d(x, 2)
            x = self.dropout1(x)
            x = torch.flatten(x, 1)
            x = F.relu(self.fc1(x))
            x = self.dropout2(x)
            return F.log_softmax(self.fc2(x), dim=1)

    net = Net()
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(TensorDataset(*digits(64)), batch_size=16, shuffle=True)

    def train():
        net.train()
        for data, target in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(net(data), target)
            loss.backward()
            optimizer.step()
        scheduler.step()

    def test():
        net.eval()
        correct = 0
        with torch.no_grad():
            for data, target in loader:
                pred = net(data).argmax(dim=1, keepdim=True)
                correct += pred.eq(target.view_as(pred)).sum().item()
        return correct / 64

    return {
        "model": net, "loss": F.nll_loss, "batch": digits(16), "optimizer": optimizer, "step": train,
        "evaluate": test
    }  # fmt: skip


@member
def flattened_digits_with_a_black_border():
    x, y = digits()
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    return plain(model, nn.CrossEntropyLoss(), (x.view(len(x), -1), y), optimizer)


@member
def digits_flattened_inside():
    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
            )

        def forward(self, x):
            return self.layers(x.view(-1, 28 * 28))

    return plain(MLP(), F.cross_entropy, digits(), None)


@member
def fashion_quickstart():
    class NeuralNetwork(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten = nn.Flatten()
            self.linear_relu_stack = nn.Sequential(
                nn.Linear(28 * 28, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 10)
            )

        def forward(self, x):
            return self.linear_relu_stack(self.flatten(x))

    model = NeuralNetwork()
    x, y = digits(64)
    return plain(
        model, nn.CrossEntropyLoss(), (x * 0.3081 + 0.1307, y), torch.optim.SGD(model.parameters(), lr=1e-3)
    )


@member
def cifar_tutorial():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.pool, self.conv2 = nn.Conv2d(3, 6, 5), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

        def forward(self, x):
            x = self.pool(F.relu(self.conv1(x)))
            x = self.pool(F.relu(self.conv2(x)))
            x = torch.flatten(x, 1)
            return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))

    net = Net()
    x = torch.rand(4, 3, 32, 32) * 2 - 1
    return plain(
        net, nn.CrossEntropyLoss(), (x, torch.tensor([3, 8, 8, 0])), torch.optim.SGD(net.parameters(), 1e-3, 0.9)
    )


@member
def lenet_with_tanh_and_average_pooling():
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip
    return plain(model, nn.CrossEntropyLoss(), digits(), torch.optim.SGD(model.parameters(), lr=0.1))


@member
def vgg_with_batchnorm_and_biases():
    layers, before = [], 3
    for width in (16, 32, "M", 32, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            before = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 4))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.constant_(module.bias, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return plain(model, nn.CrossEntropyLoss(), images(), optimizer)


@member
def raw_bytes_through_batchnorm():
    model = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )  # fmt: skip
    x, y = torch.randint(0, 256, (16, 3, 12, 12)).float(), torch.arange(16) % 4
    return plain(model, F.cross_entropy, (x, y))


@member
def bytes_divided_inside():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))

        def forward(self, x):
            return self.net(x.float() / 255.0 - 0.5)

    return plain(
        Scaled(), F.cross_entropy, (torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8), torch.arange(16) % 4)
    )


class Separable(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False)
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)

    def forward(self, x):
        x = F.relu6(self.bn1(self.depthwise(x)))
        return F.relu6(self.bn2(self.pointwise(x)))


@member
def mobile_net():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), Separable(8, 16, 1), Separable(16,
        24, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 5),
    )  # fmt: skip
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-5)
    return plain(model, nn.CrossEntropyLoss(label_smoothing=0.1), images(16, 3, 16, 5), optimizer)


@member
def squeeze_and_excitation():
    class Gate(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.squeeze, self.excite = nn.Linear(width, width // 4), nn.Linear(width // 4, width)

        def forward(self, x):
            s = x.mean((2, 3))
            s = torch.sigmoid(self.excite(F.relu(self.squeeze(s))))
            return x * s[:, :, None, None]

    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU(), Gate(16), nn.Conv2d(16, 16, 3, 2, 1),
        nn.GroupNorm(4, 16), nn.SiLU(), Gate(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip
    return plain(model, F.cross_entropy, images(12))


@member
def dense_net():
    class Dense(nn.Module):
        def __init__(self, width, growth):
            super().__init__()
            self.norms = nn.ModuleList(nn.BatchNorm2d(width + i * growth) for i in range(3))
            self.convs = nn.ModuleList(
                nn.Conv2d(width + i * growth, growth, 3, padding=1, bias=False) for i in range(3)
            )

        def forward(self, x):
            for norm, conv in zip(self.norms, self.convs, strict=True):
                x = torch.cat([x, conv(F.relu(norm(x)))], 1)
            return x

    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), Dense(8, 4), nn.BatchNorm2d(20), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 4),
    )  # fmt: skip
    return plain(model, F.cross_entropy, images(), torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-4))


@member
def mlp_mixer():
    class Mixer(nn.Module):
        def __init__(self, places, width):
            super().__init__()
            self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
            self.tokens = nn.Sequential(nn.Linear(places, 32), nn.GELU(), nn.Linear(32, places))
            self.channels = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

        def forward(self, x):
            x = x + self.tokens(self.one(x).transpose(1, 2)).transpose(1, 2)
            return x + self.channels(self.two(x))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 4, 4)
            self.blocks, self.norm, self.head = (
                nn.Sequential(*(Mixer(9, 16) for _ in range(2))),
                nn.LayerNorm(16),
                nn.Linear(16, 4),
            )

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            return self.head(self.norm(self.blocks(x)).mean(1))

    return plain(Net(), F.cross_entropy, images(10, 3, 12))


@member
def convnext_with_layer_scale_and_stochastic_depth():
    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.dw, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width, eps=1e-6)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.gamma = nn.Parameter(1e-6 * torch.ones(width))

        def forward(self, x):
            y = self.norm(self.dw(x).permute(0, 2, 3, 1))
            y = (self.gamma * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)
            if self.training:
                keep = torch.rand(len(x), 1, 1, 1) < 0.9
                y = y * keep / 0.9
            return x + y

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.blocks = nn.Conv2d(3, 16, 4, 4), nn.Sequential(Block(16), Block(16))
            self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 4)

        def forward(self, x):
            return self.head(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))

    net = Net()
    return plain(
        net, F.cross_entropy, images(8, 3, 16), torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.05)
    )


@member
def transfer_learning_with_a_new_head():
    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
            self.fc = nn.Linear(16, 100)

        def forward(self, x):
            return self.fc(F.relu(self.bn(self.conv(x))).mean((2, 3)))

    net = Backbone()
    for p in net.parameters():
        p.requires_grad = False
    net.fc = nn.Linear(net.fc.in_features, 2)
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=0.001, momentum=0.9)
    return plain(net, nn.CrossEntropyLoss(), images(8, 3, 8, 2), optimizer)


@member
def layerwise_learning_rates():
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()), nn.Flatten(), nn.Linear(128, 4)
    )
    groups = [{"params": net[0].parameters(), "lr": 1e-5}, {"params": net[2].parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.01)
    return plain(net, F.cross_entropy, images(8, 3, 8), optimizer)


@member
def mixup_with_soft_labels():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x, y = images(16, 3, 8)

    def step():
        net.train()
        lam = torch.distributions.Beta(0.4, 0.4).sample().item()
        order = torch.randperm(len(x))
        logits = net(lam * x + (1 - lam) * x[order])
        loss = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[order])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {**plain(net, F.cross_entropy, (x, y), optimizer), "step": step}


@member
def cutmix_with_a_gradient_clip_and_one_cycle():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=100)
    x, y = images(16, 3, 8)

    def step():
        net.train()
        order, mixed = torch.randperm(len(x)), x.clone()
        mixed[:, :, 2:5, 2:5] = x[order][:, :, 2:5, 2:5]
        out = net(mixed)
        share = 1 - 9 / 64
        loss = share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[order])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        scheduler.step()

    return {**plain(net, F.cross_entropy, (x, y), optimizer), "step": step}


@member
def knowledge_from_a_frozen_teacher():
    def net(width):
        return nn.Sequential(
            nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 4)
        )

    teacher, student = net(16).eval(), net(4)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    x, y = images(16)

    def loss(logits, labels):
        with torch.no_grad():
            soft = F.softmax(teacher(x[: len(logits)]) / 2, -1)
        return 4 * F.kl_div(F.log_softmax(logits / 2, -1), soft, reduction="batchmean") + F.cross_entropy(
            logits, labels
        )

    return plain(student, loss, (x, y), optimizer)


@member
def two_augmented_views_and_consistency():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, y = images(16)
    u = torch.randn(32, 3, 8, 8)

    def step():
        net.train()
        optimizer.zero_grad()
        with torch.no_grad():
            guess = net(u + 0.05 * torch.randn_like(u)).softmax(-1)
        sure = (guess.max(-1).values > 0.4).float()
        strong = net(u + 0.2 * torch.randn_like(u))
        unlabelled = (F.cross_entropy(strong, guess.argmax(-1), reduction="none") * sure).mean()
        (F.cross_entropy(net(x), y) + unlabelled).backward()
        optimizer.step()

    case = plain(net, F.cross_entropy, (x, y), optimizer)
    return {**case, "step": step}
