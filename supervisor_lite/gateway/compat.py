"""What Supervisor's clients ask over HTTP: /RPC2, /logtail/NAME[/stdout|/stderr], /mainlogtail."""

from __future__ import annotations

from functools import partial
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from supervisor_lite.client.errors import ClientError, RemoteError, Unreachable
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.gateway.http import (
    StreamResponse,
    principal,
    read_body,
    require,
    while_connected,
)
from supervisor_lite.gateway.output import LogText, as_text
from supervisor_lite.gateway.rpc import Background, Dispatcher, Session
from supervisor_lite.gateway.xmlrpc import Fault, NotXmlRpc, dump_fault, dump_result, parse_request
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message

_TAIL_BYTES = 1024
"""Bytes of old output with which Supervisor's tail begins."""

_TYPES = ("text/xml", "application/xml", "")


class SupervisorCompat:
    """The handlers."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._background = Background()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/RPC2{rest:path}", self.rpc, methods=["POST"]),
            Route("/logtail/{name}", self.logtail),
            Route("/logtail/{name}/{stream}", self.logtail),
            Route("/mainlogtail", self.mainlogtail),
        ]

    async def rpc(self, request: Request) -> Response:
        """Answer one XML-RPC request."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise HTTPException(415, "XML-RPC is text/xml")
        try:
            name, params = parse_request(await read_body(request))
        except NotXmlRpc as error:
            raise HTTPException(400, str(error)) from error
        try:
            connect = partial(self._daemon.connect, principal(request))
            async with connect() as client:
                session = Session(client, self._background, connect)
                dispatcher = Dispatcher(session, principal(request).may)
                result = await while_connected(request, dispatcher.call(name, params))
            body = dump_result(result)
        except Fault as fault:
            body = dump_fault(fault)
        except ClientError as error:
            if isinstance(error, Unreachable):
                return PlainTextResponse(f"{error}\n", 503)
            raise
        return Response(body, media_type="text/xml")

    async def logtail(self, request: Request) -> Response:
        """Stream the log of a process as it grows."""
        # A name may stand there percent-encoded once more than the path itself.
        name = unquote(request.path_params["name"])
        stream = request.path_params.get("stream", "stdout")
        group, colon, process = name.partition(":")
        full = process if not colon or group == process else name
        full = full or name
        if stream not in ("stdout", "stderr") or any(char in name for char in "*?["):
            raise HTTPException(404, "no such log")
        params = {"name": full, "stream": stream}
        return await self._tail(request, "read_log", "tail", params)

    async def mainlogtail(self, request: Request) -> Response:
        """Stream the daemon's own log as it grows."""
        require(request, "admin")
        return await self._tail(request, "read_main_log", "maintail", {})

    async def _tail(self, request: Request, probe: str, verb: str, params: Message) -> Response:
        stream = LogText(self._daemon, principal(request), verb, params)
        try:
            first = await stream.begin(count=_TAIL_BYTES, probe=probe)
        except RemoteError as error:
            status = 403 if error.code == ErrorCode.NOT_PERMITTED else 404
            raise HTTPException(status, str(error)) from error
        source = as_text(stream, first, following=True)
        return StreamResponse(source, self._daemon.ending, "text/plain")
