"""Performs stored runs in the shadow: each on a private copy of what belongs to it; one audit entry for all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.engine import Database
from jobs.database.models import JobBatch, JobRun
from jobs.database.sql import Executor
from jobs.errors import JobsError, NotFound, SelectorRefused
from jobs.ledger.bundles import perform, rows
from jobs.ledger.operators import audit
from jobs.ledger.queries import find
from jobs.ledger.queries.pagination import places
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.run_records import RunRecord
from jobs.migration import schema
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.inspect import check_words
from jobs.operations.runs.selector import describe
from jobs.operations.shadow_runs.compare import ShadowReport, compare
from jobs.runtime.context import correlation_id
from jobs.settings import Settings
from jobs.storage.copying import Copies
from jobs.storage.packing import in_clear

MAX_STORED = 64 * 2**20
"""Bytes of stored values that are copied for one run. Source: decision; a run that reads more ends at that."""
NEEDED = 10_000
"""Most runs whose results one run reads. Source: decision."""
Performer = Callable[[RunRecord, Path], Mapping[str, Any]]
"""Performs a run on the ledger in this file, in a process apart, and returns what came of it."""


def shadow(
    app: App,
    operator: Operator,
    selector: Selector,
    performer: Performer,
    *,
    limit: int,
    reason: str | None = None,
) -> list[ShadowReport]:
    """Perform the latest matching runs, at most ``limit``, in the shadow; nothing of it is written but an audit entry.

    Raises:
        Forbidden: the operator may not see the arguments of runs.
        SelectorRefused: nothing is selected, or a reason is required.
        NotFound: no run matches.
    """
    operator.need(Permission.RUNS_READ)
    operator.need(Permission.ARGUMENTS_READ)
    check_words(selector, operator)
    check_reason(app, reason)
    if selector.is_empty and not selector.is_all:
        raise SelectorRefused("No run is selected.", hint="Name runs, or give --where, --state or --all.")
    with app.database.read() as connection:
        ids = [run_id for _, run_id in islice(places(connection, selector, newest_first=True), limit)]
    if not ids:
        raise NotFound("No run matches.", hint="jobledger list with the same options shows those that do.")
    action = new_run_id()
    with app.database.write() as connection:
        audit.begin(
            connection, action, verb="shadow", actor=operator.name, target="runs", selector=describe(selector),
            options={"limit": limit}, reason=reason, expected=len(ids), request_id=correlation_id.get(),
        )  # fmt: skip
    reports: list[ShadowReport] = []
    state = "interrupted"
    try:
        with tempfile.TemporaryDirectory(prefix="jobledger-shadow-") as folder:
            template = _template(Path(folder))
            for run_id in ids:
                report = _one(app, run_id, performer, template)
                if report is not None:
                    reports.append(report)
        state = "finished"
    finally:
        with app.database.write() as connection:
            audit.finish(connection, action, state, done=len(reports))
    return reports


def _one(app: App, run_id: UUID, performer: Performer, template: Path) -> ShadowReport | None:
    """Perform one run and compare it; None if the run has been deleted meanwhile."""
    ledger = template.with_name("ledger.db")
    shutil.copyfile(template, ledger)
    try:
        with app.database.snapshot() as source:
            run = find.find_run(source, run_id)
            if run is None:
                return None
            _copy(app, source, ledger, run_id)
        answer = performer(run, ledger)
        with suppress(JobsError):  # Else it differs, since its result is not at hand.
            run = in_clear(app, run)
        return compare(run, answer)
    finally:
        for path in template.parent.glob("ledger.db*"):
            path.unlink()


def _template(folder: Path) -> Path:
    """An empty ledger, migrated once for all runs."""
    path = folder / "template.db"
    database = _private(path)
    try:
        schema.upgrade(database, say=lambda line: None)
    finally:
        database.close()
    return path


def _copy(app: App, source: Executor, ledger: Path, run_id: UUID) -> None:
    database = _private(ledger)
    try:
        with database.write() as connection:
            ids = [run_id, *rows.needed_ids(source, run_id, limit=NEEDED)]
            for start in range(0, len(ids), rows.PAGE):
                rows.write_rows(connection, JobRun, rows.run_rows(source, ids[start : start + rows.PAGE]))
            rows.write_rows(connection, JobBatch, rows.batch_rows(source, run_id))
            for model, column in rows.OF_RUN:
                rows.write_rows(connection, model, list(rows.rows_of_runs(source, model, column, [run_id])))
            perform.make_performable(connection, run_id)
        Copies(MAX_STORED).add(app, source, database, ids)
    finally:
        database.close()


def _private(path: Path) -> Database:
    url = f"sqlite:///{path}"
    return Database(url, Settings.of(database_url=url))
