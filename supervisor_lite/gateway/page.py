"""The web page: a few files from this package, kept in memory; and signing out."""

from __future__ import annotations

import gzip
import hashlib
from collections import deque
from importlib import resources
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from supervisor_lite.gateway.guard import challenge

_SCRIPTS = ("app", "base", "daemon", "table", "actions", "detail", "log", "ansi")

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
}

_MAX_SIGN_OUTS = 64

_SIGNED_OUT = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Signed out</title>
<meta name="viewport" content="width=device-width"><p>You are signed out.
<a href="/">Sign in again</a></html>
"""


class _PageFile(NamedTuple):
    data: bytes
    kind: str
    tag: str
    packed: bytes


class Page:
    """The handlers."""

    def __init__(self) -> None:
        folder = resources.files(__package__) / "static"
        self._files: dict[str, _PageFile] = {}
        for path, (name, kind) in _FILES.items():
            data = (folder / name).read_bytes()
            tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
            self._files[path] = _PageFile(data, kind, tag, gzip.compress(data, mtime=0))
        self._signed_out: deque[str] = deque(maxlen=_MAX_SIGN_OUTS)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [*(Route(path, self.serve) for path in _FILES), Route("/signout", self.sign_out)]

    async def serve(self, request: Request) -> Response:
        """Answer one file, or that it has not changed."""
        file = self._files[str(request.scope["path"])]
        headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(file.packed, media_type=file.kind, headers=headers)
        return Response(file.data, media_type=file.kind, headers=headers)

    async def sign_out(self, request: Request) -> Response:
        """Refuse the password once, so that the browser forgets it; then lead to the page.

        `once` tells one sign-out from the next. Who types a password at the prompt that this
        brings up is let in; who does not is told that he is signed out.
        """
        once = request.query_params.get("once", "")[:64]
        if once in self._signed_out:
            return RedirectResponse("/", 303)
        self._signed_out.append(once)
        return HTMLResponse(_SIGNED_OUT, 401, challenge(request.headers))
