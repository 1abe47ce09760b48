"""The global options, which go before every command, and the time limit of a command.

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
            self.fail(f"{value!r} is not above zero: write 30s, 5m or 1h.", param, ctx)
        return span


DURATION = DurationType()


class SizeType(click.ParamType[int]):
    """``64M``, ``2G``, ``65536``: bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from jobs.formats.size import parse_size

        try:
            return value if isinstance(value, int) else parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


SIZE = SizeType()

IMPORT = click.option(
    "--import", "imports", metavar="MODULE", multiple=True, help="A module with jobs; JOBS_IMPORTS otherwise."
)
REASON = click.option("--reason", metavar="TEXT", help="Reason, for the audit log.")


@dataclass(frozen=True, slots=True)
class Globals:
    """The options given before the command; None means not given, and the settings decide."""

    database_url: str | None = None
    redis_url: str | None = None
    timeout: timedelta | None = None
    debug: bool = False
    bundle: str | None = None
    """A file to read instead of the ledger."""

    def overrides(self) -> dict[str, str]:
        """The settings that the command line replaces, by their field names."""
        given = {"database_url": self.database_url, "redis_url": self.redis_url}
        return {name: value for name, value in given.items() if value is not None}


pass_globals = click.make_pass_decorator(Globals)
"""Passes ``Globals`` to the command as the first argument."""


class OutOfTime(BaseException):
    """``--timeout`` ran out. A BaseException, so that no ``except Exception`` catches it."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"out of time after {limit}")
        self.limit = limit


SOON_SECONDS = 0.01
"""The interval at which the timeout is raised again, if Python swallowed the exception."""


@contextmanager
def time_limit(limit: timedelta | None) -> Iterator[None]:
    """Raise ``OutOfTime`` in the block once ``limit`` is over; None is no limit. Main thread only.

    A request that was sent but not answered may or may not have taken effect.
    """
    if limit is None:
        yield
        return
    if not hasattr(signal, "setitimer"):
        raise click.UsageError("--timeout needs a system with alarms: Linux or macOS. Leave it out here.")

    def stop(signum: int, frame: FrameType | None) -> None:
        raise OutOfTime(limit)

    def on_unraisable(lost: sys.UnraisableHookArgs) -> None:
        # Python swallows an exception raised in a finalizer; without the repetition the command would never stop.
        if isinstance(lost.exc_value, OutOfTime):
            signal.setitimer(signal.ITIMER_REAL, SOON_SECONDS)
        else:
            previous_hook(lost)

    previous_hook, sys.unraisablehook = sys.unraisablehook, on_unraisable
    before = signal.signal(signal.SIGALRM, stop)
    outer = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = previous_hook
        # An outer alarm (a test runner's) is restored, late by the time that this took.
        signal.setitimer(signal.ITIMER_REAL, *outer)
