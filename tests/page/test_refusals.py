"""What the API refuses: with which status, in one sentence, and never with a traceback."""

import asyncio
import json
from dataclasses import replace

import pytest

from spellout.page import application, bodies
from spellout.page.api import requests
from spellout.page.served import Served
from spellout.page.settings import Serving
from spellout.training.runs.run import save_run

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("path", "fields", "status", "said"),
    [
        ("/make", {"n": 0}, 400, "n must be at least 1 and at most 1000, and is 0"),
        ("/make", {"n": 1001}, 400, "n must be at least 1 and at most 1000, and is 1001"),
        ("/make", {"n": True}, 400, "n must be a whole number, and is true"),
        ("/make", {"n": "3"}, 400, "n must be a whole number, and is '3'"),
        ("/make", {"m": 3}, 400, "'m' is no field here; there are n, seed, prefix"),
        ("/make", {"temperature": 0}, 400, "temperature must be at least 0.001 and at most 1000, and is 0.0"),
        ("/make", {"seed": 2**64}, 400, "seed must be at least 0"),
        ("/make", {"temperature": 10**400}, 400, "temperature must be at least 0.001 and at most 1000, and is inf"),
        ("/make", {"case": "Title"}, 400, "case must be one of lower, upper, title, as-in-list, and is 'Title'"),
        ("/make", {"prefix": "a" * 1001}, 400, "prefix may have at most 1,000 characters, and has 1,001"),
        ("/make", {"prefix": None}, 400, "prefix must be a text, and is null"),
        ("/make", {"prefix": "Ж"}, 422, "prefix Ж: 'Ж' is in none of the lines the model learns from"),
        ("/make", {"prefix": "a\nb"}, 422, "prefix 'a\\nb': must be one line"),
        ("/make", {"prefix": " a"}, 422, "prefix ' a': lines never begin with white space"),
        ("/make", {"length": "x"}, 422, "length x: give a length such as 5"),
        (
            "/make",
            {"label": "f"},
            422,
            "lines without labels; train it with --label COLUMN",
        ),
        ("/make", {"ends": "é"}, 422, "ends é: 'é' is in none of the lines"),
        ("/make", {"prefix": "ab", "max_length": 1}, 422, "prefix ab: its 2 characters are more than max_length 1"),
        ("/make", [], 400, "the body must be a JSON object, and is a list"),
        ("/make", "x" * 100, 400, "the body must be a JSON object, and is 'xxx"),
        ("/score", {}, 400, "the field lines is missing"),
        ("/score", {"lines": []}, 400, "lines must not be empty"),
        ("/score", {"lines": ["a"] * 1001}, 400, "lines may have at most 1,000 items, and has 1,001"),
        ("/score", {"lines": ["a" * 1000] * 201}, 422, "lines may have at most 200,000 characters together"),
        ("/score", {"lines": ["Anna", 3]}, 400, "lines[1] must be a text, and is 3"),
        ("/score", {"lines": ["Anna", " "]}, 422, "lines[1] is blank"),
        ("/score", {"lines": ["a\0b"]}, 422, "lines[0] 'a\\x00b': must be one line"),
        ("/score", {"lines": ["a"], "label": "f"}, 422, "label f: the model was trained on lines without labels"),
        ("/why", {"line": "\t"}, 422, "line is blank"),
        ("/why", {"line": "a\0b"}, 422, "the line 'a\\x00b': must be one line"),
        ("/why", {"line": "a", "top": 0}, 400, "top must be at least 1"),
        ("/next", {"prefix": "Ж"}, 422, "prefix Ж: 'Ж' is in none"),
    ],
)
def test_a_sentence_says_what_is_wrong(client, path, fields, status, said):
    answer = client.post(path, json=fields)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    assert said in answer.json()["error"]
    assert "--" not in answer.json()["error"].removesuffix("train it with --label COLUMN")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body is no JSON: "),
        (b'{"temperature": NaN}', "the body is no JSON: NaN is no number there"),
        (b'{"temperature": 1e999}', "temperature must be at least 0.001 and at most 1000, and is inf"),
        (b'{"n": ' + b"1" * 5000 + b"}", "the body is no JSON: a number in it has 5,000 digits, and"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"prefix": "\\ud800"}', "prefix holds half a character (a lone surrogate)"),
        (b'"\xff"', "the body is no text in UTF-8"),
    ],
)
def test_what_is_no_json(client, body, said):
    answer = client.post("/make", content=body, headers=JSON)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("n=1&n=2", "'n' is given twice"),
        ("n=x", "n must be a whole number, and is 'x'"),
        ("n=1_0", "n must be a whole number, and is '1_0'"),
        ("greedy=True", "greedy must be true or false, and is 'True'"),
        ("temperature=nan", "temperature must be at least 0.001 and at most 1000, and is nan"),
        ("sed=1", "'sed' is no field here"),
    ],
)
def test_what_is_no_parameter(client, query, said):
    answer = client.get(f"/make?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "said"),
    [
        ("GET", "/", {}, 404, "there is no / here; /openapi.json says what there is"),
        ("GET", "/make/", {}, 404, "there is no /make/ here"),
        ("PUT", "/make", {}, 405, "/make does not take PUT"),
        ("GET", "/score", {}, 405, "/score does not take GET"),
        ("POST", "/health", {}, 405, "/health does not take POST"),
        ("POST", "/make", {"data": {"n": "1"}}, 415, "not application/x-www-form-urlencoded"),
        ("POST", "/make", {"content": b"{}"}, 415, "send the header Content-Type: application/json, not none"),
        ("POST", "/make?n=3", {"json": {}}, 400, "POST takes its fields from the body, so leave out ?n"),
        ("GET", "/model?n=3", {}, 400, "there is nothing to ask here, so leave out ?n"),
        ("POST", "/score", {"json": {"lines": ["a" * (requests.BODY + 1)]}}, 413, "at most 1,048,576 bytes"),
        ("GET", "/health", {"headers": {"Host": "evil.example"}}, 403, "'evil.example' is no name of this machine"),
        ("GET", "/health", {"headers": {"Origin": "http://evil.example"}}, 403, "may not ask here"),
        ("GET", "/health", {"headers": {"Origin": "null"}}, 403, "pages of 'null' may not ask here"),
    ],
)
def test_what_is_not_there_or_not_allowed(client, method, path, more, status, said):
    answer = client.request(method, path, **more)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert ("allow" in answer.headers) == (status == 405)


def test_a_body_without_an_end_is_not_read_to_it(client):
    """No Content-Length warns of it."""
    answer = client.post("/make", content=(b" " * 2**16 for _ in range(100)), headers=JSON)
    assert answer.status_code == 413


def test_a_body_may_be_empty(client):
    assert client.post("/make").json() == client.post("/make", json={}).json()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.2"])
def test_names_of_this_machine_are_fine(client, host):
    assert client.get("/health", headers={"Host": host}).status_code == 200


def test_a_page_of_the_server_itself_may_ask(client):
    assert client.get("/health", headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


def test_names_and_origins_can_be_allowed(client_of, served):
    client = client_of(served, allow_host=("names.example",), allow_origin=("https://names.example",))
    answer = client.get("/health", headers={"Host": "names.example", "Origin": "https://names.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://names.example"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = client.options("/make", headers={"Origin": "https://names.example"} | asked)
    assert allowed.status_code == 200
    assert client.get("/health", headers={"Origin": "https://other.example"}).status_code == 403
    assert "access-control-allow-origin" not in client.get("/health").headers


def test_time_that_is_over_leaves_what_was_made(client_of, served):
    answer = client_of(served, seconds=1e-9).post("/make", json={"n": 1000})
    assert answer.status_code == 200
    assert answer.json()["lines"] == []
    assert answer.json()["stopped"].startswith("stopped after 0 of 1,000 lines: 1e-09 seconds are over")


def test_a_client_that_has_gone_is_not_worked_for(served):
    """Making goes on for long otherwise: hardly any other line is left to be found."""
    fields = {"n": 1000, "unique": True, "temperature": 0.001, "max_length": 500}
    coming = iter([{"type": "http.request", "body": json.dumps(fields).encode()}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(coming)

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/make", "query_string": b"", "headers": headers}
    asyncio.run(application.application(served, Serving(seconds=600))(scope, receive, send))
    assert "nobody waits for the answer" in json.loads(sent[-1]["body"])["stopped"]


def test_a_client_that_goes_before_its_body_has_come_is_no_bug(served):
    coming = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(coming)

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/make", "query_string": b"", "headers": headers}
    asyncio.run(application.application(served, Serving())(scope, receive, send))  # raises nothing
    assert sent[0]["status"] == 400


def test_too_many_at_once_are_sent_away(client_of, served, monkeypatch):
    monkeypatch.setattr(application, "MOST_WAITING", 0)
    answer = client_of(served).get("/make")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert client_of(served).get("/health").status_code == 200


def test_a_bug_is_no_traceback_for_the_client(client_of, served):
    class Broken:
        run, name = None, "broken"

    answer = client_of(Broken(), ours_raise=False).get("/model")
    assert answer.status_code == 500
    assert answer.json() == {"error": "a bug of spellout; where the server runs, it says more"}


def test_a_run_without_its_lines(client_of, served, tmp_path):
    save_run(replace(served.run, lines=None), tmp_path / "run")
    client = client_of(Served.read(str(tmp_path / "run")))
    answer = client.post("/make", json={"novel": True})
    assert (answer.status_code, "run keeps no training lines" in answer.json()["error"]) == (422, True)
    assert len(client.post("/make", json={}).json()["lines"]) == 10
    assert client.post("/next", json={}).json()["novel"] is False
    spelled = client.post("/why", json={"line": "Anna"}).json()
    assert (spelled["known"], spelled["nearest"]) == (None, None)
    assert "known" not in client.post("/score", json={"lines": ["Anna"]}).json()["lines"][0]


def test_no_number_is_infinite_or_none():
    told = bodies.Json({"a": [float("nan"), 1.5, {"b": float("inf")}], "c": (float("-inf"),)}).body
    assert json.loads(told) == {"a": [None, 1.5, {"b": None}], "c": [None]}
