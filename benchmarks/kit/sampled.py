"""Imported by a worker with its jobs, to sample where its processor time goes.

Every few milliseconds the time that each thread has used since is put down to what it is executing: to its name, and
to the innermost module of ours or of a library that we call. What it found is read from outside, in JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from benchmarks.kit.processes import threads

FOLDER = "BENCH_SAMPLES"
EVERY_SECONDS = 0.01
LIBRARIES = ("sqlalchemy", "psycopg", "redis", "pydantic", "dramatiq")
OURS = ("jobs", "worker")


def _module(frame: FrameType | None) -> str:
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        first = name.split(".")[0]
        if first in OURS:
            return name
        if first in LIBRARIES:
            return first
        frame = frame.f_back
    return "Python"


def _watch(path: Path) -> None:
    used: dict[int, float] = {}
    found: Counter[tuple[str, str]] = Counter()
    written = 0.0
    me = threading.get_native_id()
    while True:
        time.sleep(EVERY_SECONDS)
        frames = sys._current_frames()
        now = threads(os.getpid())
        for thread in threading.enumerate():
            if thread.native_id is None or thread.native_id == me or thread.ident is None:
                continue
            spent = now.get(thread.native_id, 0.0) - used.get(thread.native_id, 0.0)
            if spent > 0:
                name = thread.name if thread.name.startswith("jobs-") else "threads that perform"
                found[name, _module(frames.get(thread.ident))] += spent
        used = now
        if time.monotonic() - written > 0.2:
            written = time.monotonic()
            rows = [[*key, seconds] for key, seconds in found.items()]
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(rows))
            fresh.rename(path)


def _start() -> None:
    path = Path(os.environ[FOLDER]) / f"{os.getpid()}.json"
    threading.Thread(target=_watch, args=(path,), name="bench-samples", daemon=True).start()


if FOLDER in os.environ:
    os.register_at_fork(after_in_child=_start)
