"""The settings of the ledger in a Django project: its URL from ``DATABASES``, the rest from ``JOBS``.

    JOBS = {"DATABASE": "default", "REDIS_URL": "redis://…", "THREADS": 4}

``DATABASE`` is the alias of the database that holds the ledger. All other keys are settings by their names in
docs/configuration.md, without the prefix. Variables of the environment win over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core import mail
from django.db import connections

from jobs import settings_defaults
from jobs.database.database_url import make_database_url
from jobs.errors import ConfigurationError
from jobs.formats.nearest import did_you_mean
from jobs.settings import Settings

ORIGIN = "Django's settings"
WORKER = "jobs.django.worker"
"""The module that sets Django up in a worker, and imports its tasks and jobs."""
_NOT_LIBPQ = frozenset(
    {"pool", "server_side_binding", "isolation_level", "assume_role", "client_encoding", "context", "cursor_factory"}
)
"""Options of Django and psycopg that libpq does not know."""
_urls: set[str] = set()
"""Every URL that this process has read from DATABASES."""


def provide() -> None:
    """Let every process of this project read the ledger's settings from Django's."""
    settings_defaults.provide(ORIGIN, read)


def alias() -> str:
    """The alias in ``DATABASES`` of the database that holds the ledger."""
    return str(_given().get("DATABASE", "default"))


def read() -> dict[str, Any]:
    """The settings that Django's settings provide, by our names.

    Raises:
        ConfigurationError: ``JOBS`` has an unknown key, or names no configured database.
    """
    found = own_settings()
    more = found.get("imports", ())
    imports = more.split(",") if isinstance(more, str) else more
    url = database_url()
    if url is not None:
        _urls.add(url)
    return {"database_url": url, **found, "imports": (WORKER, *imports)}


def own_settings() -> dict[str, Any]:
    """What ``JOBS`` says, by our names. Raises the same for an unknown key."""
    given = {key: value for key, value in _given().items() if key != "DATABASE"}
    for key in given:
        if key.lower() not in Settings.model_fields or not key.isupper():
            names = sorted(name.upper() for name in Settings.model_fields)
            raise ConfigurationError(
                f"JOBS in Django's settings has the unknown key {key!r}.",
                hint=did_you_mean(key.upper(), [*names, "DATABASE"], otherwise="See docs/django.md for the keys."),
            )
    return {key.lower(): value for key, value in given.items()}


def database_url() -> str | None:
    """The URL of the database with our alias, as it is now: tests rename it; None if it cannot hold a ledger.

    Raises:
        ConfigurationError: ``DATABASES`` has no such alias.
    """
    if alias() not in connections.settings:
        raise ConfigurationError(
            f"The ledger's database {alias()!r} is not in DATABASES.",
            hint=f"JOBS['DATABASE'] is one of: {', '.join(sorted(connections.settings))}.",
        )
    connection = connections[alias()]
    if connection.vendor not in ("postgresql", "sqlite"):
        return None
    said = connection.settings_dict
    options = said.get("OPTIONS") or {}
    return make_database_url(
        connection.vendor,
        name=str(said.get("NAME") or ""),
        user=said.get("USER") or None,
        password=said.get("PASSWORD") or None,
        host=said.get("HOST") or None,
        port=said.get("PORT") or None,
        options={
            key: str(value)
            for key, value in options.items()
            if connection.vendor == "postgresql" and key not in _NOT_LIBPQ and isinstance(value, str | int)
        },
    )


def has_moved(url: str | None) -> bool:
    """Whether ``url`` was read from DATABASES, which names another database now: a test's, or the real one again."""
    return url in _urls and url != database_url()


def is_test_database() -> bool:
    """Whether Django runs tests now, and that database is one that it has made for them."""
    said = connections[alias()].settings_dict
    name, of_tests = str(said.get("NAME") or ""), str((said.get("TEST") or {}).get("NAME") or "")
    is_named_so = name.rpartition("/")[2].startswith("test_") or bool(of_tests and name.startswith(of_tests))
    # Django's test environment has an outbox, and no other has.
    return hasattr(mail, "outbox") and (is_named_so or is_in_memory())


def is_in_memory() -> bool:
    """Whether that database is a SQLite database in memory, as Django makes for tests."""
    connection = connections[alias()]
    name = str(connection.settings_dict.get("NAME") or "")
    return connection.vendor == "sqlite" and (name == ":memory:" or "mode=memory" in name)


def _given() -> Mapping[str, Any]:
    given = getattr(settings, "JOBS", None) or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"JOBS in Django's settings is a dictionary, got {type(given).__name__}.")
    return given
