"""When an event listener counts as one that is of no use."""

from __future__ import annotations

import pytest

from supervisor_lite.explain.cause import cause_text
from supervisor_lite.rules.event_listener.session import ListenerProtocol
from supervisor_lite.rules.event_listener.trouble import trouble


@pytest.mark.parametrize(
    ("said", "input_closed", "rejections", "dropping", "text"),
    [
        (b"READY\n", False, 0, 0, ""),
        (b"READY\n", False, 2, 0, ""),
        (b"READY\n", False, 3, 0, "rejects what it is sent: 3 times in a row"),
        (b"READY\n", False, 0, 1, "too slow for its events: 1 event dropped"),
        (b"READY\n", False, 3, 9, "rejects what it is sent: 3 times in a row"),
        (b"READY\n", True, 3, 9, "does not read its input; it gets no more events"),
        (b"READY\nhi\xff", True, 3, 9, "said what no event listener may say ('hi\\xff'); it gets no"
         " more events until it is restarted"),
        (b"x" * 500, False, 0, 0, f"said what no event listener may say ('{'x' * 64}'); it gets no"
         " more events until it is restarted"),
    ],
)  # fmt: skip
def test_the_worst_is_told(
    said: bytes, input_closed: bool, rejections: int, dropping: int, text: str
) -> None:
    protocol = ListenerProtocol()
    protocol.receive(said)
    found = trouble(protocol, input_closed=input_closed, rejections=rejections, dropping=dropping)
    assert cause_text(found) == text
    again = ListenerProtocol.from_json(protocol.to_json())
    assert again.offence == protocol.offence
