"""supervisor-lite-gateway: argv, settings, sockets, serve."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

from supervisor_lite import __version__, extras
from supervisor_lite.errors import ConfigError, StartupError
from supervisor_lite.protocol import locate

if TYPE_CHECKING:
    from supervisor_lite.gateway.hub import Hub
    from supervisor_lite.gateway.serve import HttpServer
    from supervisor_lite.model.settings import GatewaySettings

_log = logging.getLogger("supervisor_lite.gateway")


def main(argv: list[str] | None = None) -> int:
    """Run the gateway; return the exit code: 0 ended in order, 1 failed, 2 configuration."""
    options = _parse(argv)
    try:
        from supervisor_lite.gateway import app, self_test, serve
    except ModuleNotFoundError as error:
        return _tell_missing(error)
    from supervisor_lite.gateway import listen
    from supervisor_lite.gateway.daemon import Daemon
    from supervisor_lite.gateway.hub import Hub
    from supervisor_lite.gateway.reread import Table

    _set_up_logging()
    found = _configuration(options)
    if found is None:
        return 2
    settings, path = found
    daemon = Daemon(path)
    hub = Hub(daemon)
    try:
        self_test.raise_descriptors()
        test = self_test.SelfTest()
        test.run()
        guard = app.make_app(settings, daemon, hub)
        server = serve.HttpServer(guard, daemon.ending)
        table = Table(options.config, settings, guard, server.drop_all, daemon.ending.set)
        table.follow(hub)
        listening = listen.bind(settings)
        if listen.become(settings.user or options.user):
            test.run()
    except StartupError as error:
        sys.stderr.write(f"supervisor-lite-gateway: {error}\n")
        return 1
    for warning in _warnings(settings.listen):
        _log.warning(warning)
    _log.info("supervisor-lite-gateway %s serves %s", __version__, ", ".join(settings.listen))
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_serve(server, hub, listening.sockets))
    listening.remove_files()
    return 1 if table.failed else 0


def _tell_missing(error: ModuleNotFoundError) -> int:
    name = (error.name or "a module").partition(".")[0]
    text = f"cannot serve: {name} is not installed; run: {extras.advice('gateway')}"
    sys.stderr.write(f"supervisor-lite-gateway: {text}\n")
    return 1


async def _serve(server: HttpServer, hub: Hub, sockets: list[socket.socket]) -> None:
    following = asyncio.create_task(hub.run())
    await server.serve(sockets)
    following.cancel()


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.ERROR)


def _configuration(options: argparse.Namespace) -> tuple[GatewaySettings, str] | None:
    """Return the settings and the path of the control socket; None, and why, without them."""
    # Loaded late: a TOML parser and the whole schema.
    from supervisor_lite.config.load import load_gateway

    try:
        settings = load_gateway(options.config)
        path = options.socket or locate.find_socket(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return None
    except (OSError, ValueError) as error:
        sys.stderr.write(f"supervisor-lite-gateway: cannot find the control socket: {error}\n")
        return None
    if settings is None:
        sys.stderr.write(_OFF)
        return None
    return settings, path


_OFF = """\
supervisor-lite-gateway: the configuration has no [gateway] table, so nothing is served. Write

  [gateway]
  listen = ["unix:///run/supervisor-lite/http.sock"]
"""


def _warnings(urls: tuple[str, ...]) -> list[str]:
    """Return what an operator should know about the way this is run."""
    found = []
    if os.geteuid() == 0:
        found.append("running as root; set [gateway] user, and give that user [[access]]")
    local = ("unix://", "http://127.", "http://localhost:", "http://[::1]")
    if far := [url for url in urls if not url.startswith(local)]:
        text = "other machines can reach %s: passwords travel in clear, put TLS before it"
        found.append(text % ", ".join(far))
    return found


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="supervisor-lite-gateway",
        description="HTTP for supervisor-lite: web page, REST, metrics, Supervisor's XML-RPC.",
        epilog="What it serves stands in the [gateway] table of the configuration.",
    )
    add = parser.add_argument
    add("-c", "--configuration", dest="config", metavar="FILE|DIR", help="as for supervisor-lite")
    add("-s", "--socket", help="the control socket, instead of the configuration's")
    add("--user", help="whom to become if started by root and [gateway] does not say it")
    add("-v", "--version", action="version", version=__version__)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
