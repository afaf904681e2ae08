"""What the API answers, against what the commands print and what the definitions say."""

import json
import math

import numpy as np
import pytest

from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.page.served import Served
from spellout.training.runs.run import save_run


def printed(out):
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ([], {}),
        (["-n", 40, "--seed", 7], {"n": 40, "seed": 7}),
        (["--prefix", "Jo", "--temperature", 0.7], {"prefix": "Jo", "temperature": 0.7}),
        (["--top-k", 3, "--as-it-is", "--unique"], {"top_k": 3, "novel": False, "unique": True}),
        (["--top-p", 0.8, "--nearest"], {"top_p": 0.8, "nearest": True}),
        (["--max-length", 4], {"max_length": 4}),
        (["--greedy"], {"greedy": True}),
        (["--ends", "a", "--length", "4-6", "--case", "upper"], {"ends": "A", "length": "4-6", "case": "upper"}),
        (["--seed", 2**64 - 1, "--contains", "nn"], {"seed": 2**64 - 1, "contains": "nn"}),
    ],
)
def test_lines_are_those_of_the_command(client, command, run_folder, flags, fields):
    if "upper" in flags:
        flags = ["A" if flag == "a" else flag for flag in flags]
    code, out, err = command("sample", run_folder, *flags, "--json")
    posted, got = client.post("/make", json=fields), client.get("/make", params=json_of(fields))
    assert (code, posted.status_code, got.status_code) == (0, 200, 200)
    assert posted.json()["lines"] == printed(out)
    assert posted.json() == got.json()
    assert posted.json()["stopped"] is None
    assert len(posted.json()["notes"]) == len(err.splitlines())


def json_of(fields):
    """Fields as parameters of an address."""
    return {name: json.dumps(value) if isinstance(value, bool) else value for name, value in fields.items()}


def test_fewer_lines_say_why(client, command, run_folder):
    code, out, err = command("sample", run_folder, "-n", 1000, "--unique", "--temperature", 0.05)
    answer = client.post("/make", json={"n": 1000, "unique": True, "temperature": 0.05}).json()
    assert code == 1
    assert [row["line"] for row in answer["lines"]] == out.splitlines()
    assert answer["stopped"].startswith(
        f"stopped after {len(out.splitlines())} of 1,000 lines: 10,000 tries in a row"
    )
    assert "raise temperature" in answer["stopped"]
    assert "raise --temperature" in err


def test_scores_are_those_of_the_command(client, command, run_folder, tmp_path):
    lines = ["Sophia", "Xzvjk", "Zoé", "anna maria"]
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    rows = printed(command("score", run_folder, tmp_path / "lines.txt", "--json")[1])
    answer = client.post("/score", json={"lines": lines}).json()
    nats = [row.pop("nats_per_char") for row in answer["lines"]]
    assert answer["lines"] == rows
    for one, row in zip(nats, rows, strict=True):
        assert one == pytest.approx(-row["log_probability"] / (len(row["line"]) + 1), rel=1e-12)
    together = -sum(row["log_probability"] for row in rows) / sum(len(line) + 1 for line in lines)
    assert answer["nats_per_char"] == pytest.approx(together, rel=1e-12)
    short = client.post("/score", json={"lines": lines, "letters": False}).json()
    assert [{**row} for row in short["lines"]] == [
        {"nats_per_char": one} | {key: row[key] for key in row if key not in ("symbols", "bits")}
        for one, row in zip(nats, rows, strict=True)
    ]


@pytest.mark.parametrize("line", ["Sophia", "Emma", "Zoé"])
def test_a_line_is_spelled_out_as_by_the_command(client, command, run_folder, line):
    rows = printed(command("why", run_folder, line, "--top", 3, "--json")[1])
    answer = client.get("/why", params={"line": line, "top": 3}).json()
    known = [row.pop("known") for row in rows]
    assert answer["letters"] == rows
    assert answer["known"] == known[0]
    assert answer["bits"] == pytest.approx(sum(row["bits"] for row in rows))
    assert (answer["distance"] == 0) == answer["known"]
    assert answer["nearest"] in load_run(run_folder).lines


def test_what_follows_is_how_often_it_is_made(client):
    """The probabilities of first and second letters against five thousand lines that were made."""
    begun = client.post("/next", json={"prefix": ""}).json()
    assert begun["end"] == 0
    assert sum(one["probability"] for one in begun["tokens"]) == pytest.approx(1)
    made = [
        row["line"]
        for seed in range(5)
        for row in client.post("/make", json={"n": 1000, "prefix": "Ann", "seed": seed}).json()["lines"]
    ]
    after = client.get("/next", params={"prefix": "Ann"}).json()
    chances = {one["symbol"]: one["probability"] for one in after["tokens"]} | {"": after["end"]}
    assert sum(chances.values()) == pytest.approx(1)
    for symbol, chance in chances.items():
        share = np.mean([line[3:4] == symbol for line in made])
        assert abs(share - chance) < 5 * math.sqrt(chance / len(made)) + 1e-3


def test_what_follows_a_known_name_cannot_be_its_end(client, served):
    known = next(
        line for line in served.run.lines if any(one.startswith(line) and one != line for one in served.run.lines)
    )
    assert client.post("/next", json={"prefix": known}).json()["end"] == 0
    assert client.post("/next", json={"prefix": known, "novel": False}).json()["end"] > 0
    sharp = client.post("/next", json={"prefix": known, "top_k": 1, "novel": False}).json()
    assert [sharp["end"], *(one["probability"] for one in sharp["tokens"])].count(1.0) == 1


def test_the_model_is_described(client, served):
    answer = client.get("/model").json()
    facts = served.run.facts
    assert answer["nats_per_char"] == facts["results"]["dev"]["nats_per_char"]
    assert answer["vocabulary"]["tokens"] == served.run.vocabulary.known
    assert answer["training_lines"] == len(served.run.lines)
    assert (answer["run"], answer["model"], answer["parameters"]) == ("names", "ngram", served.run.model.parameters)


@pytest.fixture(scope="module")
def with_labels(tmp_path_factory):
    lines = [f"{'f' if name[-1] == 'a' else 'm'}\t{name}" for name in Lines.bundled().distinct[:400]]
    prepared = Prepared.of(Lines.of(lines, name="labelled"), DataConfig(label="sex"))
    path = tmp_path_factory.mktemp("labelled") / "run"
    save_run(train(prepared, "ngram:3").run, path)
    return path


def test_lines_with_labels(client_of, command, with_labels):
    client = client_of(Served.read(str(with_labels)))
    for more, fields in [([], {}), (["--label", "f"], {"label": "f"})]:
        out = command("sample", with_labels, *more, "--json")[1]
        assert client.post("/make", json=fields).json()["lines"] == printed(out)
    rows = printed(command("why", with_labels, "Anna", "--label", "f", "--json")[1])
    letters = client.post("/why", json={"line": "Anna", "label": "f"}).json()["letters"]
    assert [one["bits"] for one in letters] == [row["bits"] for row in rows]
    assert client.post("/score", json={"lines": ["Anna"], "label": "f"}).json()["lines"][0]["label"] == "f"
    assert sorted(client.get("/model").json()["vocabulary"]["labels"]) == ["f", "m"]
    given = [client.post("/next", json={"prefix": "Ann", "label": one}).json() for one in "fm"]
    assert given[0]["tokens"] != given[1]["tokens"]
    for path, fields, said in [
        ("/why", {"line": "Anna"}, "say which with label; its labels are"),
        ("/score", {"lines": ["Anna"], "label": "x"}, "label x: no line the model learned from has it"),
        ("/make", {"label": "x"}, "label x: no line the model learned from has it"),
        ("/next", {"label": "x"}, "label x: no line the model learned from has it"),
    ]:
        answer = client.post(path, json=fields)
        assert answer.status_code == 422
        assert said in answer.json()["error"]
