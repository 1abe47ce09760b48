"""A connection to PostgreSQL that does not wait for ever.

The server ends a statement that takes too long, if it is there to do so. Between us and it stand firewalls,
balancers and pgbouncer: one that forgets a connection says so to neither end, and whoever reads from it would wait
until TCP gives up, after a quarter of an hour, or without end while something still acknowledges.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from jobs.clock import SystemClock

T = TypeVar("T")
_CLOCK = SystemClock()
"""The machine's own, whatever clock the application was given: this waits for a real server."""


class LimitedConnection(psycopg.Connection[Any]):
    """Gives up, closed, when the server has been silent for ``silence_seconds`` while we wait for its answer."""

    silence_seconds: float = math.inf

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """As psycopg's own, which every statement, commit and rollback goes through.

        Raises:
            OperationalError: the server was silent for too long.
        """
        if timeout is not None:  # who says how long waits for what may not come, such as a notification
            return super().wait(gen, interval=interval, timeout=timeout)
        return super().wait(self._limited(gen), interval=interval)

    def _limited(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """``gen``, ended when nothing has come for too long. It is resumed every ``interval``, with 0 for nothing."""
        heard_at = _CLOCK.monotonic()
        try:
            wanted = next(gen)
            while True:
                came = yield wanted
                if came:
                    heard_at = _CLOCK.monotonic()
                elif _CLOCK.monotonic() - heard_at > self.silence_seconds:
                    gen.close()
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.silence_seconds:g} s")
                wanted = gen.send(came)
        except StopIteration as end:
            result: T = end.value
            return result
