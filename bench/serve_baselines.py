"""What `bench/serve.py` compares with: servers as somebody would write them around a run, in one process.

`python bench/serve_baselines.py http.server|fastapi RUN` prints its address and serves. The work is that of the
README's Python: the model of new lines is made once, lines are sampled and scored for each request.
"""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from threading import Lock
from typing import Annotated, Any

with suppress(ImportError):
    from fastapi import Body, FastAPI

from spellout.api import load_run
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import only
from spellout.generation.sampling import sample
from spellout.generation.scoring import score_lines

RUN = load_run(sys.argv[2])
NEW = RUN.new_lines()
KNOWN = set(RUN.lines)
LOCK = Lock()  # models promise nothing to several threads


def make(n: int) -> dict[str, Any]:
    """Make new lines."""
    config = SamplingConfig(max_length=RUN.length_limit)
    with LOCK:
        made = islice(sample(NEW, RUN.vocabulary, config, accept=only(unlike=RUN.lines)), n)
        return {"lines": [{"line": one.text, "complete": one.complete} for one in made]}


def score(lines: list[str]) -> dict[str, Any]:
    """Score lines, as they are and among new ones."""
    with LOCK:
        rows = [one.to_json(RUN.vocabulary) for one in score_lines(RUN.model, RUN.vocabulary, lines)]
        others = [line for line in lines if line not in KNOWN]
        new = {one.line: one.log_probability for one in score_lines(NEW, RUN.vocabulary, others)}
    return {"lines": [row | {"new_log_probability": new.get(row["line"])} for row in rows]}


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON, and keeps connections open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Say that the server answers."""
        self.answer({"status": "ok"})

    def do_POST(self) -> None:
        """Make or score."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"/make": make, "/score": score}[self.path](**asked))

    def answer(self, content: dict[str, Any]) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *parts: object) -> None:
        """Keep quiet."""


def standard() -> None:
    """Serve with the standard library."""
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def fastapi() -> None:
    """Serve with FastAPI, which checks and describes requests too."""
    import uvicorn

    app = FastAPI()
    app.get("/health")(lambda: {"status": "ok"})

    @app.post("/make")
    def make_lines(n: Annotated[int, Body(embed=True, ge=1, le=1000)] = 10) -> dict[str, Any]:
        return make(n)

    @app.post("/score")
    def score_some(lines: Annotated[list[str], Body(embed=True)]) -> dict[str, Any]:
        return score(lines)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"http://127.0.0.1:{taken.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[taken])


if __name__ == "__main__":
    {"http.server": standard, "fastapi": fastapi}[sys.argv[1]]()
