"""Checks a PostgreSQL server: its version, encoding, number of connections, and the rights of our role."""

from __future__ import annotations

import hashlib
import logging

from sqlalchemy import Connection, text

from jobs.database.models import Base
from jobs.database.postgres.driver import OWN_CONNECTIONS, Executor, most_connections
from jobs.errors import ConfigurationError, ServiceDown
from jobs.settings import Settings

log = logging.getLogger("jobs.database")

OLDEST = 130000
"""PostgreSQL 13 or newer: gen_random_uuid() is built in from there on."""
RIGHTS = ["SELECT", "INSERT", "UPDATE", "DELETE"]
Server = tuple[int, int]
"""When the server started, in microseconds, and the number of the database."""


def identity(executor: Executor) -> Server:
    """Identifies the server and the database: no two servers started in the same microsecond."""
    # Numbers, because an application's connection may read moments in its own way.
    started, database = executor.execute(
        text(
            "select (extract(epoch from pg_postmaster_start_time()) * 1000000)::int8,"
            " (select oid::int8 from pg_database where datname = current_database())"
        )
    ).one()
    return started, database


def ledger_identity(connection: Connection, *, schema: str | None) -> str:
    """Identifies the ledger: the numbers of its server, database and table, as twelve hexadecimal digits.

    A standby has the same numbers. A restored dump has others; a server copied file by file has the same.
    """
    may_ask = connection.scalar(text("select has_function_privilege('pg_control_system()', 'execute')"))
    system = connection.scalar(text("select system_identifier::text from pg_control_system()")) if may_ask else ""
    database, found = connection.execute(
        text(
            "select (select oid::int8 from pg_database where datname = current_database()),"
            " coalesce(to_regclass(coalesce(quote_ident(cast(:schema as text)) || '.', '') || 'job_runs')::int8, -1)"
        ),
        {"schema": schema},
    ).one()
    return hashlib.sha256(f"{system} {database} {found}".encode()).hexdigest()[:12]


def is_read_only(connection: Connection) -> bool:
    """Whether transactions here may not write: a standby, or a server that is configured so."""
    said: str = connection.execute(text("select current_setting('transaction_read_only')")).scalar_one()
    return said == "on"


def check_server(connection: Connection, *, shown: str) -> None:
    """Refuse a server that cannot hold a ledger.

    Raises:
        ConfigurationError: it is too old, or its encoding cannot hold every text.
    """
    number, version, encoding = connection.execute(
        text(
            "select current_setting('server_version_num')::int, current_setting('server_version'),"
            " pg_encoding_to_char(encoding) from pg_database where datname = current_database()"
        )
    ).one()
    if number < OLDEST:
        raise ConfigurationError(f"PostgreSQL {version} at {shown} is too old.", hint="Use 13 or newer.")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"The database at {shown} is encoded as {encoding}, but a ledger must hold any text.",
            hint="Create it with ENCODING 'UTF8'.",
        )


def check_connections(connection: Connection, settings: Settings) -> None:
    """Compare the connections that the worker may open with those of the server; warn, or refuse what cannot work.

    Raises:
        ConfigurationError: there are too few even for the processes' own threads.
    """
    served = connection.execute(
        text(
            "select sum(setting::int * case name when 'max_connections' then 1 else -1 end) from pg_settings"
            " where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
        )
    ).scalar_one()
    least, most = settings.processes * OWN_CONNECTIONS, settings.processes * most_connections(settings)
    if least > served:
        raise ConfigurationError(
            f"{settings.processes} processes need {least} connections or more, but the server has {served}.",
            hint="Lower JOBS_PROCESSES, raise max_connections, or put pgbouncer between (JOBS_PGBOUNCER=1).",
        )
    facts = {"most": most, "served": served}
    if most > served:
        log.warning("Worker may open more connections than the server has", extra=facts)
    else:
        log.info("Connection limits of worker and server", extra=facts)


def check_rights(connection: Connection, *, schema: str | None) -> None:
    """Refuse a role that may read our tables but not write them: it would fail at its first claim.

    Raises:
        ServiceDown: the message has the statement that grants the missing rights.
    """
    role, place, missing = connection.execute(
        text(
            "select current_user::text, coalesce(:schema, current_schema()), array_agg(name) filter (where exists"
            " (select from unnest(cast(:rights as text[])) as rights(one) where not has_table_privilege(found, one)))"
            " from unnest(cast(:names as text[])) as names(name), lateral (select to_regclass("
            " case when cast(:schema as text) is null then quote_ident(name)"
            " else quote_ident(:schema) || '.' || quote_ident(name) end) as found) as tables"
        ),
        {"names": sorted(Base.metadata.tables), "rights": RIGHTS, "schema": schema},
    ).one()
    if missing:
        raise ServiceDown(
            f"The role {role} may not write {missing[0]}" + (f" and {len(missing) - 1} more." if missing[1:] else "."),
            hint=f"GRANT {', '.join(RIGHTS)} ON ALL TABLES IN SCHEMA {place} TO {role};",
        )
