"""The options that stand before every command, and how long a command may take.

A command asks for them with ``@pass_globals``::

    @click.command("status")
    @pass_globals
    def status(options: Globals) -> None:
        settings = load_settings(**options.overrides())
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

import click


class DurationType(click.ParamType[timedelta]):
    """``30s``, ``5m``, ``1h30m``, ``7d``: a timedelta above zero."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from jobs.formats.duration import parse_duration

        if isinstance(value, timedelta):
            return value
        try:
            span = parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if not span:
            self.fail(f"{value!r} is no time at all: write 30s, 5m or 1h.", param, ctx)
        return span


DURATION = DurationType()

IMPORT = click.option(
    "--import", "imports", metavar="MODULE", multiple=True, help="A module with jobs; JOBS_IMPORTS otherwise."
)


@dataclass(frozen=True, slots=True)
class Globals:
    """What was given before the command; None is not given, and then the settings decide."""

    database_url: str | None = None
    redis_url: str | None = None
    timeout: timedelta | None = None
    debug: bool = False

    def overrides(self) -> dict[str, str]:
        """The settings that the command line replaces, by their field names."""
        given = {"database_url": self.database_url, "redis_url": self.redis_url}
        return {name: value for name, value in given.items() if value is not None}


pass_globals = click.make_pass_decorator(Globals)
"""Hands the command its ``Globals`` as the first argument."""


class OutOfTime(BaseException):
    """``--timeout`` ran out. A BaseException, so that no ``except Exception`` on the way eats it."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"out of time after {limit}")
        self.limit = limit


SOON_SECONDS = 0.01
"""Until a command is told again that it is out of time, where Python lost the word."""


@contextmanager
def time_limit(limit: timedelta | None) -> Iterator[None]:
    """Raise ``OutOfTime`` in the block once ``limit`` is over; None is no limit. Main thread only.

    What the command had sent but not heard the end of may or may not have happened.
    """
    if limit is None:
        yield
        return
    if not hasattr(signal, "setitimer"):
        raise click.UsageError("--timeout needs a system with alarms: Linux or macOS. Leave it out here.")

    def stop(signum: int, frame: FrameType | None) -> None:
        raise OutOfTime(limit)

    def hear(lost: sys.UnraisableHookArgs) -> None:
        # What is raised while an object is cleared away goes no further; without this the block went on for ever.
        if isinstance(lost.exc_value, OutOfTime):
            signal.setitimer(signal.ITIMER_REAL, SOON_SECONDS)
        else:
            unheard(lost)

    unheard, sys.unraisablehook = sys.unraisablehook, hear
    before = signal.signal(signal.SIGALRM, stop)
    outer = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = unheard
        # Whoever set an alarm around us (a test runner) gets it back, late by what we took.
        signal.setitimer(signal.ITIMER_REAL, *outer)
