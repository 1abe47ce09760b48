"""Settles plain successes by one statement. PostgreSQL only: SQLite does not write within a query.

Most endings are plain: the attempt succeeded and has no follow-ups. They need neither the rules of ``exits`` nor a
second statement for their attempts. ``settle_members`` ends members of batches; ``settle`` handles the others: a lost
lease, a cancelled run, a run with follow-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    Executable,
    Integer,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    not_,
    null,
    select,
    true,
    update,
)

from jobs.database.binary_values import read_ids, read_moment
from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.models import JobAttempt, JobRateSlot, JobRun, JsonText
from jobs.database.postgres.driver import notified
from jobs.database.sql import RowBatch, ledger_now, one_of, plus_seconds
from jobs.definition.breakers import guarded_kinds
from jobs.definition.limits import limited_kinds
from jobs.ledger.done_batch import DONE, DONE_BINARY, rows_of
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.exchange import Successors, exchange, read, rows_of_successors
from jobs.ledger.records import AttemptResult, Claim, Freed, RecordedAttempt
from jobs.ledger.runs.claim import in_order
from jobs.states import Outcome, RunState, checked_move

_SUCCEEDED = checked_move(RunState.RUNNING, RunState.SUCCEEDED)


class LimitedSettled(NamedTuple):
    """The attempts that ended, the runs that were claimed in their place, and the keys whose slots nobody took.

    Call ``left_parked`` with those keys.
    """

    settled: list[tuple[AttemptResult, RecordedAttempt]]
    started: list[Claim]
    left: list[Key]


def is_plain(attempt_result: AttemptResult) -> bool:
    """Whether the result is a success without a log and further effects, of a kind without limits and breaker."""
    return attempt_result.claim.kind not in limited_kinds and is_success(attempt_result)


def is_limited_success(attempt_result: AttemptResult) -> bool:
    """Whether the result is a success without a log and further effects, of a kind with limits and without breaker."""
    return attempt_result.claim.kind in limited_kinds and is_success(attempt_result)


def is_success(attempt_result: AttemptResult) -> bool:
    """Whether the result is a success without a log and further effects, of a kind without breaker."""
    return (
        attempt_result.outcome is Outcome.SUCCEEDED
        and attempt_result.failure is None
        and attempt_result.cause is None
        and not attempt_result.then
        and not attempt_result.completes
        and attempt_result.arguments is None
        and attempt_result.log is None
        and attempt_result.claim.kind not in guarded_kinds
    )


def settle_plain(
    connection: DirectConnection,
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    monotonic: float,
    now: datetime | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Record plain endings, each of another run, and commit. Those that are not returned did not change.

    Args:
        monotonic: this process's monotonic clock, now; as for ``settle``.
        meanwhile: called while the server works, if the connection can wait for it later. It must not raise, nor use
            the connection.
    """
    ordered, given = rows_of(endings, worker=worker, monotonic=monotonic, now=now, batch=DONE_BINARY)
    result = _SETTLE_BINARY.begin(connection, {**given, "expected": len(ordered)})
    if result is None:
        return settle_by(_SETTLE, connection, endings, worker=worker, monotonic=monotonic, now=now)
    meanwhile()
    found = result()
    moment, moved = found.get_value(0, 0), found.get_value(0, 1)
    assert moment is not None
    return _settled(ordered, read_moment(moment), None if moved is None else set(read_ids(moved)))


def settle_by(
    statement: DirectStatement,
    connection: DirectConnection,
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    monotonic: float,
    now: datetime | None,
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Record these plain endings by a statement that returns what ``which_moved`` selects; those that it recorded."""
    ordered, given = rows_of(endings, worker=worker, monotonic=monotonic, now=now)
    ((moment, moved),) = statement.run(connection, {**given, "expected": len(ordered)})
    return _settled(ordered, moment, None if moved is None else set(moved))


def settle_limited(
    connection: DirectConnection,
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    monotonic: float,
    successors: Successors | None = None,
    notifies: bool = False,
    now: datetime | None = None,
) -> LimitedSettled:
    """``settle_plain`` for kinds with limits: their slots pass to the next parked runs, which follow the first ending.

    Args:
        successors: the parked runs that this worker may claim at once, instead of letting them wait in their queues.
        notifies: tell the workers that listen of the runs that are ready now.
    """
    ordered, given = rows_of(endings, worker=worker, monotonic=monotonic, now=now)
    given |= {"expected": len(ordered), "notifies": notifies}
    rows = _SETTLE_LIMITED.run(connection, {**given, **rows_of_successors(successors, worker=worker)})
    moment, moved = rows[0][:2]
    ids: set[UUID] | None = None if moved is None else set(moved)
    freed, started, left = read(row[3:] for row in rows if row[3] is not None)
    settled: list[tuple[AttemptResult, RecordedAttempt]] = []
    for one, ago in ordered:
        if ids is None or one.claim.run_id in ids:
            settled.append((one, recorded(one, moment, ago, () if settled else tuple(freed))))
    return LimitedSettled(settled, in_order(started), left)


def _settled(
    ordered: Sequence[tuple[AttemptResult, float]], moment: datetime, moved: set[UUID] | None
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Those that ended: all, or those of the runs in ``moved``."""
    return [(one, recorded(one, moment, ago)) for one, ago in ordered if moved is None or one.claim.run_id in moved]


def recorded(one: AttemptResult, moment: datetime, ago: float, followed_by: tuple[Freed, ...] = ()) -> RecordedAttempt:
    """What the ledger recorded of a plain success at ``moment``, which ended ``ago`` seconds earlier."""
    claim = one.claim
    started_at = moment - timedelta(seconds=ago + one.elapsed_seconds)
    return RecordedAttempt(
        claim.run_id,
        claim.kind,
        claim.queue,
        claim.priority,
        RunState.SUCCEEDED,
        None,
        Outcome.SUCCEEDED,
        claim.attempt,
        started_at,
        moment,
        None,
        followed_by,
    )


def still_held(done: Any, which: ColumnElement[bool], batch: RowBatch = DONE) -> list[ColumnElement[bool]]:
    """That a run is the one in ``done``, still performed by that attempt and not cancelled; and ``which``."""
    return [
        JobRun.id == done.id,
        JobRun.token == done.token,
        JobRun.attempt == done.attempt,
        # PostgreSQL expects nearly every row to have a value that is not null. For ``is null`` it expects one row in
        # 200 before a table is analysed, and then joins the batch by nested loops.
        case((and_(JobRun.cancel_requested_at.is_(None), which), literal_column("1"))).is_not(None),
        batch.among("postgresql", JobRun.id, "id"),
    ]


def success(done: Any, which: Sequence[ColumnElement[bool]], *more: Any) -> tuple[CTE, CTE]:
    """The parts of a statement that end those of the runs of ``done`` that ``which`` describes, and record that.

    The first returns their ids, and the columns ``more``.
    """
    started_at = plus_seconds(ledger_now(), -(done.ago_seconds + done.elapsed_seconds))
    moved = (
        update(JobRun)
        .where(*which)
        .values(
            state=literal_column(f"'{_SUCCEEDED}'"),
            cause=null(),
            token=null(),
            lease_until=null(),
            started_at=started_at,
            finished_at=ledger_now(),
            state_at=ledger_now(),
            result=cast(done.result, JsonText),
        )
        .returning(JobRun.id, JobRun.attempt, done.token, done.ago_seconds, started_at.label("began_at"), *more)
        .cte("moved")
    )
    columns = {
        "run_id": moved.c.id,
        "attempt": moved.c.attempt,
        "token": moved.c.token,
        "outcome": literal_column(f"'{Outcome.SUCCEEDED.value}'"),
        "worker": bindparam("by_worker", type_=String()),
        "started_at": moved.c.began_at,
        "finished_at": plus_seconds(ledger_now(), -moved.c.ago_seconds),
    }
    tried = (
        insert(JobAttempt)
        .from_select(list(columns), select(*columns.values()), include_defaults=False)
        .returning(JobAttempt.run_id)
        .cte("recorded")
    )
    return moved, tried


def which_moved(moved: CTE, *parts: CTE) -> Executable:
    """The ledger's moment, and the ids of the runs that ended; null if all did."""
    # Nearly always all of them: their ids then need not come back.
    is_whole = func.count() == bindparam("expected", type_=Integer())
    ids = func.array(select(moved.c.id).scalar_subquery())
    return select(ledger_now(), case((is_whole, null()), else_=ids)).select_from(moved).add_cte(*parts)


def _settle(dialect: str, batch: RowBatch = DONE) -> Executable:
    done = batch.table(dialect).c
    moved, tried = success(done, still_held(done, ~JobRun.has_followups, batch))
    return which_moved(moved, tried)


def _settle_limited(dialect: str) -> Executable:
    done = DONE.table(dialect).c
    moved, tried = success(done, still_held(done, not_(JobRun.has_followups)))
    used = (
        delete(JobRateSlot)
        .where(one_of(dialect, JobRateSlot.run_id, select(moved.c.id)))
        .returning(JobRateSlot.run_id)
        .cte("used_reservations")
    )
    exchanged, parts = exchange(moved)
    counted = select(func.count()).select_from(moved).scalar_subquery()
    is_whole = counted == bindparam("expected", type_=Integer())
    ids = func.array(select(moved.c.id).scalar_subquery())
    told = select(notified()).select_from(exchanged).where(exchanged.c.freed_id.is_not(None)).limit(literal_column("1"))
    first = select(
        ledger_now().label("moment"),
        case((is_whole, null()), else_=ids).label("moved"),
        case((bindparam("notifies", type_=Boolean()), cast(told.scalar_subquery(), Text))).label("told"),
    ).subquery("first")
    return select(*first.c, *exchanged.c).select_from(first.outerjoin(exchanged, true())).add_cte(tried, used, *parts)


_SETTLE_BINARY = DirectStatement(lambda dialect: _settle(dialect, DONE_BINARY))
_SETTLE, _SETTLE_LIMITED = DirectStatement(_settle), DirectStatement(_settle_limited)
