"""Graphs, sets, boxes, masks, several heads, memories: outputs and inputs that are no plain matrices."""

import torch
import torch.nn.functional as F
from torch import nn

from doctor.zoo import images, member, plain


def ring(size=20):
    """The normalised adjacency of a ring with some chords."""
    a = torch.eye(size).roll(1, 0) + torch.eye(size).roll(-1, 0) + torch.eye(size)
    a[torch.randint(0, size, (8,)), torch.randint(0, size, (8,))] = 1
    a = ((a + a.T) > 0).float()
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None]


@member
def graph_convolution_with_a_sparse_adjacency_and_a_mask():
    class GCN(nn.Module):
        def __init__(self, adjacency):
            super().__init__()
            self.adj = adjacency.to_sparse()
            self.w1, self.w2 = nn.Linear(6, 16, bias=False), nn.Linear(16, 3, bias=False)

        def forward(self, x):
            h = F.relu(torch.sparse.mm(self.adj, self.w1(x)))
            h = F.dropout(h, 0.5, training=self.training)
            return F.log_softmax(torch.sparse.mm(self.adj, self.w2(h)), dim=1)

    x, y, net = torch.randn(20, 6), torch.arange(20) % 3, GCN(ring())
    train = torch.arange(20) < 12
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=5e-4)

    def step():
        net.train()
        optimizer.zero_grad()
        F.nll_loss(net(x)[train], y[train]).backward()
        optimizer.step()

    def evaluate():
        net.eval()
        with torch.no_grad():
            return (net(x)[~train].argmax(1) == y[~train]).float().mean().item()

    return {
        "model": net, "loss": lambda out, y: F.nll_loss(out[train], y[train]), "batch": (x, y),
        "optimizer": optimizer,
        "step": step, "evaluate": evaluate,
    }  # fmt: skip


@member
def graph_attention_over_edges():
    class GAT(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.a, self.b, self.out = (
                nn.Linear(6, 12),
                nn.Linear(12, 1),
                nn.Linear(12, 1),
                nn.Linear(12, 3),
            )

        def forward(self, x, edges):
            h = self.lin(x)
            source, target = edges
            e = F.leaky_relu(self.a(h)[source] + self.b(h)[target], 0.2).squeeze(1).exp()
            total = torch.zeros(len(x)).index_add(0, target, e)
            weight = e / (total[target] + 1e-9)
            return self.out(F.elu(torch.zeros_like(h).index_add(0, target, weight[:, None] * h[source])))

    edges = ring().nonzero().T
    return plain(GAT(), F.cross_entropy, ((torch.randn(20, 6), edges), torch.arange(20) % 3))


@member
def molecules_pooled_by_graph():
    class Message(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.message, self.update = nn.Embedding(5, 16), nn.Linear(33, 16), nn.GRUCell(16, 16)
            self.read = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))

        def forward(self, atoms, edges, lengths, graph):
            h = self.embed(atoms)
            for _ in range(2):
                m = F.relu(self.message(torch.cat([h[edges[0]], h[edges[1]], lengths], 1)))
                h = self.update(torch.zeros_like(h).index_add(0, edges[1], m), h)
            return self.read(torch.zeros(6, 16).index_add(0, graph, h)).squeeze(-1)

    graph = torch.arange(30) // 5
    pair = torch.cartesian_prod(torch.arange(30), torch.arange(30))
    edges = pair[(graph[pair[:, 0]] == graph[pair[:, 1]]) & (pair[:, 0] != pair[:, 1])].T
    given = (torch.randint(0, 5, (30,)), edges, torch.rand(edges.shape[1], 1), graph)
    return plain(Message(), F.l1_loss, (given, torch.randn(6)))


@member
def deep_sets():
    class Sets(nn.Module):
        def __init__(self):
            super().__init__()
            self.phi, self.rho = (
                nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 24)),
                nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 1)),
            )

        def forward(self, x, mask):
            return self.rho((self.phi(x) * mask.unsqueeze(-1)).sum(1)).squeeze(-1)

    x = torch.randn(16, 7, 3)
    mask = (torch.arange(7) < torch.randint(2, 8, (16, 1))).float()
    return plain(Sets(), F.mse_loss, ((x, mask), (x[..., 0] * mask).sum(1)))


@member
def point_clouds_with_max_pooling():
    class PointNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2, self.bn1, self.bn2 = (
                nn.Conv1d(3, 16, 1),
                nn.Conv1d(16, 32, 1),
                nn.BatchNorm1d(16),
                nn.BatchNorm1d(32),
            )
            self.fc, self.drop = nn.Linear(32, 4), nn.Dropout(0.3)

        def forward(self, x):
            x = x.transpose(2, 1)
            x = F.relu(self.bn1(self.conv1(x)))
            x = self.bn2(self.conv2(x)).max(2)[0]
            return F.log_softmax(self.fc(self.drop(x)), dim=1)

    return plain(PointNet(), F.nll_loss, (torch.randn(12, 24, 3), torch.arange(12) % 4))


@member
def segmentation_of_many_classes_with_an_ignored_border():
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.ReLU(),
        nn.Conv2d(16, 5, 1),
    )  # fmt: skip
    y = torch.randint(0, 5, (4, 10, 10))
    y[:, 0], y[:, -1] = 255, 255
    return plain(net, nn.CrossEntropyLoss(ignore_index=255), (torch.randn(4, 3, 10, 10), y))


@member
def fully_convolutional_with_an_auxiliary_head():
    class FCN(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.deep = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 16, 3, 2, 1)
            self.head, self.aux = nn.Conv2d(16, 3, 1), nn.Conv2d(12, 3, 1)

        def forward(self, x):
            a = F.relu(self.stem(x))
            b = F.relu(self.deep(a))
            size = x.shape[-2:]
            out = {"out": F.interpolate(self.head(b), size, mode="bilinear", align_corners=False)}
            out["aux"] = F.interpolate(self.aux(a), size, mode="bilinear", align_corners=False)
            return out

    def criterion(out, y):
        return F.cross_entropy(out["out"], y) + 0.5 * F.cross_entropy(out["aux"], y)

    return plain(FCN(), criterion, (torch.randn(4, 3, 12, 12), torch.randint(0, 3, (4, 12, 12))))


@member
def boxes_and_classes_of_one_object():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, 12, 3, 2), nn.ReLU(), nn.Conv2d(12, 16, 3, 2), nn.ReLU(), nn.Flatten()
            )
            self.box, self.kind = nn.Linear(64, 4), nn.Linear(64, 3)

        def forward(self, x):
            h = self.body(x)
            return torch.sigmoid(self.box(h)), self.kind(h)

    def loss(out, y):
        box, kind = y
        return 5 * F.smooth_l1_loss(out[0], box) + F.cross_entropy(out[1], kind)

    return plain(Detector(), loss, (torch.randn(8, 3, 12, 12), (torch.rand(8, 4), torch.arange(8) % 3)))


@member
def one_shot_grid_detector():
    class Grid(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.LeakyReLU(0.1), nn.Conv2d(16, 16, 3, 2, 1),
                nn.BatchNorm2d(16), nn.LeakyReLU(0.1), nn.Conv2d(16, 5 + 3, 1),
            )  # fmt: skip

        def forward(self, x):
            return self.net(x).permute(0, 2, 3, 1)

    def loss(out, y):
        there = y[..., 4] > 0
        xy = F.mse_loss(torch.sigmoid(out[..., :2][there]), y[..., :2][there], reduction="sum")
        wh = F.mse_loss(out[..., 2:4][there], y[..., 2:4][there], reduction="sum")
        found = F.binary_cross_entropy_with_logits(out[..., 4], y[..., 4], reduction="sum")
        kind = F.cross_entropy(out[..., 5:][there], y[..., 5][there].long(), reduction="sum")
        return (5 * (xy + wh) + found + kind) / len(out)

    y = torch.rand(6, 4, 4, 6)
    y[..., 4] = (torch.rand(6, 4, 4) < 0.2).float()
    y[0, 0, 0, 4] = 1.0
    y[..., 5] = torch.randint(0, 3, (6, 4, 4)).float()
    return plain(Grid(), loss, (torch.rand(6, 3, 16, 16), y))


@member
def queries_matched_to_objects():
    class Detr(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.query = nn.Conv2d(3, 16, 4, 4), nn.Parameter(torch.rand(5, 16))
            self.row, self.column = nn.Parameter(torch.rand(4, 8)), nn.Parameter(torch.rand(4, 8))
            self.net = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
            self.kind, self.box = nn.Linear(16, 4), nn.Linear(16, 4)

        def forward(self, x):
            h = self.conv(x).flatten(2).transpose(1, 2)
            place = torch.cat([self.column.repeat(4, 1), self.row.repeat_interleave(4, 0)], 1)
            h = self.net(place + 0.1 * h, self.query.expand(len(x), -1, -1))
            return {"pred_logits": self.kind(h), "pred_boxes": self.box(h).sigmoid()}

    def loss(out, y):
        kind, box = y
        order = (out["pred_boxes"].detach()[:, :, None] - box[:, None]).abs().sum(-1).argmin(1)  # (B, objects)
        row = torch.arange(len(box))[:, None]
        chosen = out["pred_boxes"][row, order]
        target = torch.full(out["pred_logits"].shape[:2], 3)
        target[row, order] = kind
        return F.cross_entropy(out["pred_logits"].transpose(1, 2), target) + 5 * F.l1_loss(chosen, box)

    kind, box = torch.randint(0, 3, (4, 2)), torch.rand(4, 2, 4)
    net = Detr()
    return plain(net, loss, (torch.randn(4, 3, 16, 16), (kind, box)), torch.optim.AdamW(net.parameters(), 1e-4))


@member
def keypoints_as_heat():
    net = nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 4, 1)
    )
    grid = torch.arange(12).float()
    centre = torch.rand(6, 4, 2) * 11
    y = torch.exp(-((grid[:, None] - centre[..., :1, None]) ** 2 + (grid[None] - centre[..., 1:, None]) ** 2) / 4)
    return plain(net, nn.MSELoss(), (torch.rand(6, 3, 12, 12), y))


@member
def many_labels_with_weights():
    net = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 6))
    y = (torch.rand(40, 6) < 0.15).float()
    weight = (1 - y.mean(0)) / y.mean(0).clamp(min=0.05)
    return plain(net, nn.BCEWithLogitsLoss(pos_weight=weight), (torch.randn(40, 12), y))


@member
def two_tasks_with_one_trunk():
    class Multi(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.age, self.kind = (
                nn.Sequential(nn.Linear(10, 32), nn.ReLU()),
                nn.Linear(32, 1),
                nn.Linear(32, 4),
            )

        def forward(self, x):
            h = self.trunk(x)
            return {"age": self.age(h).squeeze(1), "kind": self.kind(h)}

    def loss(out, y):
        return F.mse_loss(out["age"], y["age"]) + F.cross_entropy(out["kind"], y["kind"])

    x = torch.randn(24, 10)
    return plain(Multi(), loss, (x, {"age": x[:, 0] * 2, "kind": torch.arange(24) % 4}))


@member
def mixture_of_experts_with_a_balance():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = (
                nn.Linear(8, 4),
                nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)) for _ in range(4)),
            )

        def forward(self, x):
            p = self.gate(x).softmax(1)
            top, index = p.topk(2, 1)
            out = x.new_zeros(len(x), 3)
            for k, expert in enumerate(self.experts):
                row, slot = (index == k).nonzero(as_tuple=True)
                if len(row):
                    out = out.index_add(0, row, expert(x[row]) * top[row, slot, None])
            return out, p

    def loss(out, y):
        return F.cross_entropy(out[0], y) + 0.01 * 4 * (out[1].mean(0) ** 2).sum()

    return plain(Experts(), loss, (torch.randn(40, 8), torch.arange(40) % 3))


@member
def spatial_transformer():
    class STN(nn.Module):
        def __init__(self):
            super().__init__()
            self.localization = nn.Sequential(
                nn.Conv2d(1, 4, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 16), nn.ReLU()
            )
            self.theta, self.head = (
                nn.Linear(16, 6),
                nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(200, 4)),
            )
            self.theta.weight.data.zero_()
            self.theta.bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

        def forward(self, x):
            theta = self.theta(self.localization(x)).view(-1, 2, 3)
            grid = F.affine_grid(theta, x.size(), align_corners=False)
            return self.head(F.grid_sample(x, grid, align_corners=False))

    net = STN()
    return plain(net, F.cross_entropy, images(12, 1, 12), torch.optim.SGD(net.parameters(), lr=0.01))


@member
def capsule_norms_with_a_margin():
    class Capsule(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(0.1 * torch.randn(4, 10, 6))

        def forward(self, x):
            s = torch.einsum("bi,kij->bkj", x, self.weight)
            n = s.pow(2).sum(-1, keepdim=True)
            return (n / (1 + n)) * s / (n + 1e-8).sqrt()

    def loss(v, y):
        length = (v.pow(2).sum(-1) + 1e-8).sqrt()
        t = F.one_hot(y, 4).float()
        return (t * F.relu(0.9 - length) ** 2 + 0.5 * (1 - t) * F.relu(length - 0.1) ** 2).sum(1).mean()

    return plain(Capsule(), loss, (torch.randn(20, 10), torch.arange(20) % 4))


@member
def questions_about_pictures():
    class VQA(nn.Module):
        def __init__(self):
            super().__init__()
            self.see, self.table, self.read = (
                nn.Conv2d(3, 16, 3, 2),
                nn.Embedding(20, 16),
                nn.LSTM(16, 16, batch_first=True),
            )
            self.attend, self.out = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(32, 5)

        def forward(self, image, question):
            v = F.relu(self.see(image)).flatten(2).transpose(1, 2)
            q = self.read(self.table(question))[1][0][-1]
            a, _ = self.attend(q.unsqueeze(1), v, v)
            return self.out(torch.cat([a.squeeze(1), q], 1))

    given = (torch.randn(8, 3, 8, 8), torch.randint(0, 20, (8, 5)))
    return plain(VQA(), F.cross_entropy, (given, torch.arange(8) % 5))


@member
def video_by_three_dimensional_convolutions():
    net = nn.Sequential(
        nn.Conv3d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    return plain(net, F.cross_entropy, (torch.randn(8, 3, 4, 8, 8), torch.arange(8) % 3))


@member
def convolutional_recurrence_over_frames():
    class ConvLSTM(nn.Module):
        def __init__(self):
            super().__init__()
            self.gates, self.out = nn.Conv2d(1 + 8, 32, 3, padding=1), nn.Conv2d(8, 1, 1)

        def forward(self, video):
            b, t, _, h, w = video.shape
            state, cell = video.new_zeros(b, 8, h, w), video.new_zeros(b, 8, h, w)
            for k in range(t):
                i, f, o, g = self.gates(torch.cat([video[:, k], state], 1)).chunk(4, 1)
                cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
                state = o.sigmoid() * cell.tanh()
            return self.out(state)

    video = torch.rand(4, 5, 1, 8, 8)
    return plain(ConvLSTM(), F.mse_loss, (video[:, :4], video[:, 4]))


@member
def turning_pairs_into_matrices():
    class Biaffine(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn = nn.Embedding(20, 12), nn.LSTM(12, 12, bidirectional=True, batch_first=True)
            self.head, self.dep, self.u = (
                nn.Linear(24, 16),
                nn.Linear(24, 16),
                nn.Parameter(torch.randn(16, 16) / 16),
            )

        def forward(self, x):
            h, _ = self.rnn(self.table(x))
            return F.elu(self.dep(h)) @ self.u @ F.elu(self.head(h)).transpose(1, 2)

    x = torch.randint(0, 20, (8, 6))
    heads = torch.randint(0, 6, (8, 6))
    return plain(Biaffine(), lambda s, y: F.cross_entropy(s.reshape(-1, 6), y.reshape(-1)), (x, heads))


@member
def tags_with_a_conditional_random_field():
    class CRF(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn, self.out = (
                nn.Embedding(20, 12),
                nn.LSTM(12, 8, bidirectional=True, batch_first=True),
                nn.Linear(16, 4),
            )
            self.move = nn.Parameter(0.1 * torch.randn(4, 4))

        def forward(self, x):
            return self.out(self.rnn(self.table(x))[0])

        def nll(self, emit, tags):
            alpha, score = emit[:, 0], emit[:, 0].gather(1, tags[:, :1]).squeeze(1)
            for t in range(1, emit.shape[1]):
                alpha = torch.logsumexp(alpha[:, :, None] + self.move, 1) + emit[:, t]
                score = (
                    score
                    + self.move[tags[:, t - 1], tags[:, t]]
                    + emit[:, t].gather(1, tags[:, t : t + 1]).squeeze(1)
                )
            return (torch.logsumexp(alpha, 1) - score).mean()

    net = CRF()
    x = torch.randint(0, 20, (8, 7))
    return plain(net, net.nll, (x, x % 4), torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=1e-4))


@member
def pointer_to_the_largest():
    class Pointer(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.w, self.v = (
                nn.LSTM(1, 16, batch_first=True),
                nn.Linear(32, 16),
                nn.Linear(16, 1, bias=False),
            )

        def forward(self, x):
            h, (last, _) = self.enc(x.unsqueeze(-1))
            last = last[-1].unsqueeze(1).expand_as(h)
            return self.v(torch.tanh(self.w(torch.cat([h, last], -1)))).squeeze(-1)

    x = torch.randn(24, 6)
    return plain(Pointer(), F.cross_entropy, (x, x.argmax(1)))
