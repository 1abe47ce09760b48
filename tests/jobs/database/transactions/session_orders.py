"""An application's orders, and what has been enqueued beside them."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobs import Job


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class SessionNote(Job):
    n: int = 0

    def perform(self) -> None: ...


def driven(url: str, *, is_async: bool = False) -> str:
    """``url`` with the driver that an application names."""
    sqlite = "sqlite+aiosqlite:" if is_async else "sqlite:"
    return url.replace("postgresql:", "postgresql+psycopg:").replace("sqlite:", sqlite)


@pytest.fixture
def engine(app, ledger_url):
    made = create_engine(driven(ledger_url))
    yield made
    made.dispose()


def count(app) -> int:
    with app.database.read() as connection:
        number: int = connection.exec_driver_sql("select count(*) from job_runs").scalar()
        return number
