"""What README's commands must have done: for each verb a check of output and files against the file they read.

A check is given the arguments after the verb, stdout and stderr. A wrong answer fails it, and a verb without a
check fails the test of the README.
"""

import json
import math
import re
from pathlib import Path

import matplotlib.image

from spellout.api import load_run


def option(arguments, flag, default):
    """The value after a flag."""
    return arguments[arguments.index(flag) + 1] if flag in arguments else default


def lines_of(arguments):
    """The lines of the file that the first argument names; of the bundled list if there is none."""
    from importlib import resources

    named = arguments and arguments[0].endswith(".txt")
    path = Path(arguments[0]) if named else resources.files("spellout.data") / "names.txt"
    return path.read_text("utf-8").split()


def run_of(arguments):
    """The run that the first argument names, else the one that a `train` without `-o` writes."""
    named = arguments and Path(arguments[0]).is_dir()
    return load_run(arguments[0] if named else "runs/names")


def edits(a, b):
    """Insertions, deletions and replacements from one word to another (Wagner & Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def table(out):
    """Rows of a table for machines, by the names of its columns."""
    head, *rows = [line.split("\t") for line in out.rstrip("\n").split("\n")]
    return [dict(zip(head, row, strict=True)) for row in rows]


def make(arguments, out, err):
    known, made = set(lines_of(arguments)), out.splitlines()
    if "--json" in arguments:
        rows = [json.loads(line) for line in made]
        made = [row["line"] for row in rows]
        if "--nearest" in arguments:
            assert all(row["nearest"] in known for row in rows)
            assert all(row["distance"] == edits(row["line"], row["nearest"]) for row in rows)
    assert len(made) == int(option(arguments, "-n", 10))
    assert all(line.startswith(option(arguments, "--prefix", "")) for line in made)
    assert all(line.endswith(option(arguments, "--ends", "")) for line in made)
    if "--length" in arguments:
        least, most = map(int, option(arguments, "--length", "").split("-"))
        assert all(least <= len(line) <= most for line in made)
    assert all(line and set(line) <= set("".join(known)) for line in made)
    assert len(known & set(made)) == 0  # new ones
    assert "nats" in err


def look(arguments, out, err):
    lines = lines_of(arguments)
    assert re.search(rf"^lines +{len(lines):,}, {len(set(lines)):,} different$", out, re.MULTILINE)
    letters = "".join(lines)
    assert re.search(rf"^characters +{len(letters):,}, {len(set(letters))} different$", out, re.MULTILINE)
    frequent = sorted(set(letters), key=letters.count, reverse=True)[:8]
    assert re.search(rf"^by frequency {''.join(frequent)}", out, re.MULTILINE)
    pairs = re.search(r"^    (¶ .*)\n((?:  \S .*\n?)+)", out, re.MULTILINE)
    assert [row.strip()[0] for row in pairs[2].splitlines()] == pairs[1].split()


def train(arguments, out, err):
    run = load_run(option(arguments, "-o", "runs/names"))
    held = sorted([*run.lines, *lines_of(arguments)])
    assert len(run.lines) == round(0.8 * len(set(lines_of(arguments)))) == len(held) - len(lines_of(arguments))
    assert f"{run.facts['results']['dev']['nats_per_char']:.4f} nats" in err
    assert set(run.lines) <= set(lines_of(arguments))


def sample(arguments, out, err):
    run, made = run_of(arguments), out.splitlines()
    assert len(made) == int(option(arguments, "-n", 10))
    assert "--unique" not in arguments or len(set(made)) == len(made)
    assert not set(made) & set(run.lines)
    assert all(line and set(line) <= set("".join(run.lines)) for line in made)


def score(arguments, out, err):
    rows = table(out)
    lines = lines_of([argument for argument in arguments if argument.endswith(".txt")])
    assert sorted(row["line"] for row in rows) == sorted(lines)
    surprise = [float(row["bits/char"]) for row in rows]
    assert surprise == sorted(surprise, reverse=True)
    if "Xzvjk" in lines:
        assert rows[0]["line"] == "Xzvjk"  # as anyone would say
    run = run_of(arguments)
    known, letters = set(run.lines), set("".join(run.lines))
    row = next(row for row in rows if row["line"] not in known and set(row["line"]) <= letters)
    stream = run.vocabulary.encode([row["line"]])[None].astype(int)
    bits = -float(run.new_lines().score(stream[:, :-1], stream[:, 1:]).sum()) / math.log(2)
    assert abs(float(row["as new"]) - bits / (len(row["line"]) + 1)) < 2e-3
    for row, bits in zip(rows, surprise, strict=True):
        assert (row["as new"] == "in the list") == (row["line"] in known)
        nats = -float(row["ln p"]) / (len(row["line"]) + 1)
        assert abs(bits - nats / math.log(2)) < 6e-4 + 0.0051 / (len(row["line"]) + 1) / math.log(2)  # as rounded


def suspects(arguments, out, err):
    rows, lines = table(out), lines_of(arguments)
    assert len(rows) == int(option(arguments, "-n", 20))
    assert all(lines[int(row["number"]) - 1] == row["line"] and row["letters"] in row["line"] for row in rows)
    bits = [float(row["bits"]) for row in rows]
    assert bits == sorted(bits, reverse=True)
    assert all(row["why"] for row in rows)
    assert f"{len(set(lines)):,} different lines, each judged by all others" in err


def why(arguments, out, err):
    rows = table(out)
    assert "".join(row["letter"] for row in rows) == arguments[-1] + "¶"
    for row in rows:
        chance = float(row["chance"])
        assert abs(float(row["bits"]) + math.log2(chance)) < 0.01 + 1e-4 / chance
        expected = re.findall(r"(\S) (\d\.\d\d)", row["likeliest here"])
        rank = int(row["rank"])
        if rank <= len(expected):
            letter, shown = expected[rank - 1]
            assert letter == row["letter"]
            assert abs(float(shown) - chance) < 0.0051
    total = sum(float(row["bits"]) for row in rows)
    assert abs(float(re.search(r"([\d.]+) bits in all", err)[1]) - total) < 0.01 * len(rows)


def compare(arguments, out, err):
    asked = option(arguments, "--models", "").split(",")
    losses = {row["model"]: float(row["as it is"]) for row in table(out)}
    assert set(asked) <= set(losses)
    assert losses["ngram:2"] > losses["ngram:3"] > losses["ngram:5"] >= losses["ngram"] - 1e-4
    for row in table(out):
        assert abs(math.exp(float(row["as it is"])) - float(row["perplexity"])) < 2e-3
        assert float(row["new lines"]) < float(row["as it is"])
        assert 0.0 < float(row["by heart"].rstrip("%")) < 100.0


def draw(arguments, out, err):
    """The drawn value and gradients against Python's own arithmetic and central differences."""
    formula = arguments[0]
    values = {name: float(number) for name, number in (a.split("=") for a in arguments[1:] if "=" in a)}

    def result(**other):
        return eval(formula, {"tanh": math.tanh}, values | other)

    if (path := option(arguments, "-o", None)) is not None:
        page = Path(path).read_text("utf-8")
        assert "<svg" in page
        assert f"{result():.4g}" in page
        return
    rows = {line.split()[0]: line.split() for line in out.split("\n\n")[0].splitlines()[1:]}
    assert abs(float(rows["result"][-2]) - result()) < 1e-6
    for name, value in values.items():
        slope = (result(**{name: value + 1e-5}) - result(**{name: value - 1e-5})) / 2e-5
        assert abs(float(rows[name][-1]) - slope) < 1e-6, name
        assert f"d result / d {name} = " in out


def plot(arguments, out, err):
    picture = matplotlib.image.imread(option(arguments, "-o", None))
    assert min(picture.shape[:2]) > 200
    assert picture[..., :3].std() > 0.02  # something is drawn


def tune(arguments, out, err):
    rows, folder = table(out), Path(option(arguments, "-o", f"studies/names-{option(arguments, '--model', '')}"))
    assert len(rows) == int(option(arguments, "--trials", 0))
    losses = [float(row["new lines"]) for row in rows]
    assert losses == sorted(losses)
    best = load_run(re.search(r"the best run is kept in (\S+)", err)[1])
    assert best.family == option(arguments, "--model", "")
    results = best.facts["results"]
    assert f"{results['dev']['nats_per_char']:.4f}" == rows[0]["as it is"]
    assert f"{results['new_lines']['nats_per_char']:.4f}" == rows[0]["new lines"]
    file = f"{arguments[0]} " if arguments[0].endswith(".txt") else ""
    assert f"train it again with: spellout train {file}" in err
    assert folder.is_dir()


def export(arguments, out, err):
    path = Path(option(arguments, "-o", ""))
    content = path.read_bytes()
    assert f"{len(content):,} bytes" in err
    assert "plain model" in err
    assert path.suffix != ".html" or content.startswith(b"<!doctype html>")


CHECKS = {
    check.__name__: check
    for check in (make, look, train, sample, score, suspects, why, compare, draw, plot, tune, export)
}
