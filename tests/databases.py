"""Databases of one PostgreSQL server, made and dropped for tests."""

from __future__ import annotations

from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql


class Databases:
    """Databases of one PostgreSQL server, each with its own URL."""

    url: str

    def create_database(self, *, template: str | None = None) -> str:
        """The URL of a new database: a copy of the one at ``template``, to which nobody may be connected."""
        name = f"jobs_test_{uuid4().hex}"
        source = urlsplit(template).path[1:] if template else "template0"
        self.run("CREATE DATABASE {} TEMPLATE {}", name, source)
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Remove it, and whoever is still connected to it."""
        self.run("DROP DATABASE IF EXISTS {} WITH (FORCE)", urlsplit(url).path[1:])

    def run(self, statement: LiteralString, *names: str) -> None:
        """Run a statement with these identifiers, outside of a transaction."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
