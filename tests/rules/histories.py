"""Every documented rule, told as a history."""

from __future__ import annotations

from tests.rules.histories_alone import ALONE
from tests.rules.histories_asked import ASKED
from tests.rules.history import History

HISTORIES: tuple[History, ...] = (*ALONE, *ASKED)
