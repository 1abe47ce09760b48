"""The same loop and the same syncs, timed before each turn: they tell a noisy turn from a slow library."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

STEPS = 2_000_000
SYNCS = 30


def processor_ms() -> float:
    """What a fixed loop takes; on a quiet machine the same every time, to some percent."""
    began, total = time.perf_counter(), 0
    for number in range(STEPS):
        total += number & 7
    return (time.perf_counter() - began) * 1000


def sync_ms(folder: Path) -> float:
    """What one fsync of a page takes beside others' writes."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - began) * 1000 / SYNCS
