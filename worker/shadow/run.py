"""The Run and the attempts of a shadow run: steps come from their memos, and writes are rolled back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from jobs.app import App
from jobs.database.rollback_only import RollbackOnly
from jobs.errors import Conflict
from jobs.ledger.effects import steps
from jobs.ledger.records import Claim
from jobs.runtime.cursor import Cursor
from jobs.runtime.run import Run
from jobs.runtime.steps import IfUnknown, take_name, write_result
from worker.attempt.attempt import Attempts

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class BeyondMemos(BaseException):
    """The job wants what no attempt has done yet. No Exception, so that a job does not go on without it."""


class ShadowRun(Run):
    """A run on a private copy of its ledger.

    Attributes:
        beyond: what it would have done next and nobody has recorded: a step, a transaction without its tables.
        tables: the application's own tables, if their database is at hand.
    """

    __slots__ = ("beyond", "tables")

    def __init__(self, app: App, claim: Claim, *, tables: RollbackOnly | None, **given: Any) -> None:
        super().__init__(app, claim, **given)
        self.beyond: list[str] = []
        self.tables = tables

    def leave(self, what: str) -> NoReturn:
        """End the attempt: it reached ``what``."""
        self.beyond.append(what)
        raise BeyondMemos(what)

    def once(
        self,
        name: str,
        fn: Callable[[], Any],
        *,
        if_unknown: IfUnknown = "repeat",
        ask: Callable[[str], Any] | None = None,
    ) -> Any:
        self._need_memo(name)
        return super().once(name, fn, if_unknown=if_unknown, ask=ask)

    async def once_async(
        self,
        name: str,
        fn: Callable[[], Awaitable[Any]],
        *,
        if_unknown: IfUnknown = "repeat",
        ask: Callable[[str], Awaitable[Any]] | None = None,
    ) -> Any:
        self._need_memo(name)
        return await super().once_async(name, fn, if_unknown=if_unknown, ask=ask)

    def transaction(self) -> Any:
        if self.had_transaction:
            raise Conflict("This attempt has already opened its transaction.", hint="Do all in one block.")
        self.had_transaction = True
        return RolledBack(self, "transaction()")

    def cursor(self, name: str, start: Any = 0) -> Cursor:
        take_name(self, name)
        return ShadowCursor(self, name, start)

    def _need_memo(self, name: str) -> None:
        with self.app.database.read() as connection:
            done = {one.name for one in steps.list_steps(connection, self.id) if one.finished_at is not None}
        if name not in done:
            self.leave(f"step {name!r}")


class ShadowCursor(Cursor):
    """A cursor whose blocks are rolled back, and which moves all the same."""

    def advance(self, *, to: Any) -> Any:
        return RolledBack(self._run, "advance()", on_exit=lambda: self._move_to(to))

    def _move_to(self, to: Any) -> None:
        write_result(to, what=f"Cursor {self.name!r}", max_bytes=self._run.app.settings.max_result_bytes)
        self.value = to


class RolledBack:
    """The block of ``transaction()`` or ``advance()``: a session on the application's tables, never committed."""

    def __init__(self, run: Any, what: str, *, on_exit: Callable[[], None] | None = None) -> None:
        self._run: ShadowRun = run
        self._what = what
        self._on_exit = on_exit
        self._stack = ExitStack()

    def __enter__(self) -> Session:
        if self._run.tables is None:
            self._run.leave(f"{self._what}: the application's tables are not at hand")
        return self._stack.enter_context(self._run.tables.session())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None and self._on_exit is not None:
            self._on_exit()

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class ShadowAttempts(Attempts):
    """Makes a ``ShadowRun`` for each attempt."""

    def __init__(self, app: App, *, worker: str, tables: RollbackOnly | None) -> None:
        super().__init__(app, worker=worker)
        self._make_run = partial(_shadow_run, tables)


def _shadow_run(
    tables: RollbackOnly | None, app: App, claim: Claim, *, carry: object, announce: object, **given: Any
) -> ShadowRun:
    """A shadow run, which takes neither ``carry`` nor ``announce``: no trace context, and no ready index."""
    return ShadowRun(app, claim, tables=tables, **given)


@contextmanager
def closing(tables: RollbackOnly | None) -> Iterator[None]:
    """Rolls the application's tables back at the end."""
    try:
        yield
    finally:
        if tables is not None:
            tables.close()
