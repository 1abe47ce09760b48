"""Refuses a Python without the global interpreter lock, which the time limits of jobs need."""

from __future__ import annotations

import sys

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
