"""Work steadily: one line a second."""

from __future__ import annotations

import itertools
import sys
import time

worker = sys.argv[1]
for job in itertools.count(1):
    print(f"worker {worker} has done job {job}")
    time.sleep(1)
