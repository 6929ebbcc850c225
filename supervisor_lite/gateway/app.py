"""The ASGI application: every route, and what errors look like."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from supervisor_lite.client.errors import ClientError
from supervisor_lite.gateway.api import Api, Refusal, refusal
from supervisor_lite.gateway.compat import SupervisorCompat
from supervisor_lite.gateway.credentials import PasswordChecker
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.gateway.events import Events
from supervisor_lite.gateway.guard import Guard
from supervisor_lite.gateway.hub import Hub
from supervisor_lite.gateway.metrics import Metrics
from supervisor_lite.gateway.page import Page
from supervisor_lite.gateway.refusals import MISTAKE, in_words, nothing_there, refused
from supervisor_lite.model.settings import GatewaySettings


def make_app(settings: GatewaySettings, daemon: Daemon, hub: Hub) -> Guard:
    """Return the application."""
    app = Starlette(
        routes=[
            *SupervisorCompat(daemon).routes(),
            *Api(daemon).routes(),
            *Events(daemon, hub).routes(),
            *Metrics(daemon, hub).routes(),
            *Page().routes(),
        ],
        exception_handlers={
            HTTPException: _refused,
            ClientError: _no_daemon,
            Exception: _mistaken,
        },
    )
    app.router.redirect_slashes = False  # a path is right or it is not
    app.router.default = nothing_there
    return Guard(app, settings, PasswordChecker(settings.users))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    more: dict[str, object] = {}
    if isinstance(error, Refusal):
        more = {"code": error.code, **({"details": error.details} if error.details else {})}
    text = in_words(request.scope, error)
    return refused(request.scope, error.status_code, text, error.headers, **more)


async def _no_daemon(request: Request, error: Exception) -> Response:
    assert isinstance(error, ClientError)
    return await _refused(request, refusal(error))


async def _mistaken(request: Request, error: Exception) -> Response:
    """Answer in words; starlette raises the error once more, so that it is logged."""
    return refused(request.scope, 500, MISTAKE)
