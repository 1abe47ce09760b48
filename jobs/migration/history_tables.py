"""The tables of history on PostgreSQL: made when history is enabled, and kept like the hot tables by migrations.

Each hot table whose rows move has a twin. A twin is partitioned twice: by the rule that says how long its rows are
kept, and within a rule by the time when their runs ended. A view of both is what lists and pages read.

::

    job_runs  ──moves──▶  job_history ─┬─ job_history_succeeded ─┬─ job_history_succeeded_20261101
        └──── job_runs_all (view) ┘    └─ job_history_dead       └─ …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Index, MetaData, Table, text
from sqlalchemy.schema import DDL, CreateIndex
from sqlalchemy.sql import quoted_name

from jobs.database.models import JobAttempt, JobAttemptLog, JobRun, JobStep

KEEP = "keep"
"""The column with the rule of retention, by which a twin is partitioned first."""
VIEW = "_all"
"""Suffix of the view of a hot table and its twin."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A table of history.

    Attributes:
        hot: the table whose rows move here.
        run_id: the column there with the id of the run.
        moment: the column here with the time when the run ended.
        indexes: the indexes of the hot table that are of use here.
    """

    name: str
    hot: str
    run_id: str
    moment: str
    indexes: tuple[str, ...]

    @property
    def view(self) -> str:
        return f"{self.hot}{VIEW}"


TWINS = (
    Twin("job_steps_history", "job_steps", "run_id", "ended_at", ()),
    Twin("job_attempt_logs_history", "job_attempt_logs", "run_id", "ended_at", ()),
    Twin("job_attempts_history", "job_attempts", "run_id", "ended_at", ("ix_job_attempts_finished",)),
    Twin(
        "job_history",
        "job_runs",
        "id",
        "state_at",
        (
            "ix_job_runs_ended_at", "ix_job_runs_ended", "ix_job_runs_fingerprint", "ix_job_runs_key",
            "ix_job_runs_parent", "ix_job_runs_replayed_from", "ix_job_runs_schedule_success", "ix_job_runs_tail",
        ),
    ),
)  # fmt: skip
"""In the order in which rows move and partitions are dropped: what belongs to a run goes first."""
RUNS = TWINS[-1]
_MODELS: Mapping[str, Table] = {
    model.__tablename__: model.__table__ for model in (JobRun, JobAttempt, JobAttemptLog, JobStep)
}
_MAKE = (
    "CREATE TABLE IF NOT EXISTS %(twin)s (LIKE %(hot)s INCLUDING DEFAULTS%(moment)s, keep varchar(40) NOT NULL"
    "%(check)s) PARTITION BY LIST (keep)"
)
_FINAL = ", CONSTRAINT ck_job_history_ended CHECK (state in ('cancelled', 'dead', 'succeeded') and deleted_at is null)"
_OF_RUN = "CREATE INDEX IF NOT EXISTS %(index)s ON %(twin)s (%(run_id)s)"
_VIEW = "CREATE OR REPLACE VIEW %(view)s AS SELECT %(columns)s FROM %(hot)s UNION ALL SELECT %(columns)s FROM %(twin)s"
_COLUMNS = text(
    "select attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)"
    " from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum"
    " where attrelid = to_regclass(:name) and attnum > 0 and not attisdropped order by attnum"
)
_GRANTS = text(
    "select rolname, privilege_type from pg_class, aclexplode(relacl) as granted"
    " left join pg_roles on pg_roles.oid = granted.grantee"
    " where pg_class.oid = to_regclass(:name) and granted.grantee <> relowner"
    " and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')"
)
_EXISTS = text("select to_regclass(:name) is not null")


def names(schema: str | None, connection: Connection) -> Mapping[str, str]:
    """Each name of a hot table, a twin and a view, as a statement spells it."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    prefix = "" if schema is None else f"{quote(schema)}."
    every = [one for twin in TWINS for one in (twin.hot, twin.name, twin.view)]
    return {one: f"{prefix}{one}" for one in every}


def are_there(connection: Connection, schema: str | None) -> bool:
    """Whether history was enabled once on this PostgreSQL ledger."""
    return bool(connection.scalar(_EXISTS, {"name": names(schema, connection)[RUNS.name]}))


def make(connection: Connection, schema: str | None) -> None:
    """Make the twins, their indexes and the views, or what of them is missing; in the caller's transaction."""
    spelt = names(schema, connection)
    for twin in TWINS:
        given = {
            "twin": spelt[twin.name],
            "hot": spelt[twin.hot],
            "moment": "" if twin is RUNS else ", ended_at timestamptz NOT NULL",
            "check": _FINAL if twin is RUNS else "",
        }
        connection.execute(DDL(_MAKE, context=given))  # type: ignore[no-untyped-call]
        of_run = {"index": f"ix_{twin.name}_run", "twin": spelt[twin.name], "run_id": twin.run_id}
        connection.execute(DDL(_OF_RUN, context=of_run))  # type: ignore[no-untyped-call]
        for index in _indexes(twin, schema):
            connection.execute(CreateIndex(index, if_not_exists=True))
    align(connection, schema)


def align(connection: Connection, schema: str | None) -> None:
    """Give the twins the columns that migrations have added to the hot tables, and make the views anew.

    A new column is added without reading a row. The views name every column, in the order of the hot table.
    """
    spelt = names(schema, connection)
    for twin in TWINS:
        hot = connection.execute(_COLUMNS, {"name": spelt[twin.hot]}).all()
        here = {row[0] for row in connection.execute(_COLUMNS, {"name": spelt[twin.name]})}
        for name, kind, is_needed, default in hot:
            if name not in here:
                rest = f"{f' DEFAULT {default}' if default else ''}{' NOT NULL' if is_needed else ''}"
                given = {"twin": spelt[twin.name], "column": f'"{name}" {kind}{rest}'}
                connection.execute(DDL("ALTER TABLE %(twin)s ADD COLUMN %(column)s", context=given))  # type: ignore[no-untyped-call]
        given = {
            "view": spelt[twin.view],
            "hot": spelt[twin.hot],
            "twin": spelt[twin.name],
            "columns": ", ".join(f'"{row[0]}"' for row in hot),
        }
        connection.execute(DDL(_VIEW, context=given))  # type: ignore[no-untyped-call]
        _grant(connection, twin, spelt)


def _grant(connection: Connection, twin: Twin, spelt: Mapping[str, str]) -> None:
    """Give the roles that may use the hot table the same rights here, so that none loses its reads."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    for role, right in connection.execute(_GRANTS, {"name": spelt[twin.hot]}).all():
        to = "PUBLIC" if role is None else quote(role)
        for where in (twin.name, twin.view) if right == "SELECT" else (twin.name,):
            given = {"right": right, "table": spelt[where], "role": to}
            connection.execute(DDL("GRANT %(right)s ON %(table)s TO %(role)s", context=given))  # type: ignore[no-untyped-call]


def drop_views(connection: Connection, schema: str | None) -> None:
    """Drop the views, because a migration down cannot drop a column that a view has. ``align`` makes them again."""
    for twin in TWINS:
        given = {"view": names(schema, connection)[twin.view]}
        connection.execute(DDL("DROP VIEW IF EXISTS %(view)s", context=given))  # type: ignore[no-untyped-call]


def _indexes(twin: Twin, schema: str | None) -> list[Index]:
    copied = _MODELS[twin.hot].to_metadata(MetaData(schema=schema), name=twin.name)
    chosen = [one for one in copied.indexes if str(one.name) in twin.indexes]
    for one in chosen:
        one.name = quoted_name(str(one.name).replace(twin.hot, twin.name), None)
    return sorted(chosen, key=lambda one: str(one.name))
