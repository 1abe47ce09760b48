"""Connects to PostgreSQL with the options of the URL and our own.

Every connection gets what we need (UTC, ISO dates, READ COMMITTED, the time limits of the settings), whatever the
server, the role, the URL or PGOPTIONS say. All other options of the URL and the environment stay.
"""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg import IsolationLevel
from psycopg.pq import Conninfo

from jobs.database.postgres.connection import LimitedConnection
from jobs.settings import Settings

SILENCE_SECONDS = 2.0
"""How long after the time limit of a statement its connection is given up; at most a fifth of a short limit.

A server that is alive has ended the statement by then.
"""

_TUNED = (
    # A plan for an empty ledger would otherwise be reused for a full one. Hot pages are in memory, so random reads are
    # cheap.
    "-c plan_cache_mode=force_custom_plan -c random_page_cost=1.1"
    # Compiling a plan takes longer than any of ours, but claims in a large backlog look expensive enough for it.
    " -c jit=off"
    # So the server notices a vanished process of ours; otherwise it keeps its transactions and locks for hours.
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
"""Options that come before those of the URL, which may override them."""
_NEEDED = r"-c timezone=UTC -c datestyle=ISO,\ MDY -c default_transaction_isolation=read\ committed"
"""Options that come last: moments travel in UTC and ISO, and each statement sees what was committed when it began."""

_SET_UP = (
    "select set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO, MDY', false),"
    " current_setting('default_transaction_isolation')"
)
_READ_COMMITTED = "read committed"


def chaos_name(target: str, schema: str | None) -> str:
    """The application name of the connections of processes that were started for chaos on ``target``.

    No other process has it, whatever ledgers share the server. At most 63 characters, where PostgreSQL cuts.
    """
    whose = "" if schema is None else f" {hashlib.sha256(schema.encode()).hexdigest()[:6]}"
    return f"jobledger chaos {target}{whose}"


def connect(settings: Settings, *arguments: Any, **theirs: Any) -> LimitedConnection:
    """A connection that is given up when the server is silent for longer than a statement may take.

    Args:
        theirs: the options of the URL, as the driver's arguments.
    """
    connection = LimitedConnection.connect(*arguments, **_merged(settings, theirs))
    limit = settings.statement_timeout.total_seconds()
    if limit:  # 0 means no limit, as for the server
        connection.silence_seconds = limit + min(SILENCE_SECONDS, limit / 5)
    # Each BEGIN states it, at no cost, because poolers drop the options of a connection.
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    if settings.pgbouncer or not _is_as_needed(connection):
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _merged(settings: Settings, theirs: dict[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {
        # PGAPPNAME and the URL's application_name win.
        "fallback_application_name": "jobledger",
        # Detects a vanished server within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    merged = {**ours, **theirs}
    if settings.chaos is not None:
        merged["application_name"] = chaos_name(settings.chaos, settings.database_schema)
    # Overrides the environment, the role, and a database without an encoding of its own.
    merged["client_encoding"] = "UTF8"
    merged["connect_timeout"] = _connect_timeout(settings, theirs.get("connect_timeout"))
    if settings.pgbouncer:
        # The next transaction may be on another server connection, so nothing can be stored on this one.
        merged["prepare_threshold"] = None
        return merged
    limits = {"statement_timeout": settings.statement_timeout, "lock_timeout": settings.lock_timeout}
    limited = " ".join(f"-c {name}={int(span.total_seconds() * 1000)}" for name, span in limits.items())
    merged["options"] = " ".join([_TUNED, *_options(theirs), limited, _NEEDED])
    return merged


def _connect_timeout(settings: Settings, theirs: Any) -> int:
    """The shorter of the two, in whole seconds; libpq refuses a value that is not a number."""
    ours = max(1, round(settings.connect_timeout.total_seconds()))
    try:
        said = int(theirs)
    except (TypeError, ValueError):
        return ours
    return min(ours, said) if said > 0 else ours


def _options(theirs: dict[str, Any]) -> list[str]:
    """The ``options`` of the URL, or else of the environment: libpq uses one or the other, and so do we."""
    said = theirs.get("options")
    if said is None:
        defaults = {one.keyword: one.val for one in Conninfo.get_defaults()}
        said = (defaults.get(b"options") or b"").decode(errors="surrogateescape")
    return [one for one in (said if isinstance(said, (list, tuple)) else [said]) if one]


def _is_as_needed(connection: LimitedConnection) -> bool:
    """Whether the server took our options, by the values it reported on connecting; sends no query."""
    said = connection.pgconn.parameter_status
    return said(b"TimeZone") == b"UTC" and (said(b"DateStyle") or b"").startswith(b"ISO")


def _set_up(connection: LimitedConnection) -> None:
    """Set the options that a pooler tracks for each client, and find out how its transactions begin."""
    connection.autocommit = True
    row = connection.execute(_SET_UP, prepare=False).fetchone()
    connection.autocommit = False
    connection.needs_blocks = row is not None and row[-1] != _READ_COMMITTED
