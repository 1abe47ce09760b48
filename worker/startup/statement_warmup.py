"""Statement warm-up: compiles and runs the statements of every process once, before the processes are forked.

The first build, compilation and execution of all statements costs a process 8 MB, most of it in pages shared with
the zygote until a process writes to them. Here each statement runs once, on no rows, in a transaction that is rolled
back. The connections are closed, and the processes inherit the database object with its compiled statements.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

from jobs import boot
from jobs.clock import SystemClock, new_run_id, new_token
from jobs.database.direct_statements import DirectConnection
from jobs.database.engine import Database
from jobs.database.own_connection import FOR_SETTLING
from jobs.database.sql import Executor, dialect_of
from jobs.definition.class_release import codes
from jobs.definition.limits import LimitKey, limited_kinds
from jobs.definition.published import PublishedKind, published_kinds
from jobs.definition.rate import Rate
from jobs.formats.installed import installed_version
from jobs.ledger import workers
from jobs.ledger.batches.recount import forgotten_dependents, open_batches
from jobs.ledger.history.settings import history_settings
from jobs.ledger.limits.counts import in_use, lock_limits, with_room
from jobs.ledger.limits.rates import send_look
from jobs.ledger.limits.reassign import exchange_slots, left_parked, pass_slots_on
from jobs.ledger.limits.slots import handed_slots
from jobs.ledger.limits.written import write_decisions
from jobs.ledger.operators.alert_routes import has_routes
from jobs.ledger.operators.audit_chain import has_pending
from jobs.ledger.operators.queue_retention import retained_queues
from jobs.ledger.published_kinds import publish_kinds, retained_kinds
from jobs.ledger.queries.priority_levels import FROM_THE_START
from jobs.ledger.queries.waiting import overdue, unclaimed
from jobs.ledger.rare_rows import rare_rows
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.releases import record_release
from jobs.ledger.runs.claim import (
    candidates,
    claim,
    claim_direct,
    claim_due,
    claim_due_direct,
    due_candidates,
    seconds_until_due,
    seconds_until_due_direct,
)
from jobs.ledger.runs.give_back import give_back
from jobs.ledger.runs.lease import cancelled_among, renew, shorten_far, wait_like_a_renewal
from jobs.ledger.runs.settle import settle, settle_one
from jobs.ledger.runs.settle_plain import settle_limited, settle_plain
from jobs.ledger.runs.sweep import expire, moment_of, rescue
from jobs.ledger.schedules import leader
from jobs.observe.log import configure_logging
from jobs.settings import Settings
from jobs.states import Outcome
from worker.exchange.heartbeat import own_database

log = logging.getLogger("jobs.worker")

NOBODY = "rehearsal"
NOTHING = ""
"""A name that no queue and no kind has."""

_warmed_up: tuple[Settings, Database] | None = None


def warm_up(settings_json: str) -> None:
    """Make a database with compiled statements, for ``warmed_up``; none if the ledger does not answer.

    Opens connections and closes them again, and starts no thread.
    """
    global _warmed_up
    settings = Settings.model_validate_json(settings_json)
    # Each is kept: the processes share what it takes.
    installed_version()
    codes()
    published_kinds(settings.max_argument_bytes)
    configure_logging(settings, threaded=False)
    try:
        database = boot.open_database(settings, SystemClock())
        try:
            with _undone(database) as connection:
                _perform(connection, settings)
            with database.read() as connection:  # Also asks whether there is a history.
                has_routes(connection)
            _perform_directly(database, settings)
            with _undone(own_database(database, settings)) as connection:
                _beat(connection, settings.lease)
        finally:
            database.close()
            own_database(database, settings).close()
    except Exception as error:
        # Whatever the error, the processes will meet it too and report it.
        log.debug("Statement warm-up failed", extra={"reason": str(error)})
        return
    _warmed_up = settings, database


def warmed_up(settings: Settings) -> Database | None:
    """In a forked process: the warmed-up database of these settings, if there is one."""
    if _warmed_up is None or _warmed_up[0] != settings:
        return None
    database = _warmed_up[1]
    database.clock.rng.seed(os.urandom(16))  # Each process needs its own random numbers.
    return database


class _Undo(Exception):
    """Rolls a transaction back."""


@contextmanager
def _undone(database: Database) -> Iterator[Executor]:
    try:
        with database.write() as connection:
            yield connection
            raise _Undo
    except _Undo:
        pass


def _perform(connection: Executor, settings: Settings) -> None:
    """The statements of a process that claim runs, end attempts and do upkeep."""
    held = _claim()
    pair = [(held.run_id, held.token)]
    _register(connection, settings)
    if dialect_of(connection) == "sqlite":
        claim(connection, [held.run_id], kinds=[NOTHING], worker=NOBODY, lease=settings.lease)
        claim_due(connection, NOTHING, count=1, kinds=[NOTHING], worker=NOBODY, lease=settings.lease)
        seconds_until_due(connection, NOTHING)
    unclaimed(connection, [held.run_id])
    give_back(connection, pair)
    attempt_result = AttemptResult(claim=held, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.0, ended_monotonic=0.0)
    settle(connection, [attempt_result], worker=NOBODY, poison_after=settings.poison_after, monotonic=0.0)
    if limited_kinds:
        pass_slots_on(connection, {held.run_id: held.token}, ends_attempts=True)
        if dialect_of(connection) == "postgresql":
            exchange_slots(connection, {held.run_id: held.token})
            limited = held._replace(kind=next(iter(limited_kinds)))
            ending = AttemptResult(claim=limited, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.0, ended_monotonic=0.0)
            settle_one(connection, ending, worker=NOBODY, poison_after=settings.poison_after, monotonic=0.0)
    overdue(connection, after=settings.overdue_after, limit=1)
    wait_like_a_renewal(connection)
    rescue(connection, poison_after=settings.poison_after, limit=1)
    expire(connection, limit=1)
    leader.leader(connection, NOBODY, lease=timedelta(seconds=1))
    leader.lead(connection, NOBODY, NOBODY, lease=timedelta(seconds=1))
    _look_as_upkeep_does(connection)
    if dialect_of(connection) == "sqlite":
        rare_rows(connection)
        has_pending(connection)


def _register(connection: Executor, settings: Settings) -> None:
    """What a process writes before its first claim."""
    workers.register(
        connection,
        NOBODY,
        host=platform.node(),
        pid=os.getpid(),
        version=NOTHING,
        queues=[NOTHING],
        kinds=[NOTHING],
        threads=settings.threads,
    )
    record_release(connection, NOBODY, release=None, kinds={})
    nothing = PublishedKind(
        kind=NOTHING,
        queue=NOTHING,
        priority=0,
        max_attempts=1,
        arguments_version=1,
        is_unique=False,
        hold_seconds=0.0,
        schema=None,
        max_argument_bytes=1,
    )
    publish_kinds(connection, [nothing])


def _look_as_upkeep_does(connection: Executor) -> None:
    """The reads of the first round of upkeep, which begins while the first runs are performed."""
    shorten_far(connection, lease=timedelta(days=1))
    rescue(connection, poison_after=1, since=moment_of(connection), limit=1)
    open_batches(connection, older_than=timedelta(days=1), after=None, limit=1)
    forgotten_dependents(connection, older_than=timedelta(days=1), limit=1)
    retained_kinds(connection)
    retained_queues(connection)
    if dialect_of(connection) == "postgresql":
        history_settings(connection)


def _perform_directly(database: Database, settings: Settings) -> None:
    """Those that are sent to the driver directly. They commit, and change nothing."""
    own, of_settler = database.own_connection(), database.own_connection(without=FOR_SETTLING)
    if own is None or of_settler is None:
        return
    held = _claim()
    given: dict[str, Any] = {"kinds": [NOTHING], "worker": NOBODY, "lease": settings.lease}
    attempt_result = AttemptResult(claim=held, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.0, ended_monotonic=0.0)
    with closing(own), own.opened() as direct:
        claim_direct(direct, [held.run_id], **given)
        claim_due_direct(direct, [NOTHING], count=1, **given)
        claim_due_direct(direct, [NOTHING], count=1, places={NOTHING: FROM_THE_START}, **given)
        seconds_until_due_direct(direct, [NOTHING])
        rare_rows(direct)
        has_pending(direct)
        if limited_kinds:
            _claim_limited(direct, held, given)
    with closing(of_settler), of_settler.opened() as direct:
        settle_plain(direct, [attempt_result], worker=NOBODY, monotonic=0.0)
        if limited_kinds:
            settle_limited(direct, [attempt_result], worker=NOBODY, monotonic=0.0)
            left_parked(direct, [(NOTHING, NOTHING)])


def _claim_limited(direct: DirectConnection, held: Claim, given: dict[str, Any]) -> None:
    """The statements of a claim of a process that knows kinds with limits."""
    candidates(direct, [held.run_id], **given)
    due_candidates(direct, [NOTHING], count=1, **given)
    handed_slots(direct, [held.run_id])
    with_room(direct, [(NOTHING, NOTHING)])
    lock_limits(direct, [(NOTHING, NOTHING)])
    in_use(direct, [(NOTHING, NOTHING)])
    rated = LimitKey(NOTHING, NOTHING, None, None, Rate(1, per=timedelta(seconds=1)))
    send_look(direct, [held], {held.run_id.int: [rated]})
    write_decisions(direct, [held], worker=NOBODY, lease=given["lease"])


def _beat(connection: Executor, lease: timedelta) -> None:
    """The statements of a heartbeat, on a connection of its own."""
    renew(connection, [(new_run_id(), new_token())], lease=lease)
    workers.see(connection, NOBODY, busy=0)
    cancelled_among(connection, [(new_run_id(), new_token())])


def _claim() -> Claim:
    now = SystemClock().now()
    return Claim(
        run_id=new_run_id(),
        token=new_token(),
        kind=NOTHING,
        queue=NOTHING,
        priority=0,
        attempt=1,
        charged=0,
        crashes=0,
        abandonments=0,
        max_attempts=1,
        arguments="{}",
        arguments_version=1,
        run_at=now,
        created_at=now,
        claimed_at=now,
        correlation_id=None,
        parent_id=None,
        root_id=None,
        scheduled_for=None,
    )
