"""A PostgreSQL connection whose every wait has a time limit.

The server ends a statement that takes too long, if it is there to do so. Between us and it stand firewalls,
balancers and pgbouncer: one that forgets a connection says so to neither end, and whoever reads from it would wait
until TCP gives up, after a quarter of an hour, or without end while something still acknowledges.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.adapt import Loader, Transformer
from psycopg.pq import ConnStatus, TransactionStatus

from jobs.clock import SystemClock
from jobs.formats.unreadable import stand_in_for_moment

T = TypeVar("T")
_CLOCK = SystemClock()
"""The machine's own, whatever clock the application was given: this waits for a real server."""


class _AnyMoment(Loader):
    """Reads a moment, or what stands for one that Python cannot hold: ``infinity``, a year before Christ."""

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._plain = psycopg.adapters.get_loader(oid, self.format)(oid, context)  # type: ignore[misc]

    def load(self, data: Any) -> Any:
        try:
            return self._plain.load(data)
        except psycopg.DataError:
            return stand_in_for_moment(bytes(data).decode())


class RowCursor(psycopg.Cursor[Any]):
    """Reads rows as psycopg does; where one of them cannot be read, all of them by ``_AnyMoment``.

    To read every moment by it would cost a claim more than a hundredth of its time.
    """

    _left: tuple[Any, list[Any]] | None = None
    """The result of which a row could not be read, and its rows that have not been fetched."""

    def fetchone(self) -> Any:
        try:
            return super().fetchone() if self._left is None else next(iter(self._take(1)), None)
        except psycopg.DataError as error:
            return next(iter(self._take(1, error)), None)

    def fetchmany(self, size: int = 0) -> list[Any]:
        try:
            return super().fetchmany(size) if self._left is None else self._take(size or self.arraysize)
        except psycopg.DataError as error:
            return self._take(size or self.arraysize, error)

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall() if self._left is None else self._take(self.rowcount)
        except psycopg.DataError as error:
            return self._take(self.rowcount, error)

    def _take(self, count: int, error: psycopg.DataError | None = None) -> list[Any]:
        result, place = self.pgresult, self.rownumber
        if self._left is None or self._left[0] is not result:
            if error is None or error.sqlstate is not None or result is None or place is None:
                raise error or psycopg.ProgrammingError("a cursor that has met an unreadable row serves one statement")
            self.adapters.register_loader("timestamptz", _AnyMoment)
            reader = Transformer(self)
            reader.set_pgresult(result)
            self._left = result, reader.load_rows(place, result.ntuples, tuple)
        taken, self._left = self._left[1][:count], (result, self._left[1][count:])
        return taken


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
        self.cursor_factory = RowCursor
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
