"""Requests read and answers written, as JSON: never more than a limit, never a nan."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import UsageError
from .api.fields import BadRequest, read_object, read_query
from .api.requests import BODY

DIGITS = 1000
"""More digits of a whole number are not read."""
BODY_SECONDS = 30.0
"""A body that takes longer to come is not waited for."""


class Json(Response):
    """An answer in JSON. What is not finite is null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write it in UTF-8."""
        try:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(one) for name, one in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(one) for one in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


async def read(request: Request, asked: type | None) -> Any:
    """Read what is asked: parameters of the address, or a body in JSON. None where nothing can be.

    `UsageError` or `HTTPException` says in one sentence what is wrong.
    """
    pairs = request.query_params.multi_items()
    if asked is None or request.method == "POST":
        if pairs:
            where = "there is nothing to ask here" if asked is None else "POST takes its fields from the body"
            raise BadRequest(f"{where}, so leave out ?{pairs[0][0][:40]}")
        return None if asked is None else read_object(asked, await _content(request))
    return read_query(asked, pairs)


async def _content(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await _body(request)
    if kind != "application/json" and (kind or body):
        raise HTTPException(
            415, f"the body must be JSON: send the header Content-Type: application/json, not {kind[:80] or 'none'}"
        )
    if not body:
        return {}
    try:
        return json.loads(body.decode(), parse_constant=_refuse, parse_int=_whole)
    except UnicodeDecodeError:
        raise BadRequest("the body is no text in UTF-8") from None
    except RecursionError:
        raise BadRequest("the body is no JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number there")


def _whole(text: str) -> int:
    """Read a whole number; Python refuses some thousand digits in words of its own."""
    if len(text) > DIGITS:
        raise ValueError(f"a number in it has {len(text):,} digits, and at most {DIGITS:,} are read")
    return int(text)


async def _body(request: Request) -> bytes:
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > BODY:
        raise _too_large()
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                parts.append(part)
                if (size := size + len(part)) > BODY:
                    raise _too_large()
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {BODY_SECONDS:g} seconds; send it again") from None
    return b"".join(parts)


def _too_large() -> HTTPException:
    return HTTPException(
        413, f"the body may have at most {BODY:,} bytes; ask for less at once", {"Connection": "close"}
    )


def status_of(error: UsageError | Exception) -> int:
    """Give the status for an error of ours: the request is not as described, or cannot be met by this run."""
    return 400 if isinstance(error, BadRequest) else 422
