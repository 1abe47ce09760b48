"""A PostgreSQL connection with a time limit for every wait.

The server ends a statement that takes too long, if it is alive. Between us and it are firewalls, balancers and
pgbouncer. If one of them drops a connection, neither end learns of it, and a read would wait until TCP gives up after a
quarter of an hour, or for ever while something still acknowledges.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.adapt import Loader, Transformer
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from jobs.clock import SystemClock
from jobs.database.postgres.readable import is_readable
from jobs.formats.unreadable import stand_in_for_moment

T = TypeVar("T")
_INTERVAL_MS = 100
"""How often a wait looks for an interruption of its thread, as psycopg does."""
_CANCEL_SECONDS = 5.0
"""How long an interrupted caller waits until the server knows of it, as with psycopg."""
_CLOCK = SystemClock()
"""The machine's own clock, whatever clock the application uses: this waits for a real server."""


class _AnyMoment(Loader):
    """Reads a moment, or a stand-in for one that Python cannot hold: ``infinity``, a year before Christ."""

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._plain = psycopg.adapters.get_loader(oid, self.format)(oid, context)  # type: ignore[misc]

    def load(self, data: Any) -> Any:
        try:
            return self._plain.load(data)
        except psycopg.DataError:
            return stand_in_for_moment(bytes(data).decode())


class RowCursor(psycopg.Cursor[Any]):
    """Reads rows as psycopg does; if one of them cannot be read, reads all of them by ``_AnyMoment``.

    Reading every moment by it would cost a claim more than one per cent of its time.
    """

    _left: tuple[Any, list[Any]] | None = None
    """The result with an unreadable row, and its rows that have not been fetched."""

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


class NumberedCursor(RowCursor, psycopg.RawCursor[Any]):
    """The same for a statement with ``$1``, ``$2``, … for the parameters."""


class LimitedConnection(psycopg.Connection[Any]):
    """Closes itself when the server is silent for ``silence_seconds`` while we wait for its answer.

    It also does so when the server has sent an answer without a question: a broken proxy may send a reply twice, and
    from then on each statement, commits included, would get the answer of the one before.
    """

    silence_seconds: float = math.inf
    needs_blocks = False
    """Whether an autocommit statement would run at another isolation level than READ COMMITTED."""
    is_notified = False
    """Whether a notification has come since ``wait_for_notify`` last reported one."""
    _is_out_of_step = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_factory = RowCursor
        self.add_notice_handler(self._on_notice)

    def commit(self) -> None:
        """Like psycopg's own, but checks that the answer belongs to this commit.

        Raises:
            OperationalError: the answer belongs to another statement; it is unknown whether this commit took place.
        """
        super().commit()
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            raise self._given_up("its answers belong to other statements")

    def record_notifies(self) -> None:
        """From now on record that notifications come, but keep none of them.

        psycopg keeps each one that comes within a statement until ``notifies()`` returns it: on a connection that is
        busy with statements they would become more and more.
        """
        self.add_notify_handler(self._on_notify)

    def wait_for_notify(self, seconds: float) -> bool:
        """Whether a notification has come since the last one that was reported; waits at most ``seconds`` for it.

        It sleeps until then: psycopg's own wait wakes ten times a second, for signals.

        Raises:
            OperationalError: the connection has ended.
        """
        until = _CLOCK.monotonic() + seconds
        while not self.take_notifies():
            if not is_readable(self.fileno(), max(0.0, until - _CLOCK.monotonic()) * 1000):
                return False
            self.pgconn.consume_input()
        self.is_notified = False
        return True

    def take_notifies(self) -> bool:
        """Take the notifications that have been read. Returns whether any has come since the last report."""
        while self.pgconn.notifies() is not None:
            self.is_notified = True
        return self.is_notified

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Like psycopg's own, which every statement, commit and rollback uses.

        Raises:
            OperationalError: the server was silent for too long.
        """
        if (
            timeout is not None
        ):  # callers with an own limit wait for something that may not come, such as a notification
            return super().wait(gen, interval=interval, timeout=timeout)
        pgconn = self.pgconn
        if pgconn.status == ConnStatus.OK and pgconn.transaction_status != TransactionStatus.ACTIVE:
            # Between two questions libpq drops unexpected answers, and reports them in a notice.
            pgconn.consume_input()
            pgconn.is_busy()
            if self._is_out_of_step:
                gen.close()
                raise self._given_up("it sent an answer without a question")
        return super().wait(self._limited(gen), interval=interval)

    def answer(self) -> PGresult:
        """The result of a statement, once it has been sent whole, in half the time of ``wait``; not for COPY.

        It looks for the interruption of its thread as often as ``wait`` does.

        Raises:
            OperationalError: the server was silent for too long, or the connection has ended.
        """
        pgconn = self.pgconn
        found = None
        while True:
            while pgconn.is_busy():
                self._read()
            one = pgconn.get_result()
            if one is None:
                break
            found = one
        self.take_notifies()
        assert found is not None
        return found

    def check_in_step(self) -> None:
        """Check, before a statement is sent, that the answer to the last one was the last thing that came.

        Raises:
            OperationalError: it was not; the connection is closed.
        """
        self.pgconn.is_busy()
        if self._is_out_of_step:
            raise self._given_up("it sent an answer without a question")

    def _read(self) -> None:
        """Wait until the server has sent something, and read it."""
        asked_at = _CLOCK.monotonic()
        try:
            while not is_readable(self.fileno(), _INTERVAL_MS):
                if _CLOCK.monotonic() - asked_at > self.silence_seconds:
                    raise self._given_up(f"no answer within {self.silence_seconds:g} s")
        except KeyboardInterrupt:
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=_CANCEL_SECONDS)
            raise
        self.pgconn.consume_input()

    def _limited(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """``gen``, ended when nothing has arrived for too long.

        It is resumed every ``interval``, with 0 for nothing.
        """
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

    def _on_notify(self, notification: psycopg.Notify) -> None:
        self.is_notified = True

    def _on_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        # The server's own notices have a code; libpq's have none.
        if notice.sqlstate is None:
            self._is_out_of_step = True
