"""PostgreSQL databases that tests use one after another.

``CREATE DATABASE`` and ``DROP DATABASE`` take longer than most tests. So a database that a test returns gets the rows
of the template again, and a new name for the next test; tables that the test made are dropped. The database is dropped
if the test changed more: one of our tables, an index, a privilege, a setting or the planner's statistics.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.databases import Databases

MAX_TABLE_BYTES = 64 * 1024
"""A larger table is truncated: it would keep its pages after ``DELETE``, and the planner reads that from its size."""

END_OTHERS = """
select count(pg_terminate_backend(pid, 5000)) from pg_stat_get_activity(null)
where datid = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()
"""
"""The function beneath the view `pg_stat_activity`, which also joins databases and roles."""
CATALOG = """
select md5(string_agg(line, '|' order by line)) from (
    select concat_ws(',', 'c', oid, relname, relkind, relpersistence, relowner, relacl, reloptions, relrowsecurity)
    from pg_class where oid >= 16384 and relkind <> 't' and relname !~ '^pg_toast'
    union all select concat_ws(',', 'a', count(*), max(xmin::text::bigint)) from pg_attribute where attrelid >= 16384
    union all select concat_ws(',', 'k', count(*), max(xmin::text::bigint)) from pg_constraint where oid >= 16384
    union all select concat_ws(',', 'i', count(*), max(xmin::text::bigint)) from pg_index where indexrelid >= 16384
    union all select concat_ws(',', 't', oid, tgenabled) from pg_trigger where not tgisinternal
    union all select concat_ws(',', 'p', oid, proname) from pg_proc where oid >= 16384
    union all select concat_ws(',', 'n', oid, nspname, nspowner, nspacl) from pg_namespace where nspname !~ '^pg_'
    union all select concat_ws(',', 'y', count(*), max(xmin::text::bigint)) from pg_type where oid >= 16384
    union all select concat_ws(',', 'd', datacl, datconnlimit, datdba)
    from pg_database where datname = current_database()
    union all select 's' || setconfig::text from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
    union all select 'x' || gid from pg_prepared_xacts where database = current_database()
    union all select concat_ws(',', 'e', extname) from pg_extension
    union all select distinct concat_ws(',', 'statistics', starelid) from pg_statistic where starelid >= 16384
) as catalog(line)
"""
"""What a database is, but for its rows. The catalogs of many rows are compared by the number of their rows and the
transaction that wrote the newest of them, which says of any change that there was one."""
TABLES = """
select relname, pg_relation_size(oid) from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_relation_size(oid) > 0
"""
ALL_TABLES = "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace"


class DatabasePool:
    """The databases of one server that are copies of the one at ``template``."""

    def __init__(self, server: Databases, template: str) -> None:
        self._server, self._template = server, template
        self._free: list[str] = []
        self._admin: psycopg.Connection | None = None
        with psycopg.connect(template, autocommit=True) as connection:
            self._catalog = connection.execute(CATALOG).fetchone()
            self._ours = {name for (name,) in connection.execute(ALL_TABLES).fetchall()}
            self._filled = {name: _rows(connection, name) for name, _ in connection.execute(TABLES).fetchall()}
            self._lines = {name: _lines(connection, name) for name in self._filled}

    def take(self) -> str:
        """The URL of a database that nobody has used under this name. Its tables are as in the template."""
        if not self._free:
            return self._server.create_database(template=self._template)
        free = self._free.pop()
        used = urlsplit(free)
        name = f"jobs_test_{uuid4().hex}"
        try:
            self._rename(used.path[1:], name)
        except psycopg.errors.ObjectInUse:
            # A thread of an earlier test connected after the test had ended.
            self._server.drop_database(free)
            return self.take()
        return urlunsplit(used._replace(path=f"/{name}"))

    def _rename(self, old: str, new: str) -> None:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
        for may_try_again in (True, False):
            if self._admin is None or self._admin.closed:
                self._admin = psycopg.connect(self._server.url, autocommit=True, connect_timeout=5)
            try:
                self._admin.execute(rename)
                return
            except psycopg.OperationalError:
                # A test may have stopped the server, and with it this connection.
                if not (may_try_again and self._admin.closed):
                    raise

    def give_back(self, url: str) -> None:
        """Make its rows those of the template and keep it for the next test, or drop it."""
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
                is_clean = self._empty(connection)
        except psycopg.Error:
            is_clean = False
        if is_clean:
            self._free.append(url)
        else:
            self._server.drop_database(url)

    def close(self) -> None:
        """Drop the databases that no test has."""
        if self._admin is not None:
            self._admin.close()
        while self._free:
            self._server.drop_database(self._free.pop())

    def _empty(self, connection: psycopg.Connection) -> bool:
        connection.execute(END_OTHERS)
        # The next lines must not wait for somebody who connected meanwhile, nor run triggers.
        connection.execute("set lock_timeout = '1s'")
        connection.execute("set session_replication_role = replica")
        if not self._is_as_made(connection):
            for (name,) in connection.execute(ALL_TABLES).fetchall():
                if name not in self._ours:
                    connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(name)))
            if not self._is_as_made(connection):
                return False
        sizes = dict(connection.execute(TABLES).fetchall())
        for name, size in (dict.fromkeys(self._filled, 0) | sizes).items():
            if name in self._filled and _rows(connection, name) == self._filled[name]:
                continue
            if size > MAX_TABLE_BYTES:
                connection.execute(sql.SQL("truncate {}").format(sql.Identifier(name)))
            else:
                connection.execute(sql.SQL("delete from {}").format(sql.Identifier(name)))
            if name in self._filled:
                _put_back(connection, name, self._lines[name])
        return True

    def _is_as_made(self, connection: psycopg.Connection) -> bool:
        return connection.execute(CATALOG).fetchone() == self._catalog


def _rows(connection: psycopg.Connection, name: str) -> object:
    table = sql.Identifier(name)
    query = sql.SQL("select array_agg(row::text order by row::text) from {} as row").format(table)
    return connection.execute(query).fetchone()


def _lines(connection: psycopg.Connection, name: str) -> bytes:
    """The rows of a table as ``COPY`` writes them."""
    with connection.cursor().copy(sql.SQL("copy {} to stdout").format(sql.Identifier(name))) as copy:
        return b"".join(copy)


def _put_back(connection: psycopg.Connection, name: str, lines: bytes) -> None:
    with connection.cursor().copy(sql.SQL("copy {} from stdin").format(sql.Identifier(name))) as copy:
        copy.write(lines)
