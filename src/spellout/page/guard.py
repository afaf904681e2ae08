"""Who may ask: a server on this machine is no server for every web page that its browser shows.

A page of anybody may send requests to 127.0.0.1, also under a name of its own that leads there (DNS rebinding). So
on a loopback address the Host must be a name of this machine, and pages of other origins are refused unless they
are allowed. Programs send no Origin, and are not concerned.
"""

from __future__ import annotations

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .bodies import Json
from .settings import Serving

_OURS = {"localhost", "127.0.0.1", "[::1]"}


class Guard:
    """Refuses requests that another's web page could have sent, and passes the others on."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app, self._serving = app, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        why = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self._app(scope, receive, send)
        else:
            await Json({"error": why}, 403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers, serving = Headers(scope=scope), self._serving
        host, origin = headers.get("host", ""), headers.get("origin")
        if _is_loopback(scope.get("server")) and "*" not in serving.allow_host:
            name = re.sub(r":\d*$", "", host).lower()
            if not (name in _OURS or name in map(str.lower, serving.allow_host) or _is_address_here(name)):
                return (
                    f"the Host {name[:80]!r} is no name of this machine; ask 127.0.0.1, or start the server with "
                    "--allow-host and that name"
                )
        if origin is None or {"*", origin} & set(serving.allow_origin):
            return None
        if origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower()):
            return None
        return f"pages of {origin[:80]!r} may not ask here; start the server with --allow-origin and that origin"


def _is_loopback(server: tuple[str, int | None] | None) -> bool:
    """Say whether a connection was made to a loopback address, by the address at our end of it."""
    return server is not None and _is_address_here(server[0])


def _is_address_here(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
