"""Whether this Python will do: one whose threads share a global lock, which time limits of jobs rest on."""

from __future__ import annotations

import sys

from jobs.errors import ConfigurationError


def refuse_free_threading() -> None:
    """Refuse a Python that runs without its global lock: nothing here was made for it, or is tested on it.

    Raises:
        ConfigurationError: it does.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ConfigurationError(
            "This Python is free-threaded: it runs without the global lock that time limits of jobs rest on.",
            hint="Use an ordinary build of Python, or set PYTHON_GIL=1.",
        )
