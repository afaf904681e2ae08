"""The server as a process: its address, several clients, workers, signals, and what it cannot do."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx2
import pytest

from processes import COMMAND, environment
from spellout.errors import UsageError
from spellout.page.settings import Serving

PATIENCE = 120
"""Seconds after which a test gives up, also on a busy machine."""


class Server:
    """A server in a process of its own, which has said its address."""

    def __init__(self, command, **settings):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(
            list(map(str, command)), env=environment(**settings), start_new_session=True, **streams
        )
        self.address = self.process.stdout.readline().strip()

    def end(self, number=signal.SIGTERM, group=False):
        """Send a signal, as a service manager does or as Ctrl-C does; gives exit code and stderr."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


def serve(run_folder, *more):
    return Server([*COMMAND, "serve", run_folder, "--port", 0, *more])


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "asked to end")]
)
def test_it_serves_until_it_is_told_to_end(run_folder, command, number, code, said):
    server = serve(run_folder)
    made = httpx2.get(f"{server.address}/make?seed=3", timeout=PATIENCE).json()["lines"]
    ended, err = server.end(number, group=number == signal.SIGINT)
    assert [row["line"] for row in made] == command("sample", run_folder, "--seed", 3)[1].splitlines()
    assert ended == code
    first, last = err.splitlines()
    assert first.startswith(f"{run_folder} answers at {server.address}, see {server.address}/openapi.json")
    assert last == f"spellout: {said}"


def test_many_clients_get_what_each_would_get_alone(run_folder, command):
    """Also while a long work goes on; and the server ends although that one has not."""
    server = serve(run_folder, "--seconds", 600)
    endless = {"n": 1000, "unique": True, "temperature": 0.002, "max_length": 1000, "prefix": "Ab"}
    long = threading.Thread(target=lambda: _posted(f"{server.address}/make", endless), daemon=True)
    long.start()
    seeds = range(12)

    def made(seed):
        return httpx2.get(f"{server.address}/make", params={"seed": seed}, timeout=PATIENCE).json()["lines"]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(made, seeds))
    for seed, lines in zip(seeds, answers, strict=True):
        out = command("sample", run_folder, "--seed", seed)[1]
        assert [row["line"] for row in lines] == out.splitlines()
    assert server.end()[0] == 143
    long.join(PATIENCE)


def _posted(address, fields):
    with suppress(httpx2.HTTPError):  # the server has ended
        httpx2.post(address, json=fields, timeout=PATIENCE)


def test_workers_serve_the_same(run_folder, command):
    server = serve(run_folder, "--workers", 2)
    out = command("sample", run_folder)[1].splitlines()
    for _ in range(4):
        made = httpx2.post(f"{server.address}/make", json={}, timeout=PATIENCE).json()["lines"]
        assert [row["line"] for row in made] == out
    code, err = server.end(signal.SIGINT, group=True)
    assert code == 130
    assert "Traceback" not in err


def test_uvicorn_finds_the_run_in_the_environment(run_folder):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    arguments = ["--factory", "spellout.page.application:app", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *arguments],
        env=environment(SPELLOUT_RUN=str(run_folder)),
        stderr=subprocess.PIPE,
        text=True,
    )
    said = next(line for line in process.stderr if "running on" in line)
    assert str(port) in said
    answer = httpx2.get(f"http://127.0.0.1:{port}/model", timeout=PATIENCE).json()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert answer["run"] == run_folder.name


def test_what_cannot_be_served(command, run_folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = command("serve", run_folder, "--port", port)
        assert (code, out) == (2, "")
        assert f"--host 127.0.0.1 --port {port}: address already in use" in err
    for arguments, code, said in [
        ([tmp_path / "none"], 1, "no such run folder"),
        ([run_folder, "--port", 70000], 2, "--port 70000: must be from 0 to 65535"),
        ([run_folder, "--workers", 0], 2, "--workers 0: must be from 1 to 256"),
        ([run_folder, "--seconds", 0], 2, "--seconds 0: must be above 0"),
        ([run_folder, "--allow-origin", "example.org"], 2, "--allow-origin example.org: an origin is a scheme"),
        ([run_folder, "--allow-host", "http://a"], 2, "--allow-host http://a: a name without scheme"),
        ([run_folder, "--host", "256.1.1.1"], 2, "--host 256.1.1.1 --port 8000: "),
    ]:
        answer = command("serve", *arguments)
        assert answer[:2] == (code, "")
        assert said in answer[2]


def test_settings_go_through_the_environment(monkeypatch):
    serving = Serving(seconds=2.5, allow_origin=("https://a.example", "http://b:1"), allow_host=("c",))
    for name, value in serving.to_environment("runs/x").items():
        monkeypatch.setenv(name, value)
    assert Serving.from_environment() == (os.path.abspath("runs/x"), serving)
    monkeypatch.setenv("SPELLOUT_SECONDS", "many")
    with pytest.raises(UsageError, match="SPELLOUT_SECONDS is many, which is no number"):
        Serving.from_environment()
    monkeypatch.delenv("SPELLOUT_RUN")
    with pytest.raises(UsageError, match="SPELLOUT_RUN must name the folder of a run"):
        Serving.from_environment()
