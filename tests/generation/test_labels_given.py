"""Models of lines given their labels: what a loss counts, what is made, and that the label tells."""

import json
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from spellout.api import train
from spellout.app.cli import run_command
from spellout.data.config import DataConfig
from spellout.data.labels import without_label
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.judge import Judge
from spellout.generation.novelty import only
from spellout.generation.sampling import sample
from spellout.generation.scoring import explain_line, score_lines
from spellout.inference.asked import best_of
from spellout.models.new_lines.sharper import sharper
from spellout.training.config import TrainingConfig

FEW = TrainingConfig(steps=500)
MODELS = ["ngram", "counts:5", "mlp:32", "mlp:16+ngram", "ngram & mlp:16"]


@pytest.fixture(scope="module")
def rows():
    """Lines of two kinds that differ by their ends, far behind the label."""
    random = np.random.default_rng(1)
    rows = []
    for _ in range(400):
        body = "".join(random.choice(list("bdg" if place % 2 == 0 else "aou"), 1)[0] for place in range(11))
        label = "xy"[int(random.random() < 0.25)]
        rows.append((label, body + {"x": "e", "y": "i"}[label]))
    return list(dict.fromkeys(rows))


@pytest.fixture(scope="module")
def prepared(rows):
    return Prepared.of(Lines.of([f"{label}\t{text}" for label, text in rows]), DataConfig(label="1"))


@pytest.fixture(scope="module")
def runs(prepared):
    return {model: train(prepared, model, training=FEW).run for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_the_label_tells_far_behind_it_and_in_what_is_made(runs, model):
    run = runs[model]
    for label, right, wrong in (("x", "e", "i"), ("y", "i", "e")):
        made = sample(run.model, run.vocabulary.given(label), SamplingConfig(seed=3, max_length=40))
        lines = list(islice(made, 100))
        assert {one.label for one in lines} == {label}
        ends = [one.text[-1] for one in lines]
        assert ends.count(right) > 2 * ends.count(wrong)  # without labels, three of four end with an e
        steps = explain_line(run.model, run.vocabulary, f"{label}\tbadogubadog{right}")
        assert [step.symbol for step in steps] == [*f"badogubadog{right}", "¶"]
        other = explain_line(run.model, run.vocabulary, f"{label}\tbadogubadog{wrong}")[-2]
        assert steps[-2].probability > 2 * other.probability


@pytest.mark.parametrize("model", MODELS)
def test_a_loss_is_that_of_the_line_given_its_label(runs, prepared, model):
    run, lines = runs[model], prepared.split.dev[:15]
    result = evaluate(run.model, run.vocabulary, lines)
    scores = list(score_lines(run.model, run.vocabulary, lines))
    assert result.characters == result.tokens == sum(len(without_label(line)) + 1 for line in lines)
    assert result.nats == pytest.approx(sum(score.nats.sum() for score in scores))
    # the definition: what the model says of the whole line, over what it says of its label
    for line, score in zip(lines, scores, strict=True):
        stream = run.vocabulary.encode([line]).astype(np.int64)
        logs = run.model.score(stream[None, :-1], stream[None, 1:])[0]
        known = run.vocabulary.escape.known_nats
        assert score.nats.sum() == pytest.approx(-logs[1:].sum() + known * (len(logs) - 1))
        assert (score.line, score.label) == (line[2:], line[0])


def test_labels_that_nobody_asks_for_come_by_their_shares(runs, prepared):
    run = runs["ngram"]
    made = [one.label for one in islice(sample(run.model, run.vocabulary, SamplingConfig()), 2000)]
    share = sum(line[0] == "y" for line in prepared.split.train) / len(prepared.split.train)
    assert made.count("y") / 2000 == pytest.approx(share, abs=0.04)
    hot = SamplingConfig(temperature=3.0, max_length=12)
    made = [one.label for one in islice(sample(run.model, run.vocabulary, hot), 500)]
    assert made.count("y") / 500 == pytest.approx(share, abs=0.08)


def test_the_same_lines_whatever_the_batch(runs):
    run = runs["ngram"]
    many, few = (
        [
            (one.text, one.label)
            for one in islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=20), batch=size), 40)
        ]
        for size in (64, 7)
    )
    assert many == few


def test_a_label_helps(rows, prepared, runs):
    without = Prepared.of(Lines.of([text for _, text in rows]), DataConfig())
    assert runs["ngram"].facts["results"]["dev"]["nats_per_char"] < (
        train(without, "ngram").dev.nats_per_char - 0.02
    )


def test_new_lines_given_a_label_are_new(runs, prepared):
    run = runs["ngram"]
    model, known = run.new_lines(), set(prepared.split.train)
    accept = only(unique=True)
    made = islice(sample(model, run.vocabulary.given("y"), SamplingConfig(max_length=30), accept=accept), 300)
    assert all(one.line not in known for one in made)


def test_commands_with_labels(tmp_path, rows, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text,kind\n" + "".join(f"{text},{label}\n" for label, text in rows))
    arguments = ["train", "rows.csv", "-o", "run", "--column", "text", "--label", "kind", "--model", "ngram:4"]
    assert run_command(arguments) == 0
    assert "its labels are x, y" in capsys.readouterr().err

    def out(*arguments, code=0):
        assert run_command(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    made = [json.loads(line) for line in out("sample", "run", "-n", "20", "--label", "y", "--json").splitlines()]
    assert {one["label"] for one in made} == {"y"}
    assert not {one["line"] for one in made} & {text for _, text in rows}
    assert "--label z: no line the model learned from has it" in out("sample", "run", "--label", "z", code=2)
    (tmp_path / "plain.txt").write_text("badogubadoge\nbadogubadogi\n")
    scores = out("score", "run", "plain.txt", "--label", "x", "--json").splitlines()
    first, second = (json.loads(line) for line in scores)
    assert first["bits_per_char"] < second["bits_per_char"]
    assert (first["label"], len(first["bits"])) == ("x", 13)
    table = out("score", "run", "rows.csv", "--column", "text", "--label", "kind", "--json").splitlines()
    assert len(table) == len(rows)
    assert "say which with --label; its labels are x, y" in out("score", "run", "plain.txt", code=2)
    said = "--label z: no line the model learned from has it; its labels are x, y"
    assert said in out("score", "run", "plain.txt", "--label", "z", code=2)
    assert said in out("score", "run", "rows.csv", "--column", "text", "--label", "z", code=2)
    assert "say which with --label; its labels are x, y" in out("why", "run", "badoge", code=2)
    assert len(out("why", "run", "badoge", "--label", "x", "--json").splitlines()) == 7
    made = out("make", "rows.csv", "--column", "text", "--label", "kind=y", "--seconds", "0", "-n", "20")
    assert sum(line.endswith("i") for line in made.splitlines()) >= 17
    assert run_command(["train", "plain.txt", "-o", "plain", "--model", "ngram:2"]) == 0
    capsys.readouterr()
    assert "trained on lines without labels" in out("sample", "plain", "--label", "x", code=2)
    assert "trained on lines without labels" in out("score", "plain", "plain.txt", "--label", "x", code=2)
    assert "trained on lines without labels" in out("why", "plain", "badoge", "--label", "x", code=2)


def test_the_loss_on_new_lines_is_the_definition_given_the_label(prepared, runs):
    run, judge = runs["mlp:16+ngram"], Judge(prepared)
    held = judge.held_out(prepared.split.dev)
    judged = judge(run.model, held)
    bold = sharper(run.model, judged.new.sharpness)
    of_train, of_dev = (
        [(score.label, score.log_probability) for score in score_lines(bold, run.vocabulary, lines)]
        for lines in (list(dict.fromkeys(prepared.split.train)), prepared.split.dev)
    )
    price = run.vocabulary.escape.known_nats  # what a vocabulary keeps for new letters is no part of a model

    def alone(log, line):
        return log + price * (len(without_label(line)) + 1)

    lines = list(dict.fromkeys(prepared.split.train))
    known = {
        label: sum(
            np.exp(alone(log, line)) for (one, log), line in zip(of_train, lines, strict=True) if one == label
        )
        for label in run.vocabulary.labels
    }
    wanted = sum(log - np.log1p(-known[label]) for label, log in of_dev)
    assert judged.new.result.nats == pytest.approx(-wanted, rel=1e-6)
    meanwhile = judge.meanwhile(run.model, held)
    assert meanwhile.new.result.nats == pytest.approx(-wanted, rel=1e-6)
    assert meanwhile.as_it_is.nats == pytest.approx(judged.as_it_is.nats, rel=1e-6)


def test_what_comes_again_is_shared_among_lines_of_one_label(rows):
    lines = [f"{label}\t{text}" for label, text in rows[:120]] + [f"{rows[0][0]}\t{rows[0][1]}"] * 30
    prepared = Prepared.of(Lines.of(lines), DataConfig(label="1", split="lecture"))
    judge = Judge(prepared)
    run = train(prepared, "ngram:3").run
    shares = judge._shares(None)
    trie = judge._trie
    stream = prepared.stream
    found = trie.find(stream)
    for label in run.vocabulary.labels:
        mine = {which for which, line in zip(found.tolist(), prepared.split.train, strict=True) if line[0] == label}
        assert np.exp(shares[sorted(mine)]).sum() == pytest.approx(1.0)
    result = run.facts["results"]["new_lines"]
    assert 0 < result["nats_per_char"] < run.facts["results"]["dev"]["nats_per_char"]


@pytest.fixture
def place(tmp_path, rows, monkeypatch):
    """A working directory with a table, and a judge that takes no line with a tab."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text,kind\n" + "".join(f"{text},{label}\n" for label, text in rows))
    (tmp_path / "judge_of_texts.py").write_text("def ok(line):\n    return len(line) == 12\n")
    return ["rows.csv", "--column", "text", "--label", "kind=y", "--seconds", "0", "-n", "5"]


@pytest.mark.parametrize(
    ("wishes", "pattern"),
    [
        (("--length", "9-11"), r".{9,11}"),
        (("--contains", "bo"), r".*bo.*"),
        (("--ends", "bi"), r".*bi"),
        (("--matches", "[bdgaou]+i"), r"[bdgaou]+i"),
        (("--best-of", "20"), r".+"),
        (("--best-of", "20", "--length", "12", "--case", "upper"), r"[A-Z]{12}"),
    ],
)
def test_wishes_are_of_lines_without_their_labels(place, capsys, wishes, pattern):
    assert run_command(["make", *place, *wishes, "--as-it-is", "--json"]) == 0
    made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["label"] for one in made] == ["y"] * 5
    assert all(re.fullmatch(pattern, one["line"]) for one in made)


def test_wishes_that_no_line_with_a_label_can_be_are_said_before_a_training(place, capsys, monkeypatch):
    monkeypatch.setattr("spellout.app.commands.make._train", None)
    for wishes, fragment in [
        (("--contains", "z"), "'z' is in none of the lines"),
        (("--contains", "y"), "'y' is in none of the lines"),  # it is a label
        (("--length", "40"), "the longest line has 12 characters"),
    ]:
        assert run_command(["make", *place, *wishes]) > 0
        assert fragment in capsys.readouterr().err


def test_the_best_lines_are_those_given_their_labels(runs):
    run = replace(runs["ngram"], vocabulary=runs["ngram"].vocabulary.given("y"))
    made = list(islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=30)), 30))
    (best,) = best_of(run, iter(made), 1, 30, (), str)
    assert best.label == "y"
    alike = [one.line for one in made if len(one.text) == len(best.text)]
    scores = score_lines(run.model, run.vocabulary, alike)
    assert best.line == max(scores, key=lambda score: score.log_probability).given


def test_judges_are_given_lines_without_their_labels(place, capsys):
    def shares():
        captured = capsys.readouterr()
        assert "of the list are not valid" not in captured.err
        return json.loads(captured.out.splitlines()[-1])

    judge = ["--valid", "judge_of_texts:ok", "--json"]
    assert run_command(["make", *place, *judge, "--only", "valid", "--as-it-is"]) == 0
    assert shares()["shares"]["valid"] > 0
    train = ["--column", "text", "--label", "kind", "--model", "ngram:4", "-o", "run"]
    assert run_command(["train", "rows.csv", *train]) == 0
    assert run_command(["sample", "run", *judge]) == 0
    assert shares()["shares"]["novel"] in (1, None)  # they are new ones
    few = "".join(f"{letter * 11}{end},{end}\n" for letter in "bdg" for end in "xy")
    Path("few.csv").write_text("text,kind\n" + few * 10)
    few = ["few.csv", *train[:4], "--split", "lecture"]
    assert run_command(["compare", *few, "--models", "ngram:9:shape=no", *judge]) == 0
    row = shares()
    assert row["validity"]["novel"] < 1
    assert row["novel"] < 1


def test_the_likeliest_line_with_a_label_may_not_be_as_was_asked(place, capsys):
    assert run_command(["make", *place, "--greedy", "--length", "3", "--model", "ngram:9"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "the likeliest line is not as was asked; leave --greedy out" in captured.err
