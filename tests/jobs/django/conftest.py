"""Django's databases on a ledger of the test's own, once on each dialect; the project is set up once a process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs import boot
from jobs.definition import registry
from jobs.testing import Ledger
from tests.conftest import MakeApp
from tests.fork_server import forked
from tests.servers import NamedServer, PostgresServer

ROOT = Path(__file__).resolve().parents[3]

pytest.importorskip("django")


@pytest.fixture(scope="session")
def _project() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_project.settings"
    import django

    django.setup()


@pytest.fixture
def use_database(_project: None, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts Django's default database at a URL; Django and we forget it at the end."""
    from django.apps import apps
    from django.db import connections

    from jobs import settings_defaults
    from jobs.django import config
    from jobs.runtime.run_hooks import run_hooks
    from tests.django_project.settings import database

    known = set(registry.kinds())
    monkeypatch.setattr(boot, "_app", None)
    apps.get_app_config("jobledger").ready()

    def use(url: str) -> None:
        connections["default"].close()
        entry = connections.configure_settings({"default": database(url)})["default"]
        connections.settings["default"] = entry
        del connections["default"]

    yield use
    connections["default"].close()
    if (app := boot.existing()) is not None:
        app.close()
    settings_defaults.withdraw(config.ORIGIN)
    from jobs.django.run_connections import fresh_connections

    run_hooks.remove(fresh_connections)
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


@pytest.fixture(scope="session")
def django_sqlite(_project: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of the project and of the ledger, made by ``manage.py migrate``."""
    path = tmp_path_factory.mktemp("django") / "project.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def django_postgresql(_project: None, pg_server: PostgresServer | NamedServer) -> Iterator[str]:
    """The URL of a PostgreSQL database with the same tables."""
    pg_server.start()
    url = pg_server.create_database()
    migrate(url)
    yield url
    pg_server.start()
    pg_server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def project_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with these tables, empty; once on each dialect."""
    if request.param == "sqlite":
        template = request.getfixturevalue("django_sqlite")
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'project.db')}"
        return
    request.getfixturevalue("pg_server").start()
    url: str = request.getfixturevalue("django_postgresql")
    yield url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("truncate job_runs, job_attempts, job_keys, job_workers, job_kinds, shop_order cascade")


@pytest.fixture
def project(use_database: Callable[[str], None], project_url: str) -> str:
    """The project on a migrated database, once on each dialect; returns its URL."""
    use_database(project_url)
    return project_url


@pytest.fixture
def performing(project: str) -> Iterator[Ledger]:
    """Performs what the project has enqueued, in the test's thread over connections of its own."""
    with Ledger(project) as ledger:
        yield ledger


def only(items: list[Any]) -> Any:
    """The one item of a list."""
    assert len(items) == 1, items
    return items[0]


def migrate(url: str) -> None:
    """``manage.py migrate`` in a process of its own, which leaves no connection behind."""
    command = [*forked("tests.django_project.program"), "migrate", "--verbosity", "0"]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(url), timeout=60)


def environment(url: str) -> dict[str, str]:
    """The environment of a process of the project whose default database is at ``url``."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return {
        **ours,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.django_project.settings",
        "TEST_DJANGO_DATABASE_URL": url,
    }
