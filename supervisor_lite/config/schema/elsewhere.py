"""Words of Supervisor's file that mean nothing here. Loaded for a diagnostic only."""

from __future__ import annotations

from collections.abc import Mapping

ELSEWHERE: Mapping[str, str] = {
    "supervisord": "that is [daemon] here",
    "unix_http_server": "the control socket is set in [daemon]: socket, socket_mode, socket_owner",
    "inet_http_server": "that is [gateway] here: listen, users",
    "supervisorctl": "slctl finds the daemon through this file",
    "include": "that is the key include of [daemon] here",
    "fcgi-program": 'that is a program here, with sockets = ["…"] and stdin = "socket"',
    "rpcinterface": "RPC interfaces are not supported",
    "files": "that is the key include of [daemon] here",
    "socket_backlog": 'that is sockets = [{ listen = "…", backlog = … }] here',
}
"""By word: what to do about it."""
