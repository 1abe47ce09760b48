"""How a connection to PostgreSQL is made: the URL's own options and ours together, and the session as we need it.

What we need (UTC, ISO dates, READ COMMITTED, the time limits of the settings) holds on every connection, whatever
the server, the role, the URL or PGOPTIONS say. Everything else that the URL or the environment says stays.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import Conninfo

from jobs.database.postgres.connection import LimitedConnection
from jobs.settings import Settings

SILENCE_SECONDS = 2.0
"""How long after the time limit of a statement its connection is given up, or a fifth of a short limit: a server that
is there has ended it."""

_TUNED = (
    # A plan made for an empty ledger would be kept for a full one; and its hot pages are in memory.
    "-c plan_cache_mode=force_custom_plan -c random_page_cost=1.1"
    # To compile a plan takes longer than any of ours, and claims beside a great backlog look dear enough for it.
    " -c jit=off"
    # A process of ours that vanished is noticed by the server, which else keeps its transactions and locks for hours.
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
"""Said before what the URL says, which may say otherwise."""
_NEEDED = r"-c timezone=UTC -c datestyle=ISO,\ MDY -c default_transaction_isolation=read\ committed"
"""Said last: moments travel in UTC and ISO, and each of our statements decides on what is committed when it begins."""

_SET_UP = (
    "select set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO, MDY', false),"
    " current_setting('default_transaction_isolation')"
)
_READ_COMMITTED = "read committed"


def connect(settings: Settings, *arguments: Any, **theirs: Any) -> LimitedConnection:
    """A connection that is given up when the server says nothing for longer than a statement may take.

    Args:
        theirs: what the URL says, as the driver's arguments.
    """
    connection = LimitedConnection.connect(*arguments, **_merged(settings, theirs))
    limit = settings.statement_timeout.total_seconds()
    if limit:  # 0 is none, as the server reads it
        connection.silence_seconds = limit + min(SILENCE_SECONDS, limit / 5)
    # Each BEGIN says it, at no cost: poolers drop the options of a connection.
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
        # A server that vanished without a word is noticed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    merged = {**ours, **theirs}
    # Whatever the environment, the role or a database without an encoding of its own would have it be.
    merged["client_encoding"] = "UTF8"
    merged["connect_timeout"] = _connect_timeout(settings, theirs.get("connect_timeout"))
    if settings.pgbouncer:
        # A transaction may be on another server connection than the one before: nothing can be left there.
        merged["prepare_threshold"] = None
        return merged
    limits = {"statement_timeout": settings.statement_timeout, "lock_timeout": settings.lock_timeout}
    limited = " ".join(f"-c {name}={int(span.total_seconds() * 1000)}" for name, span in limits.items())
    merged["options"] = " ".join([_TUNED, *_options(theirs), limited, _NEEDED])
    return merged


def _connect_timeout(settings: Settings, theirs: Any) -> int:
    """The shorter of the two, in whole seconds; what is no number is left to libpq to refuse."""
    ours = max(1, round(settings.connect_timeout.total_seconds()))
    try:
        said = int(theirs)
    except (TypeError, ValueError):
        return ours
    return min(ours, said) if said > 0 else ours


def _options(theirs: dict[str, Any]) -> list[str]:
    """The ``options`` of the URL, or else of the environment: libpq takes one or the other, and so do we."""
    said = theirs.get("options")
    if said is None:
        defaults = {one.keyword: one.val for one in Conninfo.get_defaults()}
        said = (defaults.get(b"options") or b"").decode(errors="surrogateescape")
    return [one for one in (said if isinstance(said, (list, tuple)) else [said]) if one]


def _is_as_needed(connection: LimitedConnection) -> bool:
    """Whether the server took our options, by what it reported as the connection was made; no question is asked."""
    said = connection.pgconn.parameter_status
    return said(b"TimeZone") == b"UTC" and (said(b"DateStyle") or b"").startswith(b"ISO")


def _set_up(connection: LimitedConnection) -> None:
    """Set what a pooler keeps for each of its clients (it tracks both), and find out how its transactions begin."""
    connection.autocommit = True
    row = connection.execute(_SET_UP, prepare=False).fetchone()
    connection.autocommit = False
    connection.needs_blocks = row is not None and row[-1] != _READ_COMMITTED


def is_worthless(error: BaseException | None) -> bool:
    """Whether an error says that its connection leads to a server that cannot serve us any more.

    The server is read only (a fail-over may leave the socket open), shuts down or has lost the connection.
    """
    state = getattr(error, "sqlstate", None) or "" if isinstance(error, psycopg.Error) else ""
    return state in ("25006", "57P01", "57P02", "57P03", "57P05") or state.startswith("08")
