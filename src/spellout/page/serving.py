"""Runs the server: takes the address, says it, and serves until it is interrupted."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.supervisors import Multiprocess

from ..errors import RunError, UsageError
from .application import application
from .served import Served
from .settings import Serving

FACTORY = "spellout.page.application:app"
GRACE = 1
"""Seconds that requests have to end when the server does."""
HANGING = 60
"""Seconds after which a worker that does not answer its parent is replaced."""
_MOST_WAITING_TO_CONNECT = 2048


def serve(path: str, serving: Serving, host: str, port: int, workers: int, ready: Callable[[str], None]) -> None:
    """Serve a run folder until the process is interrupted. `ready` hears the address, when it answers there.

    `RunError` if the run cannot be read, `UsageError` if the address cannot be had.
    """
    served = Served.read(path)  # also where workers read it again: what is wrong with it is said once
    with listening(host, port) as taken:
        address = address_of(taken)
        if workers == 1:
            ready(address)
            uvicorn.Server(_config(application(served, serving), 1)).run(sockets=[taken])
            return
        del served
        os.environ.update(serving.to_environment(path))
        _Workers(_config(FACTORY, workers), [taken]).serve(lambda: ready(address))


class _Workers(Multiprocess):
    """Several processes that serve, and this one, which starts and ends them."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._ended_by: signal.Signals | None = None
        super().__init__(config, sockets)

    def serve(self, ready: Callable[[], None]) -> None:
        """Start the workers, and end them when this process is interrupted. `RunError` if they cannot start."""
        ready()
        self.run()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._ended_by is None:
            raise RunError("the workers could not start; try --workers 1, which says why")
        signal.raise_signal(self._ended_by)  # what it means to this process is not known here

    def handle_int(self) -> None:
        """End the workers."""
        self._ended_by = signal.SIGINT
        super().handle_int()

    def handle_term(self) -> None:
        """End the workers."""
        self._ended_by = signal.SIGTERM
        super().handle_term()


def _config(app: object, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an application, or where its factory is
        factory=isinstance(app, str),
        workers=workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=HANGING,
    )


def listening(host: str, port: int) -> socket.socket:
    """Take an address. `UsageError` says why that is not possible."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.create_server(address[:2], family=family, backlog=_MOST_WAITING_TO_CONNECT)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"--host {host} --port {port}: {why[:1].lower()}{why[1:]}; choose another, --port 0 is any free one"
        ) from None
    # An answer is written in two parts, and the second would wait 40 ms for the first to be acknowledged: asyncio
    # takes care of that for sockets that it makes itself only. Connections have it from the socket they come to.
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    taken.set_inheritable(True)
    return taken


def address_of(taken: socket.socket) -> str:
    """Write the address of a socket as clients ask it."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
