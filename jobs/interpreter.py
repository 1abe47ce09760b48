"""What we need of Python itself: the global interpreter lock, and quick imports."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.errors import ConfigurationError


def refuse_free_threading() -> None:
    """Refuse a Python that runs without its global lock: no part is written for it or tested on it.

    Raises:
        ConfigurationError: this Python does.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ConfigurationError(
            "This Python is free-threaded: it runs without the global lock that time limits of jobs need.",
            hint="Use an ordinary build of Python, or set PYTHON_GIL=1.",
        )


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in this block without the garbage collector, which would search what modules make again and again.

    It stays, so nothing is found: a tenth of the time of many imports.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
