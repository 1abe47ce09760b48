"""The same loop and the same syncs, timed before each turn: they tell a noisy turn from a slow library."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

STEPS = 2_000_000
SYNCS = 30


def processor_ms() -> float:
    """The duration of a fixed loop; on a quiet machine it varies by a few percent only."""
    began, total = time.perf_counter(), 0
    for number in range(STEPS):
        total += number & 7
    return (time.perf_counter() - began) * 1000


def sync_ms(folder: Path) -> float:
    """The duration of one fsync of a page, beside other writes."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - began) * 1000 / SYNCS
