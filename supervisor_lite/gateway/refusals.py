"""What a refusal looks like: JSON for programs, a line of text for everybody else."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from supervisor_lite.gateway.endpoints import PREFIX
from supervisor_lite.protocol.messages import Message

_API = "/api"

MISTAKE = "the gateway has made a mistake, which its log tells (slctl logs gateway)"


def wants_json(scope: Scope) -> bool:
    """Is it a request of the REST interface, or one that says that it takes JSON?"""
    path = str(scope["path"])
    return (
        path == _API
        or path.startswith(f"{_API}/")
        or "application/json" in Headers(scope=scope).get("accept", "")
    )


def refused(
    scope: Scope,
    status: int,
    text: str,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """Return a refusal in the form that suits the request; `more` is for JSON only."""
    given = dict(headers or {})
    if not wants_json(scope):
        return PlainTextResponse(f"{text}\n", status, given)
    about: Message = {"status": status, "message": text, **more}
    return JSONResponse({"error": about}, status, given)


def in_words(scope: Scope, error: HTTPException) -> str:
    """Return what an error says; where that is but the standard's words, what helps."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return f"{scope['method']} is not for {scope['path']}; use {allowed or 'another method'}"
    return error.detail


async def nothing_there(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for an address that does not exist."""
    text = f"there is nothing at {scope['path']}; {PREFIX}/ describes the REST interface"
    await refused(scope, 404, text)(scope, receive, send)
