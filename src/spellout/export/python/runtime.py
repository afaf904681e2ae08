"""A model that makes lines, in one file: no package is needed but Python 3.9 or newer.

python FILE.py                      ten lines
python FILE.py -n 100 --seed 1 --prefix Jo --temperature 0.8
python FILE.py --score Emma         its loss in nats per character

from FILE import model              # and then
list(model.lines(10, seed=1)), model.score("Emma"), model.next("Em")
"""

import argparse
import array
import base64
import json
import math
import sys
import unicodedata
import zlib
from operator import mul

RECENT = 12
MASK = (1 << 64) - 1
PATIENCE = 1000


class Model:
    """The step of a model, token by token, and the texts of its tokens."""

    def __init__(self, header, data):
        self.__dict__.update(header["model"])
        self.tensors = {name: matrix(data, one) for name, one in header["tensors"].items()}
        self.tables = {name: Table(data, one) for name, one in header["tables"].items()}
        self.shapes = {
            name: (numbers(data, one["classes"]), matrix(data, one["following"]), matrix(data, one["log_factors"]))
            for name, one in header["shapes"].items()
        }
        self.bits = numbers(data, header["bits"]) if header["bits"] else b""
        self.size = len(self.texts)
        self.known_lines = set(self.lines_inside)
        self.tokens = {}
        for token, text in enumerate(self.texts):
            if text:
                self.tokens.setdefault(text, token)
        self.longest = max(map(len, self.texts))

    def lines(self, count=10, seed=0, prefix="", label=None, new=True, **options):
        """Make lines: `temperature`, `top_k`, `top_p`, `max_length`; `new`: none that the model has learned from.

        The same seed gives the same lines as the package does. They end after `PATIENCE` tries in
        a row that were in vain. Raises ValueError for what the model cannot write.
        """
        begin = self.cut(prefix)
        if begin is None:
            raise ValueError(f"the model knows nothing of a character or word in {prefix!r}")
        self.check(label)
        number = refused = 0
        while count and refused < PATIENCE:
            line = self.candidate(seed, number, begin, label, **options)
            number += 1
            if line is None or (new and self.is_known(line)):
                refused += 1
                continue
            count, refused = count - 1, 0
            yield line

    def next(self, text="", label=None):
        """The probability of every token after the beginning of a line, by its text; "" is the end."""
        row = self.after(text, label)[-1]
        chances = {}
        for token, log in enumerate(row):
            if token not in self.never:
                chances[self.texts[token]] = chances.get(self.texts[token], 0.0) + math.exp(log)
        return chances

    def score(self, text, label=None):
        """The loss of a line in nats per token, its end among them. Raises ValueError for unknown characters."""
        rows, tokens = self.after(text, label), [*self.cut(text), 0]
        rows = rows[-len(tokens) :]
        return -sum(row[token] for row, token in zip(rows, tokens)) / len(tokens)

    def after(self, text, label=None):
        """The rows of log-probabilities while a text is read, the first before its first token.

        Raises ValueError for unknown characters, and for a label that is missing, or that there is not.
        """
        tokens = self.cut(text)
        if tokens is None:
            raise ValueError(f"the model knows nothing of a character or word in {text!r}")
        state = State(self)
        rows = [state.read(0)]
        self.check(label)
        if self.labels:
            if label is None:
                raise ValueError(f"lines have labels here, so one is needed: {', '.join(self.labels)}")
            rows.append(state.read(self.size - len(self.labels) + self.labels.index(label)))
        return rows + [state.read(token) for token in tokens]

    def check(self, label):
        """Raise ValueError for a label that there is not."""
        if label is not None and label not in self.labels:
            raise ValueError(f"there is no label {label!r}; there are {', '.join(self.labels) or 'none'}")

    # One candidate.

    def candidate(self, seed, number, begin, label=None, temperature=1.0, top_k=None, top_p=None, max_length=None):
        """Draw one line; None if it is none, or did not end."""
        state, random, made = State(self), Numbers(seed, number), list(begin)
        row, before = state.read(0), len(self.labels) > 0
        longest, name = max_length or self.max_length, None
        if before:
            drawn = self.drawn_label(random.at(0)) if label is None else self.labels.index(label)
            name, row = self.labels[drawn], state.read(self.size - len(self.labels) + drawn)
        made = made[:longest]
        for token in made:
            row = state.read(token)
        while True:
            banned = self.never if made else [0, *self.never]
            token = inverted(weights_of(row, banned, temperature, top_k, top_p), random.at(before + len(made)))
            if token == 0:
                text = self.text(made)
                return text if text is None or name is None else f"{name}\t{text}"
            if len(made) >= longest:
                return None
            made.append(token)
            row = state.read(token)

    def drawn_label(self, number):
        """The number of the label that a uniform number falls to."""
        total, chosen = 0.0, 0
        for share in self.shares:
            total += share
            chosen += total <= number
        return min(chosen, max(place for place, share in enumerate(self.shares) if share > 0))

    # Texts.

    def cut(self, text):
        """The tokens of a text: words where there are spaces, else the longest there are. None: it has none."""
        text = unicodedata.normalize("NFC", text)
        if self.between:
            found = [self.tokens.get(word) for word in text.split()]
            return None if None in found else found
        found, start = [], 0
        while start < len(text):
            end = min(len(text), start + self.longest)
            while end > start and text[start:end] not in self.tokens:
                end -= 1
            if end > start:
                found.append(self.tokens[text[start:end]])
            else:
                end = start + 1
                found += [self.tokens.get(half(byte)) for byte in text[start].encode()]
                if None in found:
                    return None
            start = end
        return found

    def text(self, tokens):
        """What tokens write, if a file could hold it and would be read as these tokens; else None."""
        text = self.between.join(self.texts[token] for token in tokens)
        try:
            text = text.encode("utf-8", "surrogateescape").decode()
        except UnicodeError:
            return None
        whole = text and text == text.strip() and text == unicodedata.normalize("NFC", text)
        return text if whole and (self.longest == 1 or self.cut(text) == list(tokens)) else None

    def is_known(self, line):
        """Was it learned from? Certain if the lines are here, else by the bits of a Bloom filter."""
        if self.known_lines or not self.bits:
            return line in self.known_lines
        value = 0xCBF29CE484222325
        for byte in line.encode():
            value = (value ^ byte) * 0x100000001B3 & MASK
        first, second = value & 0xFFFFFFFF, value >> 32 | 1
        places = ((first + i * second) % self.known["size"] for i in range(self.known["hashes"]))
        return all(self.bits[place >> 3] >> (place & 7) & 1 for place in places)


class State:
    """What was read of a line."""

    def __init__(self, model):
        self.model = model
        self.recent, self.first, self.place = [0] * RECENT, [0, 0], -1
        self.shapes = dict.fromkeys(model.shapes)
        self.memories = {}

    def read(self, token):
        """Take one more token; give the log-probabilities of the next."""
        self.place += 1
        self.recent = [token, *self.recent[:-1]]
        if 1 <= self.place <= 2:
            self.first[self.place - 1] = token
        for name, (classes, following, _) in self.model.shapes.items():
            before = self.shapes[name]
            self.shapes[name] = 0 if before is None else following[before][classes[token]]
        vectors, self.kept = [], {}
        for op, inputs, names, number in self.model.instructions:
            vectors.append(RUN[op](self, names, number, *[vectors[place] for place in inputs]))
        self.memories.update(self.kept)
        return vectors[-1]

    def column(self, name):
        """A column of the past by its name."""
        if name == "place":
            return self.place
        return (self.first if name[0] == "f" else self.recent)[int(name[1:]) - 1]


class Table:
    """An n-gram table: what followed each context, smoothed by what followed shorter ones."""

    def __init__(self, data, stored):
        self.columns, self.interpolated = stored["columns"], stored["interpolated"]
        self.discounts, self.concentrations = (
            matrix(data, stored["discounts"]),
            numbers(data, stored["concentrations"]),
        )
        self.classes = numbers(data, stored["classes"])
        self.levels = []
        for one in stored["levels"]:
            values, offsets, tokens, counts = (numbers(data, part) for part in one[:4])
            parents = numbers(data, one[4])
            contexts = {(parent, value): place for place, (parent, value) in enumerate(zip(parents, values))}
            self.levels.append((contexts, offsets, tokens, counts))
        self.kept = {}

    def row(self, state, size):
        """The probabilities after the longest context that was seen, mixed with those after shorter ones."""
        contexts, row = self.contexts(state, size), [1.0 / size] * size
        for depth, context in enumerate(contexts):
            if context is None:
                continue
            key = (depth, context)
            if key not in self.kept:
                self.kept[key] = self.mixed(depth, context, row)
            row = self.kept[key]
        return row

    def mixed(self, depth, context, shorter):
        """The row of one context, over that of a shorter one."""
        _, offsets, tokens, counts = self.levels[depth]
        discounts, entries = self.discounts[depth], range(offsets[context], offsets[context + 1])
        total = mass = self.concentrations[depth]
        for entry in entries:
            total += counts[entry]
            mass += discounts[min(counts[entry], 3)]
        row = [mass / total * one for one in shorter]
        for entry in entries:
            row[tokens[entry]] += (counts[entry] - discounts[min(counts[entry], 3)]) / total
        return row

    def contexts(self, state, size):
        """The context at each level, None where it was not seen; if levels are not mixed, the longest only."""
        found, before, longest, reaches = [0], 1, 0, True
        for depth, name in enumerate(self.columns[: len(self.levels) - 1], 1):
            own = self.value(state, name, size)
            column = own if before else 0
            found.append(None if found[-1] is None else self.levels[depth][0].get((found[-1], column)))
            longest, reaches, before = depth if reaches else longest, reaches and own != 0, column
        if self.interpolated:
            return found
        return [context if depth == longest else None for depth, context in enumerate(found)]

    def value(self, state, name, size):
        """What stands in a column."""
        if name == "place":
            return min(state.place, size - 1)
        return self.classes[state.recent[int(name[1:]) - 1]] if name[0] == "k" else state.column(name)


# What the instructions of a step do (each has the state, names, a number, and vectors).


def both(function):
    """Element by element; one of the two may have one element only."""

    def run(state, names, number, x, y):
        if len(x) == len(y):
            return list(map(function, x, y))
        return [function(one, y[0]) for one in x] if len(y) == 1 else [function(x[0], one) for one in y]

    return run


def each(function):
    """Element by element."""
    return lambda state, names, number, x: list(map(function, x))


def linear(state, names, number, x):
    """W x, or W x + b."""
    rows = [sum(map(mul, row, x)) for row in state.model.tensors[names[0]]]
    return [one + more for one, more in zip(rows, state.model.tensors[names[1]])] if names[1:] else rows


def norm(state, names, number, x):
    """Layer normalisation."""
    gain, bias = (state.model.tensors[name] for name in names)
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in x) / len(x) + number)
    return [(one - mean) / deviation * a + b for one, a, b in zip(x, gain, bias)]


def softmax(x):
    """Probabilities of logits."""
    most = max(x)
    weights = [math.exp(one - most) for one in x]
    total = sum(weights)
    return [one / total for one in weights]


def attend(state, names, number, query, key, value):
    """Attention in several heads over the line so far."""
    kept = state.kept[names[0]] = [*state.memories.get(names[0], []), (key, value)]
    part, found = len(query) // int(number), []
    for start in range(0, len(query), part):
        here = slice(start, start + part)
        scores = [sum(map(mul, query[here], one[here])) / math.sqrt(part) for one, _ in kept]
        weights = softmax(scores)
        found += [sum(map(mul, weights, column)) for column in zip(*(one[here] for _, one in kept))]
    return found


def average(state, names, number, x):
    """The mean over the line so far."""
    total, count = state.memories.get(names[0], ([0.0] * len(x), 0))
    total = [a + b for a, b in zip(total, x)]
    state.kept[names[0]] = total, count + 1
    return [one / (count + 1) for one in total]


def remember(state, names, number, x):
    """Keep a vector for the next token."""
    state.kept[names[0]] = x
    return x


def log_softmax(state, names, number, x):
    """Log-probabilities of logits."""
    most = max(x)
    rest = math.log(sum(math.exp(one - most) for one in x))
    return [one - most - rest for one in x]


def row_of(state, names, number):
    """A row of a tensor, the last one if there are fewer."""
    tensor = state.model.tensors[names[0]]
    return tensor[min(state.column(names[1]), len(tensor) - 1)]


def shape(state, names, number):
    """What the shape of the line so far says of every token."""
    classes, _, factors = state.model.shapes[names[0]]
    row = factors[state.shapes[names[0]]]
    return [row[one] for one in classes]


def affine(state, names, number, x):
    """A normalisation that is fixed."""
    factor, addend = (state.model.tensors[name] for name in names)
    return [one * a + b for one, a, b in zip(x, factor, addend)]


RUN = {
    "row": row_of,
    "counts": lambda state, names, number: [
        math.log(one) for one in state.model.tables[names[0]].row(state, state.model.size)
    ],
    "shape": shape,
    "constant": lambda state, names, number: state.model.tensors[names[0]],
    "linear": linear,
    "norm": norm,
    "attend": attend,
    "average": average,
    "recall": lambda state, names, number: state.memories.get(names[0], [0.0] * int(number)),
    "remember": remember,
    "add": both(lambda x, y: x + y),
    "multiply": both(mul),
    "affine": affine,
    "scale": lambda state, names, number, x: [one * number for one in x],
    "complement": each(lambda x: 1.0 - x),
    "tanh": each(math.tanh),
    "sigmoid": each(lambda x: (1.0 + math.tanh(x / 2.0)) / 2.0),
    "relu": each(lambda x: max(x, 0.0)),
    "gelu": each(lambda x: x * (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0),
    "exp": each(math.exp),
    "log": each(lambda x: math.log(x) if x > 0 else -math.inf),
    "log_softmax": log_softmax,
    "join": lambda state, names, number, *vectors: [one for vector in vectors for one in vector],
    "part": lambda state, names, number, x: x[int(number) >> 24 : (int(number) >> 24) + (int(number) & 0xFFFFFF)],
}


# Random numbers and choices.


def half(byte):
    """A byte that is no character by itself, as Python's `surrogateescape` writes it."""
    return chr(byte) if byte < 128 else chr(0xDC00 + byte)


def philox(counter, key):
    """Ten rounds of Philox 4x64 (Salmon et al. 2011)."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        x, y = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
        a, b, c, d = y >> 64 ^ b ^ k, y & MASK, x >> 64 ^ d ^ m, x & MASK
        k, m = k + 0x9E3779B97F4A7C15 & MASK, m + 0xBB67AE8584CAA73B & MASK
    return a, b, c, d


class Numbers:
    """The uniform numbers in [0, 1) of one candidate, as NumPy's Philox gives them."""

    def __init__(self, seed, candidate):
        self.key, self.first, self.block = (seed & MASK, seed >> 64), candidate * 8, None

    def at(self, step):
        """The number of one step."""
        if step >> 2 != self.block:
            self.block = step >> 2
            place = self.first + self.block % 8 + 1  # NumPy counts on before it draws
            self.four = philox((place & MASK, (step >> 5) + (place >> 64), 0, 0), self.key)
        return (self.four[step & 3] >> 11) * 2.0**-53


def weights_of(row, banned, temperature=1.0, top_k=None, top_p=None):
    """Weights after temperature, top-k and top-p; those of banned tokens are 0. Ties go to the lower token."""
    row = list(row)
    for token in banned:
        row[token] = -math.inf
    if temperature != 1.0:
        row = [one / temperature for one in row]
    most = max(row)
    weights = [math.exp(one - most) for one in row]
    if top_k is None and top_p is None:
        return weights
    order = sorted(range(len(weights)), key=lambda token: -weights[token])
    ranked = [weights[token] for token in order]
    if top_k is not None:
        ranked[top_k:] = [0.0] * len(ranked[top_k:])
    if top_p is not None:
        total = 0.0
        for one in ranked:
            total += one
        least, before = top_p * total, 0.0
        for place, one in enumerate(ranked):
            before += one
            if before - one >= least:  # what comes before a token decides, so the likeliest one always stays
                ranked[place] = 0.0
    kept = [0.0] * len(weights)
    for token, one in zip(order, ranked):
        kept[token] = one
    return kept


def inverted(weights, number):
    """The token that a uniform number falls to."""
    total = 0.0
    for one in weights:
        total += one
    wanted, total, chosen, last = number * total, 0.0, 0, 0
    for token, one in enumerate(weights):
        total += one
        chosen += total <= wanted
        if one > 0:
            last = token
    return min(chosen, last)


# The data.


def numbers(data, stored):
    """An array of the data: its type, where it begins, and how many numbers it has."""
    kind, start, count = stored[:3]
    if kind == "e":
        import struct

        return struct.unpack(f"<{count}e", data[start : start + 2 * count])
    found = array.array(kind)
    found.frombytes(data[start : start + count * found.itemsize])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def matrix(data, stored):
    """Rows of an array that has columns, else the array itself; with a scale of each row, times that."""
    flat, columns = numbers(data, stored), stored[3]
    if columns is None:
        return list(flat)
    rows = [list(flat[start : start + columns]) for start in range(0, len(flat), columns)]
    if stored[4] is None:
        return rows
    return [[one * scale for one in row] for row, scale in zip(rows, numbers(data, stored[4]))]


def unpacked(header, data):
    """The model of a file's last two lines."""
    return Model(json.loads(header), zlib.decompress(base64.b85decode(data)))


def main(model):
    """Make lines, or score one, as the command line asks."""
    parser = argparse.ArgumentParser(description=f"{model.name}: {model.about.get('model', 'a model')}")
    parser.add_argument("-n", type=int, default=10, help="how many lines")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same lines")
    parser.add_argument("--prefix", default="", help="every line begins with this")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1 plays safe, above 1 takes risks")
    parser.add_argument("--top-k", type=int, help="choose among the k likeliest tokens only")
    parser.add_argument("--top-p", type=float, help="choose among the likeliest that together have probability p")
    parser.add_argument("--max-length", type=int, help="the most tokens in a line")
    parser.add_argument("--label", help="lines with this label only; with --score, the label of the line")
    parser.add_argument("--as-it-is", action="store_true", help="also lines that the model has learned from")
    parser.add_argument("--score", metavar="LINE", help="give the loss of a line in nats per token")
    asked = vars(parser.parse_args())
    scored, new, count = asked.pop("score"), not asked.pop("as_it_is"), asked.pop("n")
    if not 0 <= asked["seed"] <= MASK or count < 0 or not asked["temperature"] > 0:
        parser.error("a seed is from 0 to 2^64 - 1, a count at least 0, a temperature above 0")
    if asked["top_k"] is not None and asked["top_k"] < 1:
        parser.error("top-k is at least 1")
    if asked["top_p"] is not None and not 0 < asked["top_p"] <= 1:
        parser.error("top-p is above 0 and at most 1")
    try:
        if scored is not None:
            print(f"{model.score(scored, asked['label']):.4f}")
            return
        made = 0
        for line in model.lines(count, new=new, **asked):
            print(line, flush=True)
            made += 1
        if made < count:
            more = "other new line; raise --temperature, or allow known lines with --as-it-is" if new else "line"
            sys.exit(f"stopped after {made:,} of {count:,} lines: {PATIENCE:,} tries in a row brought no {more}")
    except ValueError as error:
        parser.error(str(error))
