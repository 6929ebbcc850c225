"""A job with an end: count to ten, or until Ctrl-C."""

from __future__ import annotations

import sys
import time

try:
    for step in range(1, 11):
        print(f"step {step} of 10")
        time.sleep(1)
except KeyboardInterrupt:
    print("stopped half-way")
    sys.exit(1)
print("done")
