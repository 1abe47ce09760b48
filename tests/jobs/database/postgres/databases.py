"""Databases and refusals, for the tests of this folder."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest

from jobs.client.job import Job
from jobs.database.engine import Database
from jobs.settings import Settings


class PostgresNote(Job):
    def perform(self) -> None:
        pass


@pytest.fixture
def make_database():
    made = []

    def make(url, **settings):
        made.append(Database(url, Settings(database_url=url, **settings)))
        return made[-1]

    yield make
    for database in made:
        database.close()


def swap(url, **parts):
    return urlunsplit(urlsplit(url)._replace(**parts))
