"""Parses JOBS_DATABASE_URL, and shows it without credentials."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from jobs.errors import ConfigurationError
from jobs.formats.redact import redact_url

_SEVERAL = re.compile(r"(?P<before>[^/?#]*@|)(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<after>[/?].*|)", re.DOTALL)
"""libpq's form of ``postgresql://`` with several hosts, each perhaps with a port."""
_ESCAPES = "In a user name or password write @ as %40, / as %2F, ? as %3F, # as %23 and : as %3A."


def parse_database_url(url: str) -> URL:
    """``url`` as a SQLAlchemy URL with our driver; also accepts libpq's form with several hosts.

    Raises:
        ConfigurationError: it names no database that can hold a ledger. The message never shows an unreadable URL.
    """
    plain = url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url
    try:
        parsed = make_url(_with_hosts_apart(plain))
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            f"JOBS_DATABASE_URL is not a database URL: {redact_url(url)}.",
            hint=f"Write sqlite:///jobs.db or postgresql://user:password@host/database. {_ESCAPES}",
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        _refuse_split_password(parsed, url)
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigurationError(
            f"JOBS_DATABASE_URL names {backend}, which cannot hold a ledger.",
            hint="Use sqlite:/// or postgresql://.",
        )
    if not parsed.database or parsed.database == ":memory:" or "mode=memory" in url:
        raise ConfigurationError(
            "A ledger in memory would be lost with its process.", hint="Name a file: sqlite:///jobs.db."
        )
    return parsed.set(drivername="sqlite+pysqlite", database=str(Path(parsed.database).absolute()))


def make_database_url(
    backend: str,
    *,
    name: str,
    user: str | None = None,
    password: str | None = None,
    host: str | None = None,
    port: str | int | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """The URL of a database that another library describes in parts; a host that is a path is a socket's folder."""
    if backend == "sqlite":
        return f"sqlite:///{name}"
    query = dict(options or {})
    if host is not None and host.startswith("/"):
        query["host"], host = host, None
    made = URL.create(
        backend,
        username=user,
        password=password,
        host=host,
        port=int(port) if port else None,
        database=name or None,
        query=query,
    )
    return made.render_as_string(hide_password=False)


def is_same_url(one: URL, other: URL) -> bool:
    """Whether two URLs name the same database in the same words: host, port and database, or the same file."""
    if one.get_backend_name() != other.get_backend_name():
        return False
    if one.get_backend_name() == "sqlite":
        return os.path.realpath(str(one.database)) == os.path.realpath(str(other.database))
    return (_hosts(one), one.database) == (_hosts(other), other.database)


def _hosts(url: URL) -> tuple[object, ...]:
    return url.host, url.port or (5432 if url.host else None), *_query_values(url, "host"), *_query_values(url, "port")


def show_database_url(url: URL) -> str:
    """``url`` without credentials and query, but with its hosts, whichever part of it names them."""
    backend = url.get_backend_name()
    hosts = _query_values(url, "host")
    if url.host or not hosts:
        return redact_url(url.set(drivername=backend).render_as_string(hide_password=False))
    ports = _query_values(url, "port")
    if len(ports) == len(hosts):
        hosts = [f"{host}:{port}" for host, port in zip(hosts, ports, strict=True)]
    return redact_url(f"{backend}://{','.join(hosts)}/{url.database or ''}")


def _query_values(url: URL, name: str) -> list[str]:
    """The values of ``name`` in the query: libpq separates them by commas, SQLAlchemy repeats the word."""
    given = url.query.get(name, ())
    return [one for text in ((given,) if isinstance(given, str) else given) for one in text.split(",")]


def _with_hosts_apart(url: str) -> str:
    """``url`` with libpq's list of hosts moved into the query, where SQLAlchemy expects it."""
    scheme, separator, rest = url.partition("://")
    found = _SEVERAL.fullmatch(rest)
    if not separator or not found or not scheme.startswith("postgresql"):
        return url
    hosts = [_host_and_port(one) for one in found["hosts"].split(",")]
    query = f"host={','.join(host for host, _ in hosts)}&port={','.join(port for _, port in hosts)}"
    path, mark, more = found["after"].partition("?")
    return f"{scheme}://{found['before']}{path or '/'}?{query}{f'&{more}' if mark and more else ''}"


def _host_and_port(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?", text)
    if found is None:
        raise ValueError("no host and port")
    return found[1].strip("[]"), found[2] or "5432"


def _refuse_split_password(parsed: URL, url: str) -> None:
    """Refuse an unescaped @ or /: it would make part of the password a host or database, which errors show."""
    if "@" in (parsed.host or "") or "@" in (parsed.database or ""):
        raise ConfigurationError(
            f"JOBS_DATABASE_URL cannot be split into user, password, host and database: {redact_url(url)}.",
            hint=_ESCAPES,
        )
