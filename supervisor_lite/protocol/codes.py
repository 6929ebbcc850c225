"""The codes of errors on the control socket, and the exit codes of `slctl`: one list for both.

Below zero they are JSON-RPC's own (https://www.jsonrpc.org/specification#error_object), above zero
the exit code that `slctl` ends with.
"""

from __future__ import annotations

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# JSON-RPC's own error codes.
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

# Ours: the exit codes of slctl.
DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_UP: Final = 3
NO_SUCH_PROCESS: Final = 4
NOT_PERMITTED: Final = 5
TIMED_OUT: Final = 7
