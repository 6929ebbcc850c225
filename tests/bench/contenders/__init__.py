"""Who is measured: supervisor-lite, a bare loop in Python, Supervisor, and four more.

A further supervisor is one more subclass of `Contender` in a module of its own; the scenarios take
whatever they are given and leave out what a contender cannot do.
"""

from tests.bench.contenders.bare import Bare, interpreter
from tests.bench.contenders.base import Contender, Program
from tests.bench.contenders.circus import Circus
from tests.bench.contenders.lite import Lite
from tests.bench.contenders.peer import Supervisor
from tests.bench.contenders.trees import S6, Daemontools, Runit

__all__ = [
    "GUESTS", "PEERS", "S6", "Bare", "Circus", "Contender", "Daemontools", "Lite", "Program",
    "Runit", "Supervisor", "interpreter",
]  # fmt: skip

PEERS: tuple[type[Contender], ...] = (Supervisor, Circus, Runit, S6, Daemontools)
"""All but us and the bare loop, the one that goals are compared with first."""

GUESTS: tuple[type[Contender], ...] = PEERS[1:]
"""Those that are measured once or twice, beside the ones that the goals compare."""
