"""Writes an incident bundle: the matching runs with what explains them, redacted, in a ledger of their own, zipped."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.database.sql import Executor
from jobs.definition import registry
from jobs.definition.published import published_kinds
from jobs.errors import Conflict, NotFound, SelectorRefused
from jobs.formats.installed import installed_version
from jobs.ledger.bundles import rows
from jobs.ledger.operators import audit
from jobs.ledger.published_kinds import find_published
from jobs.ledger.queries.pagination import places
from jobs.ledger.queries.selectors import Selector
from jobs.migration import schema
from jobs.operations.audit.entry import check_reason
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bundles.manifest import FORMAT, LEDGER, MANIFEST, Manifest, comment_of, member_of
from jobs.operations.bundles.redact import RowRedaction
from jobs.operations.runs.inspect import check_words
from jobs.operations.runs.selector import describe
from jobs.runtime.context import correlation_id
from jobs.settings import Settings, show
from jobs.storage.copying import Copies

PAGE = 100
"""Runs that are read and written at once: what is in memory. Source: decision."""
MAX_RUNS = 10_000
MAX_STORED = 64 * 2**20
"""Bytes of stored values in a bundle. Source: decision; a bundle goes by mail."""
RELATED = 1_000
"""Most runs that go with those that were asked for. Source: decision."""


@dataclass(slots=True)
class _Seen:
    """What the copied rows name, to copy it too."""

    actions: set[UUID] = field(default_factory=set)
    batches: set[UUID] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    schedules: set[str] = field(default_factory=set)
    workers: set[str] = field(default_factory=set)

    def add(self, table: str, row: rows.Row) -> None:
        if table == "job_runs":
            self.kinds.add(row["kind"])
            self.batches |= {one for one in [row["batch_id"]] if one is not None}
            self.schedules |= {one for one in [row["schedule"]] if one is not None}
            self.digests |= {(row["held_on"] or "").partition("#")[2]} - {""}
        self.workers |= {str(one) for one in [row.get("worker")] if one}
        self.digests |= {str(one) for one in [row.get("digest")] if one}
        if table == "operator_action_runs":
            self.actions.add(row["action_id"])


def make_bundle(
    app: App,
    operator: Operator,
    selector: Selector,
    path: Path,
    *,
    limit: int,
    is_full: bool = False,
    reason: str | None = None,
    replaces: bool = False,
    max_stored: int = MAX_STORED,
) -> Manifest:
    """Write the latest matching runs, at most ``limit``, and what explains them to the file ``path``.

    All is read in one snapshot. Secrets are hidden by what the kinds declare, as this process or the last worker knows
    them; every value of a kind that neither knows is hidden. ``is_full`` hides nothing, and leaves an audit entry; then
    the contents of stored values go with the runs, those of the latest runs first, at most ``max_stored`` bytes.

    Raises:
        Forbidden: the operator may not read runs, or ``is_full`` and not their arguments.
        SelectorRefused: the selector is empty, or ``is_full`` without a reason that the settings require.
        NotFound: no run matches.
        Conflict: there is a file at ``path`` already, and ``replaces`` is not set.
    """
    operator.need(Permission.RUNS_READ)
    if is_full:
        operator.need(Permission.ARGUMENTS_READ)
        check_reason(app, reason)
    check_words(selector, operator)
    if selector.is_empty and not selector.is_all:
        raise SelectorRefused("No run is selected.", hint="Name runs, or give --where, --fingerprint or --all.")
    if path.exists() and not replaces:
        raise Conflict(f"There is a file {path} already.", hint="Give another name, or --force.")
    with tempfile.TemporaryDirectory(prefix="jobledger-bundle-") as folder:
        ledger = Path(folder) / LEDGER
        manifest = _fill(
            app, operator, selector, ledger, limit=min(limit, MAX_RUNS), copies=Copies(max_stored) if is_full else None
        )
        if is_full:
            _record(app, operator, selector, manifest, reason)
        _zip(ledger, manifest, path)
    return manifest


def _fill(
    app: App, operator: Operator, selector: Selector, ledger: Path, *, limit: int, copies: Copies | None
) -> Manifest:
    is_full = copies is not None
    target = Database(f"sqlite:///{ledger}", Settings.of(database_url=f"sqlite:///{ledger}"))
    try:
        schema.upgrade(target, say=lambda line: None)
        with target.write() as connection:
            rows.drop_views(connection)
        with app.database.snapshot() as source:
            walk = places(source, selector, newest_first=True, page=PAGE)
            chosen = [run_id for _, run_id in islice(walk, limit + 1)]
            if not chosen:
                raise NotFound("No run matches.", hint="jobledger list with the same options shows those that do.")
            run_ids = chosen[:limit]
            related = _related(source, run_ids)
            redaction = None if is_full else _redaction(source, operator)
            _copy(source, target, [*run_ids, *related], redaction)
            if copies is not None:
                copies.add(app, source, target, [*run_ids, *related])
        with target.read() as connection:
            tables = rows.count_rows(connection)
    finally:
        # The last connection moves the write-ahead log into the file.
        target.close()
    return Manifest(
        format=FORMAT,
        made_at=app.clock.now(),
        made_by=operator.name,
        jobledger=installed_version(),
        python=platform.python_version(),
        revision=schema.REVISION,
        dialect=app.database.dialect,
        arguments="full" if is_full else "redacted" if operator.may(Permission.ARGUMENTS_READ) else "hidden",
        selector=describe(selector) if is_full else _names_of(selector),
        runs=len(run_ids),
        related=len(related),
        is_cut=len(chosen) > limit,
        settings={name: show(name, getattr(app.settings, name)) for name in Settings.model_fields},
        tables=tables,
        stored={}
        if copies is None
        else {
            "values": copies.copied,
            "bytes": copies.bytes,
            "left_out": copies.left_out,
        },
        members={LEDGER: member_of(ledger)},
    )


def _names_of(selector: Selector) -> dict[str, Any]:
    """The selector without the values that are data: arguments, keys, tags and parts of messages."""
    said = describe(selector)
    return {name: value for name, value in said.items() if name not in ("arguments", "errors", "keys", "tags")}


def _related(source: Executor, run_ids: Sequence[UUID]) -> list[UUID]:
    found: dict[UUID, None] = {}
    for start in range(0, len(run_ids), rows.PAGE):
        part = run_ids[start : start + rows.PAGE]
        found |= dict.fromkeys(rows.related_ids(source, part, limit=RELATED - len(found)))
        if len(found) >= RELATED:
            break
    known = set(run_ids)
    return [one for one in found if one not in known]


def _redaction(source: Executor, operator: Operator) -> RowRedaction:
    """By what the last worker published of each kind, and what this process knows of it."""
    here = {one.kind: json.loads(one.schema) if one.schema else None for one in published_kinds(0)}
    there = {kind: json.loads(one.schema) if one.schema else None for kind, one in find_published(source, None).items()}
    known = {kind: told for kind, told in {**there, **here}.items() if told is not None}
    aliases = {
        alias: known[kind] for kind in registry.kinds() for alias in registry.get(kind).options.aliases if kind in known
    }
    return RowRedaction({**aliases, **known}, hides_all=not operator.may(Permission.ARGUMENTS_READ))


def _copy(source: Executor, target: Database, run_ids: Sequence[UUID], redaction: RowRedaction | None) -> None:
    seen = _Seen()

    def clean(model: rows.Model, found: Sequence[rows.Row]) -> list[rows.Row]:
        table = model.__tablename__
        for row in found:
            seen.add(table, row)
        return [redaction.clean(table, row) if redaction is not None else row for row in found]

    for start in range(0, len(run_ids), PAGE):
        page = run_ids[start : start + PAGE]
        with target.write() as connection:
            rows.write_rows(connection, JobRun, clean(JobRun, rows.run_rows(source, page)))
            for model, column in rows.OF_RUN:
                every = rows.rows_of_runs(source, model, column, page)
                while some := list(islice(every, rows.PAGE)):
                    rows.write_rows(connection, model, clean(model, some))
        if redaction is not None:
            redaction.forget_runs()
    shared = rows.shared_rows(
        source, actions=seen.actions, batches=seen.batches, kinds=seen.kinds, digests=seen.digests,
        schedules=seen.schedules, workers=seen.workers,
    )  # fmt: skip
    with target.write() as connection:
        for model, row in shared:
            rows.write_rows(connection, model, clean(model, [row]))


def _record(app: App, operator: Operator, selector: Selector, manifest: Manifest, reason: str | None) -> None:
    action = new_run_id()
    with app.database.write() as connection:
        audit.begin(
            connection, action, verb="bundle", actor=operator.name, target="runs", selector=describe(selector),
            options={"arguments": manifest.arguments, "related": manifest.related}, reason=reason,
            expected=manifest.runs, request_id=correlation_id.get(),
        )  # fmt: skip
        audit.finish(connection, action, "finished", done=manifest.runs)


def _zip(ledger: Path, manifest: Manifest, path: Path) -> None:
    """Write the file beside its place, for its owner alone, and move it there when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()
    content = manifest.model_dump_json(indent=2).encode()
    try:
        with (
            os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle,
        ):
            bundle.writestr(MANIFEST, content)
            bundle.write(ledger, LEDGER)
            bundle.comment = comment_of(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
