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
from psycopg.pq import ConnStatus, TransactionStatus

from jobs.clock import SystemClock

T = TypeVar("T")
_CLOCK = SystemClock()
"""The machine's own, whatever clock the application was given: this waits for a real server."""


class LimitedConnection(psycopg.Connection[Any]):
    """Gives up, closed, when the server has been silent for ``silence_seconds`` while we wait for its answer.

    And when it has answered what nobody asked: a broken proxy may send a reply twice, and from then on each
    statement, the commit among them, would be told what became of the one before.
    """

    silence_seconds: float = math.inf
    needs_blocks = False
    """Whether a statement by itself would run at another isolation level than READ COMMITTED."""
    _is_out_of_step = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.add_notice_handler(self._hear)

    def commit(self) -> None:
        """As psycopg's own, and true.

        Raises:
            OperationalError: what came was not the answer to this commit; whether it is committed is not known.
        """
        super().commit()
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            raise self._given_up("its answers are out of step")

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """As psycopg's own, which every statement, commit and rollback goes through.

        Raises:
            OperationalError: the server was silent for too long.
        """
        if timeout is not None:  # who says how long waits for what may not come, such as a notification
            return super().wait(gen, interval=interval, timeout=timeout)
        pgconn = self.pgconn
        if pgconn.status == ConnStatus.OK and pgconn.transaction_status != TransactionStatus.ACTIVE:
            # Between two questions: libpq drops what comes now, and says so.
            pgconn.consume_input()
            pgconn.is_busy()
            if self._is_out_of_step:
                gen.close()
                raise self._given_up("it answers what was not asked")
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
                    raise self._given_up(f"no answer within {self.silence_seconds:g} s")
                wanted = gen.send(came)
        except StopIteration as end:
            result: T = end.value
            return result

    def _given_up(self, why: str) -> psycopg.OperationalError:
        self.pgconn.finish()
        return psycopg.OperationalError(f"the connection is given up: {why}")

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        # The server's own notices have a code; libpq's have none.
        if notice.sqlstate is None:
            self._is_out_of_step = True
