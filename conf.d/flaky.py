"""Fail now and then: sometimes at once, sometimes after a while, never twice the same way."""

from __future__ import annotations

import random
import sys
import time

patience = random.choice([0.3, 0.8, 5.0, 12.0])
print(f"up, for {patience} seconds at most")
time.sleep(patience)
print("the database has gone away", file=sys.stderr)
sys.exit(random.choice([1, 3]))
