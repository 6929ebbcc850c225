"""What serve.py takes of uvicorn's insides, which nobody promises to keep.

With another version: `pip install --target DIR uvicorn==0.34.0`, then
`PYTHONPATH=DIR python -m pytest tests/gateway/test_serve.py tests/gateway/test_guard.py`.
"""

from __future__ import annotations

import inspect

import pytest

from supervisor_lite.gateway.serve import Protocol

pytest.importorskip("uvicorn")

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


async def nothing(scope: Scope, receive: Receive, send: Send) -> None: ...


async def test_the_protocol_is_made_as_we_make_it() -> None:
    config = Config(nothing, http="h11", ws="none", lifespan="off", log_config=None)
    config.load()
    protocol = Protocol(config=config, server_state=ServerState(), app_state={"unix": True})
    for name in ("conn", "cycle", "transport", "loop", "app_state"):
        assert hasattr(protocol, name), name


@pytest.mark.parametrize(
    "name",
    ["connection_made", "connection_lost", "data_received", "send_400_response", "pause_writing",
     "resume_writing", "shutdown", "eof_received", "on_response_complete"],
)  # fmt: skip
def test_every_method_that_we_extend_is_there_with_its_parameters(name: str) -> None:
    theirs, ours = (getattr(kind, name) for kind in (H11Protocol, Protocol))
    assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)


def test_the_state_of_the_server_has_what_we_wait_for() -> None:
    state = ServerState()
    assert (state.connections, state.tasks) == (set(), set())
