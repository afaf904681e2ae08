"""The application that a server runs: requests go to their routes, and work is done in threads.

    uvicorn --factory spellout.page.application:app

serves the run that SPELLOUT_RUN names, as `spellout serve` does (see `settings`). Each process reads it once. The
event loop only reads, waits and writes, so that /health answers while lines are made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import SpelloutError
from .api import routes
from .api.openapi import DOCUMENT, HEALTH, document
from .bodies import Json, read, status_of
from .guard import Guard
from .served import Served
from .settings import Serving
from .turns import Ended, Turns, Work

AT_ONCE = 8
"""So many requests of a process are worked on at once, in turn; others wait."""
MOST_WAITING = 64
"""So many are worked on or wait at most; others are refused."""


class _Desk:
    """Has the work done that requests are about."""

    def __init__(self, served: Served, seconds: float) -> None:
        self._served, self._seconds = served, seconds
        self._turns, self._limiter = Turns(), CapacityLimiter(AT_ONCE)
        self.busy = 0

    async def do(self, request: Request, route: routes.Route, asked: Any) -> dict[str, Any]:
        """Do the work of a route in a thread; it ends early if nobody waits for the answer."""
        if self.busy >= MOST_WAITING:
            raise HTTPException(
                503, f"{self.busy} requests wait already; try again a little later", {"Retry-After": "1"}
            )
        work = Work(self._turns, self._seconds)
        watch = asyncio.create_task(_when_gone(request, work.stop))
        self.busy += 1
        try:
            return await to_thread.run_sync(
                _answer, route, self._served, asked, work, limiter=self._limiter, abandon_on_cancel=True
            )
        finally:
            self.busy -= 1
            work.stop()  # if the server ends
            watch.cancel()


def _answer(route: routes.Route, served: Served, asked: Any, work: Work) -> dict[str, Any]:
    with work.turn():
        return route.work(served, asked, work)


async def _when_gone(request: Request, stop: Callable[[], None]) -> None:
    """Wait until the client has gone."""
    with suppress(ClientDisconnect):
        while (await request.receive())["type"] != "http.disconnect":
            pass
    stop()


def application(served: Served, serving: Serving = Serving()) -> Starlette:
    """Make the application that serves a run. The routes of a page are added to these."""
    desk = _Desk(served, serving.seconds)

    def endpoint(route: routes.Route) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return Json(await desk.do(request, route, await read(request, route.request)))

        return answer

    async def health(request: Request) -> Response:
        await read(request, None)
        return Json({"status": "ok", "working": desk.busy})

    async def openapi(request: Request) -> Response:
        return Json(document())

    table = [Route(one.path, endpoint(one), methods=_methods(one)) for one in routes.ROUTES]
    table += [Route(HEALTH.path, health), Route(DOCUMENT, openapi)]
    middleware = [Middleware(Guard, serving)]
    if serving.allow_origin:
        methods, headers = ["GET", "POST"], ["Content-Type"]
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=serving.allow_origin,
                allow_methods=methods,
                allow_headers=headers,
            )
        )
    handlers: dict[Any, Any] = {
        HTTPException: _refuse,
        SpelloutError: _say,
        Ended: _over,
        ClientDisconnect: _nobody,
        Exception: _our_bug,
    }
    app = Starlette(routes=table, middleware=middleware, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


def app() -> Starlette:
    """Make the application of the run that the environment names, for a server that starts by itself."""
    run, serving = Serving.from_environment()
    return application(Served.read(run), serving)


def _methods(route: routes.Route) -> list[str]:
    return ["GET"] * (route.request is None or route.by_address) + ["POST"] * (route.request is not None)


async def _refuse(request: Request, error: HTTPException) -> Response:
    sentences = {
        404: f"there is no {request.url.path[:80]} here; {DOCUMENT} says what there is",
        405: f"{request.url.path[:80]} does not take {request.method[:20]}; {DOCUMENT} says what it takes",
    }
    return Json({"error": sentences.get(error.status_code, error.detail)}, error.status_code, error.headers)


async def _say(request: Request, error: SpelloutError) -> Response:
    return Json({"error": routes.in_words_of_requests(str(error))}, status_of(error))


async def _over(request: Request, error: Ended) -> Response:
    return Json({"error": f"stopped: {error}"}, 503, {"Retry-After": "1"})


async def _nobody(request: Request, error: ClientDisconnect) -> Response:
    """The client went away before its body had come: whatever is answered, nobody reads it."""
    return Response(status_code=400)


async def _our_bug(request: Request, error: Exception) -> Response:
    return Json({"error": "a bug of spellout; where the server runs, it says more"}, 500)
