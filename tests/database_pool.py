"""PostgreSQL databases that tests use one after another.

``CREATE DATABASE`` and ``DROP DATABASE`` take longer than most tests. So a database that a test returns is emptied and
renamed for the next test. It is dropped if the test changed more than rows: a table, an index, a privilege, a setting,
the planner's statistics, or the size of a table.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.databases import Databases

MAX_TABLE_BYTES = 64 * 1024
"""A larger table keeps its pages after ``DELETE``, and the planner would read that from its size."""

END_OTHERS = (
    "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)
CATALOG = """
select md5(string_agg(line, '|' order by line)) from (
    select concat_ws(',', 'c', oid, relname, relkind, relpersistence, relowner, relacl, reloptions, relrowsecurity)
    from pg_class where oid >= 16384 and relkind <> 't' and relname !~ '^pg_toast'
    union all select concat_ws(',', 'a', attrelid, attnum, attname, atttypid, attnotnull, attstattarget)
    from pg_attribute where attrelid >= 16384 and attnum > 0
    union all select concat_ws(',', 'k', conrelid, conname, convalidated) from pg_constraint where oid >= 16384
    union all select concat_ws(',', 'i', indexrelid, indisvalid, indisready) from pg_index where indexrelid >= 16384
    union all select concat_ws(',', 't', oid, tgenabled) from pg_trigger where not tgisinternal
    union all select concat_ws(',', 'p', oid, proname) from pg_proc where oid >= 16384
    union all select concat_ws(',', 'n', oid, nspname, nspowner, nspacl) from pg_namespace where nspname !~ '^pg_'
    union all select concat_ws(',', 'y', oid, typname) from pg_type where oid >= 16384 and typname !~ '^_?pg_toast'
    union all select concat_ws(',', 'd', datacl, datconnlimit, datdba)
    from pg_database where datname = current_database()
    union all select 's' || setconfig::text from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
    union all select 'x' || gid from pg_prepared_xacts where database = current_database()
    union all select concat_ws(',', 'e', extname) from pg_extension
    union all select distinct concat_ws(',', 'statistics', starelid) from pg_statistic where starelid >= 16384
) as catalog(line)
"""
TABLES = """
select relname, pg_relation_size(oid) from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_relation_size(oid) > 0
"""


class DatabasePool:
    """The databases of one server that are copies of the one at ``template``."""

    def __init__(self, server: Databases, template: str) -> None:
        self._server, self._template = server, template
        self._free: list[str] = []
        with psycopg.connect(template, autocommit=True) as connection:
            self._catalog = connection.execute(CATALOG).fetchone()
            self._filled = {name: _rows(connection, name) for name, _ in connection.execute(TABLES).fetchall()}

    def take(self) -> str:
        """The URL of a database that nobody has used under this name. Its tables are as in the template."""
        if not self._free:
            return self._server.create_database(template=self._template)
        free = self._free.pop()
        used = urlsplit(free)
        name = f"jobs_test_{uuid4().hex}"
        try:
            self._server.run("ALTER DATABASE {} RENAME TO {}", used.path[1:], name)
        except psycopg.errors.ObjectInUse:
            # A thread of an earlier test connected after the test had ended.
            self._server.drop_database(free)
            return self.take()
        return urlunsplit(used._replace(path=f"/{name}"))

    def give_back(self, url: str) -> None:
        """Empty the database and keep it for the next test, or drop it."""
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
        while self._free:
            self._server.drop_database(self._free.pop())

    def _empty(self, connection: psycopg.Connection) -> bool:
        connection.execute(END_OTHERS)
        # The next lines must not wait for somebody who connected meanwhile, nor run triggers.
        connection.execute("set lock_timeout = '1s'")
        connection.execute("set session_replication_role = replica")
        if connection.execute(CATALOG).fetchone() != self._catalog:
            return False
        for name, size in connection.execute(TABLES).fetchall():
            if name in self._filled:
                if _rows(connection, name) != self._filled[name]:
                    return False
            elif size > MAX_TABLE_BYTES:
                return False
            else:
                connection.execute(sql.SQL("delete from {}").format(sql.Identifier(name)))
        return True


def _rows(connection: psycopg.Connection, name: str) -> object:
    table = sql.Identifier(name)
    query = sql.SQL("select array_agg(row::text order by row::text) from {} as row").format(table)
    return connection.execute(query).fetchone()
