"""What stands before every request: hosts, origins, passwords, and headers that protect a browser.

- A page of another site cannot reach us by a name that it lets point here (DNS rebinding): over
  TCP the Host must be an address, localhost or a name of the configuration.
- A page of another site cannot make a browser do something here (CSRF): what changes anything is
  a POST, whose Origin must be ours where there is one, and which carries a header or a type that
  no form can send.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supervisor_lite.gateway.credentials import PasswordChecker, Principal, TooBusy
from supervisor_lite.gateway.http import MAX_BODY, MAX_HEAD, MAX_HEADERS, MAX_TARGET
from supervisor_lite.gateway.refusals import refused
from supervisor_lite.model.settings import GatewaySettings

CSRF_HEADER = "x-supervisor-lite"
"""Any value will do: that a page of another site cannot send it is what counts."""

_TYPES = ("application/json", "text/xml", "application/xml")
"""Types that a form cannot send, so a browser asks before it sends them elsewhere."""

_SAFE = ("GET", "HEAD")

_EMPTY_CREDENTIALS = "Basic Og=="
"""Neither name nor password: what Supervisor's childutils send if none are set."""

_LOG_INTERVAL = 10.0
"""Seconds between two lines about wrong passwords."""

_PUBLIC = ("/healthz",)
"""Paths for everybody: they tell nothing but whether we live."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)

_PROTECTION = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_log = logging.getLogger("supervisor_lite.gateway")


class Guard:
    """Lets a request through to the application, with `who` in its state, or refuses it."""

    def __init__(
        self, app: ASGIApp, settings: GatewaySettings, credentials: PasswordChecker
    ) -> None:
        self._app = app
        self._settings = settings
        self._credentials = credentials
        self._logged_at = -_LOG_INTERVAL
        self._wrong = 0

    def take(self, settings: GatewaySettings) -> None:
        """Know the users of another table from now on, and no password that was right before."""
        self._settings = settings
        self._credentials = PasswordChecker(settings.users)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _PROTECTION.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, protected)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["path"] in _PUBLIC:
            return _bad_shape(scope, headers)
        unix = bool(scope["state"].get("unix"))
        if not unix and not self._is_ours(headers.get("host", "")):
            return _refuse(scope, 421, "this host is not served here; see [gateway] hosts")
        if refusal := _bad_shape(scope, headers):
            return refusal
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:9]) > MAX_BODY or len(length) > 9:
            return _refuse(scope, 413, f"a body has at most {MAX_BODY} bytes")
        if scope["method"] not in _SAFE and (text := _csrf_error(headers)):
            return _refuse(scope, 403, text)
        return await self._authenticate(scope, headers, unix)

    def _is_ours(self, host: str) -> bool:
        """Tell whether no other site can have made a browser believe that this is its own."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self._settings.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    async def _authenticate(self, scope: Scope, headers: Headers, unix: bool) -> Response | None:
        """Put who it is into the request's state; return a refusal for whom we do not know."""
        header = headers.get("authorization")
        if header == _EMPTY_CREDENTIALS:
            header = None
        who: Principal | None
        if unix and not self._settings.socket_password and header is None:
            who = Principal(f"uid {scope['state'].get('uid', '?')}", self._settings.socket_role)
        else:
            try:
                who = await self._credentials.check(header, _address(scope))
            except TooBusy:
                text = "too many passwords of this user at once; try again"
                return _refuse(scope, 429, text, {"Retry-After": "1"})
            if who is None and unix and not self._settings.users:
                # A client that sends what it always sends; the file's mode has let it in.
                who = Principal(f"uid {scope['state'].get('uid', '?')}", self._settings.socket_role)
        if who is None:
            if header is not None:
                self._log_wrong_password(
                    scope["client"][0] if scope.get("client") else "a Unix socket"
                )
            return _refuse(scope, 401, "a name and a password are needed", challenge(headers))
        scope["state"]["who"] = who
        seats, seat = scope["state"].get("seats"), scope["state"].get("seat")
        if seat is not None and not seats.is_for(seat, who.name):
            return _refuse(scope, 429, "you have too many connections", {"Connection": "close"})
        return None

    def _log_wrong_password(self, client: str) -> None:
        """Log a wrong password; who tries many does not fill the log."""
        self._wrong += 1
        now = time.monotonic()
        if now - self._logged_at >= _LOG_INTERVAL:
            more = f", {self._wrong} times" if self._wrong > 1 else ""
            _log.warning("wrong name or password from %s%s", client, more)
            self._logged_at, self._wrong = now, 0


def _bad_shape(scope: Scope, headers: Headers) -> Response | None:
    """Return the refusal of a request that is too large, or that another may read otherwise.

    What is too large in pieces is refused before, by h11; this is for what comes at once.
    """
    close = {"Connection": "close"}
    raw = scope["headers"]
    target = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
    if target > MAX_TARGET:
        return _refuse(scope, 414, f"an address has at most {MAX_TARGET} bytes", close)
    if len(raw) > MAX_HEADERS:
        return _refuse(scope, 431, f"a request has at most {MAX_HEADERS} headers", close)
    if target + sum(len(name) + len(value) + 4 for name, value in raw) > MAX_HEAD:
        return _refuse(scope, 431, f"a head has at most {MAX_HEAD} bytes", close)
    encoded = "transfer-encoding" in headers
    if encoded and ("content-length" in headers or scope.get("http_version") == "1.0"):
        # Where the body ends is a matter of opinion (RFC 9112, 6.3).
        return _refuse(scope, 400, "Transfer-Encoding beside Content-Length, or in HTTP/1.0", close)
    return None


def challenge(headers: Headers) -> dict[str, str]:
    """Return what makes a browser ask for a name and a password.

    Not in the middle of what the page does by itself: that asks its reader to sign in.
    """
    scheme = "Page" if headers.get(CSRF_HEADER) == "page" else "Basic"
    return {"WWW-Authenticate": f'{scheme} realm="supervisor-lite", charset="UTF-8"'}


def _address(scope: Scope) -> str:
    """Return from where a password comes."""
    seat = scope["state"].get("seat")
    return seat.address if seat is not None else ""


def _csrf_error(headers: Headers) -> str:
    """Return why a request that changes something may be another site's; empty if it is not."""
    origin = headers.get("origin")
    if origin is not None and not _same(origin, headers.get("host", "")):
        return "this comes from a page of another site"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "this comes from a page of another site"
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if CSRF_HEADER not in headers and kind not in _TYPES:
        return f"needs the header X-Supervisor-Lite, or one of the types {', '.join(_TYPES)}"
    return ""


def _same(origin: str, host: str) -> bool:
    # The scheme is not compared: before us there may be a proxy that speaks TLS.
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc.lower() == host.lower()


def _refuse(
    scope: Scope, status: int, text: str, headers: dict[str, str] | None = None
) -> Response:
    # Otherwise what is still to come of the body is read and thrown away, so that whoever sends
    # it gets to read this.
    more = {"Connection": "close"} if status == 413 else headers
    return refused(scope, status, text, more)
