"""The web page: three files from this package, kept in memory."""

from __future__ import annotations

import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/ansi.js": ("ansi.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page:
    """The handlers."""

    def __init__(self) -> None:
        folder = resources.files(__package__) / "static"
        self._files = {
            path: ((folder / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()
        }
        self._tags = {
            path: f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
            for path, (data, _) in self._files.items()
        }

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(path, self.serve) for path in _FILES]

    async def serve(self, request: Request) -> Response:
        """Answer one file, or that it has not changed."""
        path = str(request.scope["path"])
        data, kind = self._files[path]
        headers = {"ETag": self._tags[path], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self._tags[path]:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)
