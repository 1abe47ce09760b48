"""An app on PostgreSQL and a connection that a thread of it keeps, for tests of such connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobs.app import App
from jobs.database.own_connection import OwnConnection
from tests.conftest import MakeApp

ASK = "select count(*) from job_runs where queue = %(queue)s"


@pytest.fixture
def app(pg_database: str, make_app: MakeApp) -> App:
    return make_app(pg_database)


@pytest.fixture
def own(app: App) -> Iterator[OwnConnection]:
    own = app.database.own_connection()
    assert own is not None
    with closing(own):
        yield own
