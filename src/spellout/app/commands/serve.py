"""`spellout serve RUN`: the model of a run answers other programs over HTTP, until Ctrl-C (see docs/serve.md)."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from cyclopts import Parameter

from ...errors import UsageError
from ...optional import require
from ...page.settings import Serving
from .. import terminal
from ..options import RunFolder, newest

MOST_WORKERS = 256


def serve(
    run: RunFolder | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    serving: Annotated[Serving, Parameter(name="*", negative_iterable=())] = Serving(),
) -> None:
    """Answer other programs over HTTP: make lines, score them, spell them out (default: with the newest run).

    It prints its address, and /openapi.json there says what can be asked. Ctrl-C ends it.

    Parameters
    ----------
    host
        The address to listen at. Others than 127.0.0.1 let in everybody who can reach it.
    port
        The port; 0 is any free one.
    workers
        So many processes answer, each with the run in its own memory.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: must be from 0 to 65535; 0 is any free one")
    if not 1 <= workers <= MOST_WORKERS:
        raise UsageError(f"--workers {workers}: must be from 1 to {MOST_WORKERS}")
    for library in ("starlette", "uvicorn"):
        require(library, "serving a run")
    from ...page.serving import serve as serve_run

    path = run or newest()

    def ready(address: str) -> None:
        terminal.note(f"{path} answers at {address}, see {address}/openapi.json; Ctrl-C ends it")
        if not _is_local(host):
            terminal.warn(f"everybody who can reach {host} may ask it; --host 127.0.0.1 is for this machine only")
        terminal.print_line(address)
        terminal.flush()

    serve_run(str(path), serving, host, port, workers, ready)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
