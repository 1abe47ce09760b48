"""Groups on a LedgerBroker: the last message's end enqueues the callbacks, once, whatever is killed or flushed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import dramatiq
import pytest
from dramatiq import group, pipeline
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits import Barrier
from dramatiq.rate_limits.backends import StubBackend
from sqlalchemy import func, select

from jobs.database.models import JobGroup, JobGroupMember, JobRun
from jobs.dramatiq import LedgerBroker
from jobs.ledger.effects.groups import prune_groups
from jobs.ledger.records import AttemptResult
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.runs.settle import settle
from jobs.messages.message_outcome import message_outcome_of
from jobs.messages.proxy import LedgerMessage
from tests.jobs.dramatiq.broker_runs import JOIN
from tests.jobs.dramatiq.conftest import StartWorker
from worker.attempt.outcome import attempt_result_of


@pytest.fixture
def counted(broker: LedgerBroker) -> list[Any]:
    """Callbacks that were performed; the actors are ``work`` and ``finish``."""
    done: list[Any] = []
    broker.add_middleware(GroupCallbacks(StubBackend()))

    @dramatiq.actor(max_retries=0)
    def work(number: int) -> int:
        return number

    @dramatiq.actor
    def finish(what: str) -> None:
        done.append(what)

    return done


def run_group(broker: LedgerBroker, size: int) -> Any:
    work, finish = broker.get_actor("work"), broker.get_actor("finish")
    made = group([work.message(number) for number in range(size)])
    made.add_completion_callback(finish.message("all done"))
    return made.run()


def claim(broker: LedgerBroker, count: int = 10) -> list[Any]:
    with broker.app.database.write() as connection:
        return claim_due(connection, "default", count=count, kinds=["work"], worker="w", lease=timedelta(seconds=30))


def ended(broker: LedgerBroker, held: Any) -> AttemptResult:
    message = LedgerMessage(held)
    broker.emit_after("process_message", message, result=None)
    return attempt_result_of(
        broker.app, held, broker.app.clock.monotonic(), message_outcome_of(message, max_bytes=10_000)
    )


def settle_all(broker: LedgerBroker, endings: list[AttemptResult]) -> None:
    with broker.app.database.write() as connection:
        settle(connection, endings, worker="w", poison_after=3, monotonic=broker.app.clock.monotonic())


def callbacks(broker: LedgerBroker) -> int:
    with broker.app.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(JobRun).where(JobRun.kind == "finish")) or 0)


def test_the_callbacks_of_a_group_run_once_after_its_last_message(
    broker: LedgerBroker, counted: list[Any], start_worker: StartWorker
) -> None:
    work, finish = broker.get_actor("work"), broker.get_actor("finish")
    made = group([work.message(1), pipeline([work.message(2), work.message_with_options(args=(3,), pipe_ignore=True)])])
    made.add_completion_callback(finish.message("one"))
    made.add_completion_callback(finish.message("two"))

    made.run()
    start_worker()
    broker.join("default", timeout=JOIN)

    assert sorted(counted) == ["one", "two"]


def test_a_message_that_ends_twice_is_counted_once(broker: LedgerBroker, counted: list[Any]) -> None:
    run_group(broker, 3)
    first, second, third = claim(broker)
    attempt_result = ended(broker, first)

    settle_all(broker, [attempt_result])
    settle_all(broker, [attempt_result])  # A zombie's: its lease is over.
    settle_all(broker, [ended(broker, second)])
    assert callbacks(broker) == 0
    settle_all(broker, [ended(broker, third)])

    assert callbacks(broker) == 1


def test_a_copy_of_a_message_that_is_done_is_not_counted(broker: LedgerBroker, counted: list[Any]) -> None:
    run_group(broker, 2)
    first, second = claim(broker)
    settle_all(broker, [ended(broker, first)])

    broker.enqueue(LedgerMessage(first)._message)  # As a replay with other arguments makes one.
    (copy,) = claim(broker)
    settle_all(broker, [ended(broker, copy)])
    assert callbacks(broker) == 0
    settle_all(broker, [ended(broker, second)])

    assert callbacks(broker) == 1


def test_messages_that_end_in_one_commit_complete_their_group(broker: LedgerBroker, counted: list[Any]) -> None:
    run_group(broker, 5)
    run_group(broker, 2)

    settle_all(broker, [ended(broker, one) for one in claim(broker)])

    assert callbacks(broker) == 2
    with broker.app.database.read() as connection:
        last = connection.execute(select(JobRun.parent_id, JobRun.root_id).where(JobRun.kind == "finish")).all()
    assert all(parent is not None and root is not None for parent, root in last)


def test_a_group_with_a_dead_message_waits_for_its_replay(
    broker: LedgerBroker, counted: list[Any], start_worker: StartWorker
) -> None:
    is_broken = [True]

    @dramatiq.actor(max_retries=0)
    def fragile() -> None:
        if is_broken[0]:
            raise ValueError("no")

    made = group([fragile.message(), fragile.message()])
    made.add_completion_callback(broker.get_actor("finish").message("at last"))
    made.run()
    start_worker()
    broker.join("default", timeout=JOIN)
    assert counted == []

    is_broken[0] = False
    from jobs.ledger.runs.replay import reopen

    with broker.app.database.write() as connection:
        reopen(connection, connection.scalars(select(JobRun.id).where(JobRun.state == "dead")).all())
    broker.join("default", timeout=JOIN)

    assert counted == ["at last"]


def test_a_group_begun_before_the_move_is_counted_where_it_was(broker: LedgerBroker, start_worker: StartWorker) -> None:
    barriers = StubBackend()
    broker.add_middleware(GroupCallbacks(barriers))
    done: list[str] = []

    @dramatiq.actor
    def work() -> None: ...

    @dramatiq.actor
    def finish() -> None:
        done.append("finished")

    name = str(uuid4())
    Barrier(barriers, name, ttl=60_000).create(2)
    options = {"group_completion_uuid": name, "group_completion_callbacks": [finish.message().asdict()]}
    for _ in range(2):
        broker.enqueue(work.message().copy(options=options))
    start_worker()
    broker.join("default", timeout=JOIN)

    assert done == ["finished"]


def test_groups_need_their_middleware_as_anywhere(broker: LedgerBroker) -> None:
    @dramatiq.actor
    def work() -> None: ...

    made = group([work.message()])
    made.add_completion_callback(work.message())

    with pytest.raises(RuntimeError, match="GroupCallbacks middleware not found"):
        made.run()


def test_a_group_that_nothing_happens_to_is_forgotten_in_time(broker: LedgerBroker, counted: list[Any]) -> None:
    run_group(broker, 2)
    settle_all(broker, [ended(broker, claim(broker, 1)[0])])

    with broker.app.database.write() as connection:
        assert prune_groups(connection, after=timedelta(days=1)) == 0
        assert prune_groups(connection, after=timedelta(seconds=-1)) == 1
        left = [connection.scalar(select(func.count()).select_from(one)) for one in (JobGroup, JobGroupMember)]

    assert left == [0, 0]


def test_a_group_has_the_id_of_its_run(broker: LedgerBroker, counted: list[Any]) -> None:
    run_group(broker, 2)

    with broker.app.database.read() as connection:
        (row,) = connection.execute(select(JobGroup.id, JobGroup.size, JobGroup.done)).all()
        options = connection.scalars(select(JobRun.arguments)).first()["options"]

    assert (row.size, row.done) == (2, 0)
    assert UUID(options["group_completion_uuid"]) == row.id
