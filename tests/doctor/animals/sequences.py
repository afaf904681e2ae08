"""Lines, translations and series: models and losses that shift by themselves, pad, mask, pack or carry state."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from doctor.zoo import every, member, plain


def lines(samples=12, length=10, words=20):
    """Random walks over the words, so that the next one can be guessed."""
    steps = torch.randint(-1, 2, (samples, length)).cumsum(1)
    return (torch.randint(0, words, (samples, 1)) + steps) % words


class Recurrent(nn.Module):
    def __init__(self, words=20, kind=nn.LSTM, width=16, layers=1, dropout=0.0):
        super().__init__()
        self.drop, self.table = nn.Dropout(dropout), nn.Embedding(words, width)
        self.net = kind(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.out = nn.Linear(width, words)

    def forward(self, index):
        return self.out(self.drop(self.net(self.drop(self.table(index)))[0]))


@member
def the_loss_shifts_inside():
    def loss(logits, tokens):
        return F.cross_entropy(logits[:, :-1].reshape(-1, 20), tokens[:, 1:].reshape(-1))

    line = lines()
    return plain(Recurrent(), loss, (line, line))


@member
def the_model_shifts_inside_and_returns_its_loss():
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = Recurrent()

        def forward(self, input_ids, labels=None):
            logits = self.transformer(input_ids)
            if labels is None:
                return logits, None
            shifted = logits[..., :-1, :].contiguous().view(-1, 20)
            return logits, F.cross_entropy(shifted, labels[..., 1:].contiguous().view(-1), ignore_index=-100)

    net, line = Language(), lines()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-4)

    def step():
        net.train()
        _, loss = net(line, labels=line)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return {
        "model": net, "loss": lambda out, labels: net(line, labels)[1], "batch": (line, line),
        "optimizer": optimizer,
        "step": step,
    }  # fmt: skip


@member
def the_start_symbol_is_put_before_the_line_inside():
    class Shifting(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Recurrent(21)

        def forward(self, tokens):
            start = tokens.new_full((len(tokens), 1), 20)
            return self.net(torch.cat([start, tokens[:, :-1]], 1))

    line = lines()
    return plain(Shifting(), every, (line, line))


@member
def sentence_autoencoder_with_teacher_forcing():
    class Seq2Seq(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.encoder = nn.Embedding(21, 16), nn.GRU(16, 24, batch_first=True)
            self.decoder, self.out = nn.GRU(16, 24, batch_first=True), nn.Linear(24, 21)

        def forward(self, tokens):
            _, state = self.encoder(self.table(tokens))
            shifted = F.pad(tokens[:, :-1], (1, 0), value=20)
            return self.out(self.decoder(self.table(shifted), state)[0])

    line = lines()
    return plain(Seq2Seq(), every, (line, line))


@member
def sentence_vae():
    class SentenceVAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.encoder = nn.Embedding(21, 16), nn.LSTM(16, 24, batch_first=True)
            self.mu, self.log_var, self.back = nn.Linear(24, 6), nn.Linear(24, 6), nn.Linear(6, 24)
            self.decoder, self.out = nn.LSTM(16, 24, batch_first=True), nn.Linear(24, 21)

        def forward(self, tokens):
            hidden = self.encoder(self.table(tokens))[1][0][-1]
            mu, log_var = self.mu(hidden), self.log_var(hidden)
            z = mu + torch.randn_like(mu) * (log_var / 2).exp() if self.training else mu
            state = torch.tanh(self.back(z))[None]
            start = torch.full((len(tokens), 1), 20)
            words = self.table(torch.cat([start, tokens[:, :-1]], dim=1))
            return self.out(self.decoder(words, (state, torch.zeros_like(state)))[0]), mu, log_var

    def loss(output, tokens):
        logits, mu, log_var = output
        kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
        return every(logits, tokens) + 0.1 * kl

    line = lines()
    return plain(SentenceVAE(), loss, (line, line))


@member
def captions_from_pictures():
    class Captioner(nn.Module):
        def __init__(self):
            super().__init__()
            self.see = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16)
            )
            self.table, self.net, self.out = (
                nn.Embedding(20, 16),
                nn.LSTM(16, 32, batch_first=True),
                nn.Linear(32, 20),
            )

        def forward(self, image, caption):
            words = torch.cat([self.see(image).unsqueeze(1), self.table(caption[:, :-1])], 1)
            return self.out(self.net(words)[0])

    caption = lines(8)
    return plain(Captioner(), every, ((torch.randn(8, 3, 9, 9), caption), caption))


@member
def masked_language_model():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.place = nn.Embedding(22, 16), nn.Parameter(0.02 * torch.randn(1, 12, 16))
            layer = nn.TransformerEncoderLayer(16, 4, 32, 0.1, "gelu", batch_first=True)
            self.net, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 22)

        def forward(self, tokens):
            return self.out(self.net(self.table(tokens) + self.place[:, : tokens.shape[1]]))

    line = lines(16, 12)
    hidden = torch.rand(line.shape) < 0.3
    labels = torch.where(hidden, line, torch.tensor(-100))
    seen = torch.where(hidden, torch.tensor(21), line)

    def loss(logits, y):
        return F.cross_entropy(logits.view(-1, 22), y.view(-1))

    return plain(Encoder(), loss, (seen, labels))


class Positions(nn.Module):
    def __init__(self, width, dropout=0.1, longest=50):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(longest).unsqueeze(1)
        speed = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        pe = torch.zeros(longest, 1, width)
        pe[:, 0, 0::2] = torch.sin(position * speed)
        pe[:, 0, 1::2] = torch.cos(position * speed)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0)])


@member
def transformer_tutorial_with_time_first():
    class TransformerModel(nn.Module):
        def __init__(self, words=20, width=16):
            super().__init__()
            self.pos_encoder = Positions(width)
            layer = nn.TransformerEncoderLayer(width, 2, 32, 0.2)
            self.transformer_encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.embedding, self.width, self.linear = nn.Embedding(words, width), width, nn.Linear(width, words)
            self.embedding.weight.data.uniform_(-0.1, 0.1)
            self.linear.bias.data.zero_()
            self.linear.weight.data.uniform_(-0.1, 0.1)

        def forward(self, src):
            mask = nn.Transformer.generate_square_subsequent_mask(len(src))
            x = self.pos_encoder(self.embedding(src) * math.sqrt(self.width))
            return self.linear(self.transformer_encoder(x, mask))

    data = lines(8, 12).t().contiguous()
    model, targets = TransformerModel(), data[1:].reshape(-1)
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.95)

    def step():
        model.train()
        loss = nn.CrossEntropyLoss()(model(data[:-1]).view(-1, 20), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()

    def evaluate():
        model.eval()
        with torch.no_grad():
            return every(model(data[:-1]), targets).item()

    case = {"model": model, "loss": every, "batch": (data[:-1], targets), "optimizer": optimizer, "batch_axis": 1}
    return {**case, "step": step, "evaluate": evaluate}


@member
def word_language_model_with_carried_state():
    class RNNModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.encoder, self.rnn = (
                nn.Dropout(0.2),
                nn.Embedding(20, 16),
                nn.LSTM(16, 16, 2, dropout=0.2),
            )
            self.decoder = nn.Linear(16, 20)
            nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
            nn.init.zeros_(self.decoder.bias)
            nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

        def forward(self, input, hidden=None):
            emb = self.drop(self.encoder(input))
            output, hidden = self.rnn(emb, hidden)
            return self.decoder(self.drop(output)).view(-1, 20), hidden

    data = lines(6, 13).t().contiguous()
    model, criterion = RNNModel(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=20)
    state = {"hidden": None}

    def step():
        model.train()
        optimizer.zero_grad()
        hidden = state["hidden"] and tuple(h.detach() for h in state["hidden"])
        output, state["hidden"] = model(data[:-1], hidden)
        criterion(output, data[1:].reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    def loss(output, y):
        return criterion(output[0], y)

    return {
        "model": model, "loss": loss, "batch": (data[:-1], data[1:].reshape(-1)), "optimizer": optimizer,
        "step": step,
        "batch_axis": 1,
    }  # fmt: skip


@member
def names_by_a_character_mlp():
    class Lookup(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net = (
                nn.Embedding(27, 10),
                nn.Sequential(nn.Linear(30, 64), nn.Tanh(), nn.Linear(64, 27)),
            )
            with torch.no_grad():
                self.net[2].weight.mul_(0.01)
                self.net[2].bias.zero_()

        def forward(self, x):
            return self.net(self.table(x).flatten(1))

    x = torch.randint(0, 27, (32, 3))
    model = Lookup()
    return plain(model, F.cross_entropy, (x, (x.sum(1) * 7) % 27), torch.optim.SGD(model.parameters(), lr=0.1))


@member
def bigram_by_hand():
    class Bigram(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(27, 27))

        def forward(self, x):
            return F.one_hot(x, 27).float() @ self.weight

    model, x = Bigram(), torch.randint(0, 27, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=10)
    case = plain(model, F.cross_entropy, (x, (x + 1) % 27), optimizer)

    def step():
        loss = F.cross_entropy(model(x), (x + 1) % 27) + 0.01 * (model.weight**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {**case, "step": step}


@member
def wavenet_of_causal_convolutions():
    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(20, 16)
            self.convs = nn.ModuleList(nn.Conv1d(16, 32, 2, dilation=2**i) for i in range(3))
            self.mix, self.out = nn.ModuleList(nn.Conv1d(16, 16, 1) for _ in range(3)), nn.Conv1d(16, 20, 1)

        def forward(self, x):
            x = self.table(x).transpose(1, 2)
            for i, (conv, mix) in enumerate(zip(self.convs, self.mix, strict=True)):
                a, b = conv(F.pad(x, (2**i, 0))).chunk(2, 1)
                x = x + mix(torch.tanh(a) * torch.sigmoid(b))
            return self.out(F.relu(x))

    line = lines()
    return plain(Causal(), F.cross_entropy, (line[:, :-1], line[:, 1:]))


@member
def attention_decoder_for_translation():
    class Translate(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Embedding(20, 16, padding_idx=0), nn.Embedding(20, 16, padding_idx=0)
            self.encoder, self.cell = nn.GRU(16, 16, batch_first=True), nn.GRUCell(32, 16)
            self.out = nn.Linear(32, 20)

        def forward(self, source, target):
            keys, state = self.encoder(self.a(source))
            state, logits = state[0], []
            hide = source == 0
            for t in range(target.size(1)):
                score = torch.bmm(keys, state.unsqueeze(2)).squeeze(2).masked_fill(hide, -1e9)
                context = torch.bmm(F.softmax(score, 1).unsqueeze(1), keys).squeeze(1)
                state = self.cell(torch.cat([self.b(target[:, t]), context], 1), state)
                logits.append(self.out(torch.cat([state, context], 1)))
            return torch.stack(logits, 1)

    source, line = torch.randint(1, 20, (6, 8)), torch.randint(1, 20, (6, 8))
    source[:3, 6:], line[:2, 6:] = 0, 0

    def loss(logits, y):
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=0)

    return plain(Translate(), loss, ((source, line[:, :-1]), line[:, 1:]))


@member
def packed_sentiment_with_binary_loss():
    class Sentiment(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(30, 16, padding_idx=0)
            self.rnn, self.fc, self.dropout = (
                nn.LSTM(16, 12, 2, bidirectional=True, dropout=0.3),
                nn.Linear(24, 1),
                nn.Dropout(0.3),
            )

        def forward(self, text, lengths):
            embedded = self.dropout(self.embedding(text))
            packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, enforce_sorted=False)
            _, (hidden, _) = self.rnn(packed)
            return self.fc(self.dropout(torch.cat((hidden[-2], hidden[-1]), dim=1))).squeeze(1)

    lengths = torch.tensor([9, 7, 5, 8, 9, 6, 3, 4])
    text = torch.randint(1, 30, (9, 8)) * (torch.arange(9)[:, None] < lengths)
    y = (torch.arange(8) % 2).float()
    return plain(Sentiment(), nn.BCEWithLogitsLoss(), ((text, lengths), y), batch_axis=1)


@member
def bag_of_embeddings():
    class TextClassification(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.fc = nn.EmbeddingBag(50, 16, sparse=False), nn.Linear(16, 4)
            self.embedding.weight.data.uniform_(-0.5, 0.5)
            self.fc.weight.data.uniform_(-0.5, 0.5)
            self.fc.bias.data.zero_()

        def forward(self, text, offsets):
            return self.fc(self.embedding(text, offsets))

    model = TextClassification()
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    text, offsets = torch.randint(0, 50, (60,)), torch.arange(0, 60, 6)
    x, y = (text, offsets), torch.arange(10) % 4

    def step():
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(*x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    return {**plain(model, F.cross_entropy, (x, y), optimizer), "step": step}


@member
def sine_waves_by_two_cells():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm1, self.lstm2, self.linear = nn.LSTMCell(1, 16), nn.LSTMCell(16, 16), nn.Linear(16, 1)

        def forward(self, input):
            outputs = []
            h_t = c_t = h_t2 = c_t2 = torch.zeros(input.size(0), 16, dtype=input.dtype)
            for input_t in input.split(1, dim=1):
                h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                outputs += [self.linear(h_t2)]
            return torch.cat(outputs, dim=1)

    wave = torch.sin((torch.arange(13) + torch.randint(-40, 40, (8, 1))) / 2.0)
    seq, criterion = Sequence(), nn.MSELoss()
    optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.8)

    def step():
        def closure():
            optimizer.zero_grad()
            loss = criterion(seq(wave[:, :-1]), wave[:, 1:])
            loss.backward()
            return loss

        optimizer.step(closure)

    return {
        "model": seq, "loss": criterion, "batch": (wave[:, :-1], wave[:, 1:]), "optimizer": optimizer, "step": step
    }  # fmt: skip


@member
def forecasting_windows():
    class Forecast(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(3, 32, 2, batch_first=True, dropout=0.2), nn.Linear(32, 2)

        def forward(self, x):
            h, _ = self.rnn(x)
            return self.out(h[:, -1])

    x = torch.randn(32, 16, 3).cumsum(1)
    x = (x - x.mean((0, 1))) / x.std((0, 1))
    y = x[:, -2:, 0] * 0.9 + 0.1 * torch.randn(32, 2)
    return plain(Forecast(), nn.L1Loss(), (x, y))


@member
def speech_with_connectionist_temporal_classification():
    class Speech(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(13, 32, 5, 2, 2)
            self.rnn, self.fc = nn.GRU(32, 24, bidirectional=True, batch_first=True), nn.Linear(48, 12)

        def forward(self, x):
            x = F.gelu(self.conv(x)).transpose(1, 2)
            return F.log_softmax(self.fc(self.rnn(x)[0]), 2).transpose(0, 1)

    y = torch.randint(1, 12, (6, 5))

    def loss(logs, y):
        sizes = torch.full((logs.shape[1],), logs.shape[0]), torch.full((len(y),), y.shape[1])
        return F.ctc_loss(logs, y, *sizes, blank=0, zero_infinity=True)

    return plain(Speech(), loss, (torch.randn(6, 13, 40), y))


@member
def tokens_as_probabilities_with_a_tied_head_and_rotary_positions():
    def turn(x):
        half = x.shape[-1] // 2
        angle = torch.arange(x.shape[-2])[:, None] * 10000.0 ** (-torch.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)

    class Norm(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight

    class Layer(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.n1, self.n2 = Norm(width), Norm(width)
            self.q, self.kv, self.o = (nn.Linear(width, size, bias=False) for size in (width, width, width))
            self.gate, self.up, self.down = (
                nn.Linear(*s, bias=False) for s in ((width, 48), (width, 48), (48, width))
            )

        def forward(self, x):
            b, t, c = x.shape
            h = self.n1(x)
            q = self.q(h).view(b, t, 4, -1).transpose(1, 2)
            k, v = self.kv(h).view(b, t, 4, -1).transpose(1, 2).chunk(2, 1)  # two heads are shared by four queries
            k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
            y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
            x = x + self.o(y.transpose(1, 2).reshape(b, t, c))
            h = self.n2(x)
            return x + self.down(F.silu(self.gate(h)) * self.up(h))

    class Llama(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(20, 32)
            self.layers, self.norm, self.head = (
                nn.ModuleList(Layer(32) for _ in range(2)),
                Norm(32),
                nn.Linear(32, 20, bias=False),
            )
            for p in self.parameters():
                if p.ndim > 1:
                    nn.init.normal_(p, std=0.02)
            self.head.weight = self.table.weight

        def forward(self, index):
            x = self.table(index)
            for layer in self.layers:
                x = layer(x)
            return self.head(self.norm(x))

    line, net = lines(8, 13), Llama()
    warm = torch.optim.AdamW(net.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
    return plain(net, every, (line[:, :-1], line[:, 1:]), warm)


@member
def bert_like_pair_classifier_with_a_mask():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.kinds, self.places = (
                nn.Embedding(30, 16, padding_idx=0),
                nn.Embedding(2, 16),
                nn.Embedding(12, 16),
            )
            self.norm, self.drop = nn.LayerNorm(16), nn.Dropout(0.1)
            layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, "gelu", batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.pooler, self.classifier = nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, input_ids, attention_mask, token_type_ids):
            place = torch.arange(input_ids.shape[1])
            x = self.words(input_ids) + self.kinds(token_type_ids) + self.places(place)
            x = self.encoder(self.drop(self.norm(x)), src_key_padding_mask=attention_mask == 0)
            return self.classifier(self.drop(torch.tanh(self.pooler(x[:, 0]))))

    ids = torch.randint(1, 30, (8, 12))
    mask = (torch.arange(12) < torch.tensor([12, 9, 7, 12, 11, 6, 10, 8])[:, None]).long()
    kinds = (torch.arange(12) >= 6).long().expand(8, 12).clone()
    batch = {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "token_type_ids": kinds,
        "labels": torch.arange(8) % 3,
    }
    net = Classifier()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-5)

    def step():
        net.train()
        given = {k: v for k, v in batch.items() if k != "labels"}
        F.cross_entropy(net(**given), batch["labels"]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return {"model": net, "loss": F.cross_entropy, "batch": batch, "optimizer": optimizer, "step": step}
