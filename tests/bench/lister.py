"""A client that asks for the list of processes for a while and prints how many answers it got.

    python -I -S lister.py lite|supervisor SOCKET SECONDS

Answers are read whole but not looked at: the daemon is measured, not the client.
"""

import _socket
import sys
import time

_LITE = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n'
_CALL = b"<methodCall><methodName>supervisor.getAllProcessInfo</methodName></methodCall>"
_PEER = (
    b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_CALL), _CALL)
)


def main() -> None:
    """Ask until the time is over."""
    kind, path, seconds = sys.argv[1:]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(path)
    ask, answer = (_LITE, _line) if kind == "lite" else (_PEER, _http)
    count = 0
    began = time.monotonic()
    end = began + float(seconds)
    while time.monotonic() < end:
        connection.sendall(ask)
        answer(connection)
        count += 1
    print(count / (time.monotonic() - began))


def _line(connection: _socket.socket) -> None:
    while not _received(connection).endswith(b"\n"):
        pass


def _http(connection: _socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            left = int(line.split(b":")[1]) - len(body)
    while left > 0:
        left -= len(_received(connection))


def _received(connection: _socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        sys.exit("the daemon hung up")
    return data


if __name__ == "__main__":
    main()
