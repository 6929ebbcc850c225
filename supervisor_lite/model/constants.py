"""Units and the empty mapping that definitions use as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

KIB = 1024


MIB = 1024 * KIB


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
