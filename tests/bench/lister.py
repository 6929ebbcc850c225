"""A client that asks for the list of processes for a while and prints how many answers it got.

    python -I -S lister.py lite|supervisor|circus SOCKET SECONDS

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
_CIRCUS = b'{"id": "1", "command": "status", "properties": {}}'


def main() -> None:
    """Ask until the time is over."""
    kind, path, seconds = sys.argv[1:]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(path)
    if kind == "circus":
        greet(connection)
    ask = _ASKS[kind]
    count = 0
    began = time.monotonic()
    end = began + float(seconds)
    while time.monotonic() < end:
        ask(connection)
        count += 1
    print(count / (time.monotonic() - began))


def _ask_lite(connection: _socket.socket) -> None:
    connection.sendall(_LITE)
    while not _received(connection).endswith(b"\n"):
        pass


def _ask_supervisor(connection: _socket.socket) -> None:
    connection.sendall(_PEER)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            left = int(line.split(b":")[1]) - len(body)
    while left > 0:
        left -= len(_received(connection))


def greet(connection: _socket.socket) -> None:
    """Shake hands as ZeroMQ does (ZMTP 3.0, https://rfc.zeromq.org/spec/23/), without security."""
    connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48))
    _exactly(connection, 64)
    connection.sendall(b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER")
    _frame(connection)


def _ask_circus(connection: _socket.socket) -> None:
    ask_circus(connection, _CIRCUS)


def ask_circus(connection: _socket.socket, message: bytes) -> bytes:
    """Send one message to circus, below 256 bytes; return its answer."""
    connection.sendall(bytes((0, len(message))) + message)
    return _frame(connection)


def _frame(connection: _socket.socket) -> bytes:
    """Return the next frame of ZeroMQ, a command or a message."""
    flags, size = _exactly(connection, 2)
    if flags & 2:  # a long one: eight bytes of size
        size = int.from_bytes(bytes((size,)) + _exactly(connection, 7), "big")
    return _exactly(connection, size)


def _exactly(connection: _socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the daemon hung up")
        data += more
    return data


_ASKS = {"lite": _ask_lite, "supervisor": _ask_supervisor, "circus": _ask_circus}


def _received(connection: _socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        sys.exit("the daemon hung up")
    return data


if __name__ == "__main__":
    main()
