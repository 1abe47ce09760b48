"""How the statements of the hot path reach their rows: by an index, and only the rows they need."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event, select

from jobs import boot
from jobs.database.models import JobRun
from jobs.ledger.queries.pagination import newest
from jobs.ledger.queries.plan_parts import plan_parts_of
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs import claim as claiming
from jobs.ledger.runs import settle as settling
from jobs.ledger.runs import sweep
from jobs.ledger.runs.lease import renew
from jobs.settings import Settings
from jobs.states import Outcome
from tests.book import LEASE, SECOND, Book, attempt_result, new_run

MANY = 1000
COUNTS = (10, 500)
"""Runs that are claimed at once: few, and many."""
WALKS = re.compile(r"SCAN job_runs(?! USING INDEX ix_job_runs_leased)|SEARCH job_runs .* \(queue=\? AND priority=\?\)")
"""What SQLite says of a plan that reads a whole table, or all runs of a priority, due or not."""


@pytest.fixture(scope="module", params=["sqlite_template", "migrated_template"], ids=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """A ledger where most runs are of no concern to what is asked."""
    template = request.getfixturevalue(request.param)
    if request.param == "sqlite_template":
        url = f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('filled') / 'jobs.db')}"
    else:
        url = request.getfixturevalue("pg_server").create_database(template=template)
    app = boot.build(Settings(database_url=url))
    book = Book(app.database)
    later = book.now + 3600 * SECOND
    book.insert([new_run(priority=-5, run_at=later) for _ in range(MANY)])
    book.insert([new_run(priority=n % 3, queue="other") for n in range(MANY)])
    book.insert([new_run(max_attempts=1) for _ in range(MANY)])
    book.settle(*(attempt_result(held, Outcome.SUCCEEDED) for held in book.claim_due(MANY)))
    book.insert([new_run(priority=n % 3) for n in range(60)])
    _analyze(book)
    yield book
    app.close()
    if request.param == "migrated_template":
        request.getfixturevalue("pg_server").drop_database(url)


@pytest.fixture
def full(filled: Book) -> Iterator[Book]:
    """It, with no run claimed."""
    yield filled
    filled.release_unacknowledged()


def rows_read(connection: Connection, verb: Callable[[], Any]) -> int:
    """How many rows of job_runs the statements of ``verb`` read, by the database's own account.

    SQLite keeps no such account: there, all of them when its plan walks.
    """
    read = 0
    for statement, parameters in _asked(connection, verb):
        if connection.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            read += 3 * MANY * any(WALKS.match(row.detail) for row in rows)
        else:
            nodes = _explained(connection, statement, parameters)
            read += sum(_rows(node) for node in nodes if node.get("Relation Name") == "job_runs")
    return read


def _asked(connection: Connection, verb: Callable[[], Any]) -> list[tuple[str, Any]]:
    """The statements of ``verb`` about runs, with their parameters; what it did is taken back."""
    statements: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if "job_runs" in statement:
            statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    with connection.begin_nested() as savepoint:
        verb()
        savepoint.rollback()
    event.remove(connection, "before_cursor_execute", note)
    assert statements
    return statements


def _explained(connection: Connection, statement: str, parameters: Any) -> list[dict[str, Any]]:
    """The nodes of PostgreSQL's plan of a statement, which is carried out for it."""
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
    root = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return list(_nodes(root))


def _rows(node: dict[str, Any]) -> int:
    if node["Node Type"] == "ModifyTable":
        return 0
    return round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def test_a_claim_does_not_read_runs_of_a_smaller_priority_that_are_not_due(full):
    with full.crash_before_commit() as connection:
        claims: list[Any] = []

        def verb() -> None:
            claims[:] = claiming.claim_due(
                connection, "default", count=5, kinds=["Mail"], worker="w1", lease=LEASE, now=full.now
            )

        read = rows_read(connection, verb)

    assert len(claims) == 5
    assert [one.priority for one in claims] == [0] * 5
    assert read < MANY / 4


def test_the_next_due_moment_is_found_by_a_probe_a_priority(full):
    with full.crash_before_commit() as connection:
        read = rows_read(connection, lambda: claiming.next_due_at(connection, "default", now=full.now))

    assert read < MANY / 4


def test_settling_and_renewing_read_the_rows_they_are_about(full):
    claims = full.claim_due(20)
    pairs = [(one.run_id, one.token) for one in claims]
    endings = [attempt_result(one, Outcome.SUCCEEDED) for one in claims]
    with full.crash_before_commit() as connection:
        renewing = rows_read(connection, lambda: renew(connection, pairs, lease=LEASE, now=full.now))
        ending_ = rows_read(
            connection,
            lambda: settling.settle(connection, endings, worker="w1", poison_after=3, monotonic=0.0, now=full.now),
        )

    assert renewing < MANY / 4
    assert ending_ < MANY / 4


@pytest.mark.parametrize("few", [False, True])
def test_a_renewal_checks_each_row_by_itself(full, few):
    if full.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer: no row changes between a look and a lock")
    pairs = [(one.run_id, one.token) for one in full.claim_due(2 if few else 40)]
    ours: set[Any] = set()
    with full.crash_before_commit() as connection:
        asked = _asked(connection, lambda: ours.update(renew(connection, pairs, lease=LEASE, now=full.now)))
        nodes = [node for one in asked for node in _explained(connection, *one)]

    assert ours == {token for _, token in pairs}
    locking = [node for node in nodes if node["Node Type"] == "LockRows"]
    assert len(locking) == 1
    # Else the join is made again for each row that is settled between the look and the lock.
    assert not [node for node in _nodes(locking[0]) if "Join" in node["Node Type"] or "Loop" in node["Node Type"]]


@pytest.mark.parametrize("duty", ["rescue", "end_orphans", "expire"])
def test_a_sweep_that_finds_nothing_reads_next_to_nothing(full, duty):
    full.claim_due(20)
    with full.crash_before_commit() as connection:
        verb = {
            "rescue": lambda: sweep.rescue(connection, poison_after=3, now=full.now),
            "end_orphans": lambda: sweep.end_dead_attempts(
                connection, "dead", performing=[], ended=[], why="", poison_after=3, now=full.now
            ),
            "expire": lambda: sweep.expire(connection, now=full.now),
        }[duty]
        read = rows_read(connection, verb)

    assert read < MANY / 20


@pytest.mark.parametrize("few", [0, 300])
def test_a_claim_keeps_to_its_index_where_the_planners_figures_are_of_a_nearly_empty_queue(book, few):
    book.insert([new_run(max_attempts=1) for _ in range(2 * MANY)])
    while claims := book.claim_due(MANY):
        book.settle(*(attempt_result(held, Outcome.SUCCEEDED) for held in claims))
    book.insert([new_run() for _ in range(few)])
    _analyze(book)
    book.insert([new_run() for _ in range(5 * MANY)])

    for count in COUNTS:
        assert _read_to_claim(book, count) < 3 * count + MANY / 4


def test_a_claim_keeps_to_its_index_where_the_planners_figures_are_of_a_great_backlog(book):
    book.insert([new_run(kind=f"Kind{n % 3}" if n % 2 else "Mail") for n in range(8 * MANY)])
    _analyze(book)

    for count in COUNTS:
        assert _read_to_claim(book, count) < 6 * count + MANY / 4


def test_the_plan_that_a_worker_keeps_from_an_empty_ledger_is_right_for_a_great_backlog(app, book):
    if not book.is_postgresql:
        pytest.skip("SQLite plans each statement when it is compiled")
    places = {"default": (0, book.now, UUID(int=0))}
    given = {"kinds": ["Mail"], "worker": "w1", "lease": LEASE}
    cases = [{**given, "count": count, "places": some} for count in COUNTS for some in ({}, places)]
    with ExitStack() as stack:
        workers = []
        for case in cases:
            own = stack.enter_context(closing(app.database.own_connection()))
            workers.append(stack.enter_context(own.opened()))
            assert claiming.claim_due_direct(workers[-1], ["none", "default"], **case) == []
        book.insert([new_run(kind=f"Kind{n % 3}" if n % 2 else "Mail", priority=n % 5) for n in range(8 * MANY)])
        book.insert([new_run(priority=-1, delay_seconds=3600) for _ in range(MANY)])
        for direct, case in zip(workers, cases, strict=True):
            _check_kept_plan(direct, book, case)


def _check_kept_plan(direct: Any, book: Book, case: dict[str, Any]) -> None:
    count = case["count"]
    ((name,),) = direct.run("select name from pg_prepared_statements where statement like 'WITH%%UPDATE%%'", {})
    values = {
        "served_queue": "'{none,default}'", "count": str(count), "known_kind": "'{Mail}'", "by_worker": "'w1'",
        "lease_seconds": "30", "now": "null", "served_from_priority": "'{-32768,0}'",
        "served_from_at": f"'{{{book.now.date()},{book.now.isoformat()}}}'",
        "served_from_id": f"'{{{UUID(int=0)},{UUID(int=0)}}}'",
    }  # fmt: skip
    statement = claiming._CLAIM_FROM_PLACES if case["places"] else claiming._CLAIM_QUEUES
    rendered = statement.rendered(direct.dialect, direct.schema).text
    places = ", ".join(values[one] for one in dict.fromkeys(re.findall(r"%\((\w+)\)s", rendered)))
    ((plan,),) = direct.run(f'explain (analyze, format json) execute "{name}"({places})', {})
    assert len(claiming.claim_due_direct(direct, ["none", "default"], **case)) == count

    nodes = list(_nodes(plan[0]["Plan"]))
    ours = [node for node in nodes if node.get("Relation Name") == "job_runs"]
    assert not [node for node in nodes if node["Node Type"] == "Sort"]
    assert {node["Index Name"] for node in ours if "Index" in node["Node Type"]} == {"ix_job_runs_ready", "pk_job_runs"}
    assert all("Index" in node["Node Type"] or node["Node Type"] == "ModifyTable" for node in ours)
    assert sum(map(_rows, ours)) < 6 * count + MANY / 4


def _analyze(book: Book) -> None:
    with book.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if book.database.dialect == "postgresql" else "ANALYZE")


def _read_to_claim(book: Book, count: int) -> int:
    """How many rows are read to claim so many."""
    claims: list[Any] = []
    with book.crash_before_commit() as connection:

        def verb() -> None:
            claims[:] = claiming.claim_due(
                connection, "default", count=count, kinds=["Mail"], worker="w1", lease=LEASE, now=book.now
            )

        read = rows_read(connection, verb)
    assert len(claims) == count
    return read


def test_a_list_reads_no_more_of_a_backlog_than_a_page_of_each_name(full):
    with full.crash_before_commit() as connection:
        if connection.dialect.name == "postgresql":
            read = rows_read(connection, lambda: newest(connection, Selector(), limit=10))
            assert read < 100
        else:
            # Of the parts of the union: the union itself is sorted, and as short as its parts are.
            part = plan_parts_of(connection, Selector(states=("queued",)))[0]
            query = select(JobRun.id).where(*part).order_by(JobRun.state_at.desc(), JobRun.id.desc()).limit(10)
            plan = _plan(connection, query)
            assert any("ix_job_runs_waiting" in row for row in plan)
            assert not any("TEMP B-TREE" in row for row in plan)


def _plan(connection: Connection, query: Any) -> list[str]:
    text = query.compile(connection, compile_kwargs={"literal_binds": True})
    return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
