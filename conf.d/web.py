"""Serve one page on 127.0.0.1, on PORT or, if that is taken, on any free port."""

from __future__ import annotations

import html
import os
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}</title>
<style>
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto }}
</style>
<h1>{name} is up</h1>
<p>This page comes from process {pid}, up for {uptime:.0f} seconds.</p>
<p>Try <code>kill -9 {pid}</code> and load the page again: another process will answer.</p>
</html>
"""

STARTED = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the page."""

    def do_GET(self) -> None:
        """Send the page."""
        body = PAGE.format(
            name=html.escape(os.environ.get("SUPERVISOR_PROCESS_NAME", "web")),
            pid=os.getpid(),
            uptime=time.monotonic() - STARTED,
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def listen(port: int) -> ThreadingHTTPServer:
    """Return a server on this port, or on a free one if somebody else has it."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        print(f"port {port} cannot be used ({error.strerror}), taking another")
        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def end(number: int, frame: FrameType | None) -> None:
    """End in an orderly way."""
    print("bye")
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    server = listen(int(os.environ.get("PORT", "8642")))
    print(f"serving http://127.0.0.1:{server.server_address[1]}/")
    server.serve_forever()
