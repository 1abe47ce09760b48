"""A Database that is closed, and used again."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from jobs.app import App
from jobs.database.engine import Database
from jobs.database.sqlite.write_queue import turn_holder
from jobs.errors import Conflict, LedgerBusy, LedgerRefused
from jobs.settings import Settings
from tests.conftest import MakeApp
from tests.open_files import needs_proc, opened_in


@needs_proc
def test_a_closed_sqlite_database_has_no_file_open_and_opens_again(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url, Settings(database_url=sqlite_url))
    for urgent in (False, True):
        with database.write(urgent=urgent) as connection:
            connection.execute(text("UPDATE job_runs SET priority = 1"))
    assert len(opened_in(tmp_path)) > 3

    database.close()

    assert opened_in(tmp_path) == []
    with database.write() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    database.close()


def test_no_job_can_take_the_connections_of_the_workers_own_threads(app: App) -> None:  # K.2
    own = app.database.reserved()
    with ExitStack() as held:
        full = threading.Event()
        ended = threading.Event()

        def job() -> None:
            with app.database.read():
                if app.database.places._room._free == 0:
                    full.set()
                ended.wait(90)

        jobs = [threading.Thread(target=job) for _ in range(40)]
        held.callback(lambda: [one.join(20) for one in jobs])
        held.callback(ended.set)
        for one in jobs:
            one.start()
        assert full.wait(60)

        for _ in range(4):
            assert held.enter_context(own.read()).scalar(text("select 1")) == 1


def test_a_pool_that_callers_have_filled_is_a_busy_ledger_and_says_what_to_do(
    ledger_url: str, make_app: MakeApp
) -> None:
    database = make_app(ledger_url, connect_timeout="500ms", pool_size=1).database

    def fill() -> None:
        with ExitStack() as held:
            for _ in range(40):
                held.enter_context(database.read())

    with pytest.raises(LedgerBusy, match="in use") as refused:
        fill()

    assert "JOBS_POOL_SIZE" in str(refused.value.hint)
    with database.read() as connection:
        assert connection.scalar(text("select 1")) == 1


def test_a_sqlite_transaction_that_moves_between_threads_leaves_none_of_them_writing(  # K.2
    sqlite_url: str, make_app: MakeApp
) -> None:
    database = make_app(sqlite_url).database
    with ThreadPoolExecutor(1) as thread:
        first = database.session(owner="first")
        thread.submit(first.__enter__).result()
        first.__exit__(None, None, None)

        second = database.session(owner="second")
        thread.submit(second.__enter__).result()
        turn_holder.set("second")
        with pytest.raises(Conflict, match="already writing"), database.write():
            pass
        turn_holder.set(None)
        thread.submit(second.__exit__, None, None, None).result()

        with database.write() as connection:
            connection.execute(text("select 1"))


@pytest.mark.parametrize("how", ["statement", "direct"])
def test_an_error_of_a_statement_shows_nothing_that_was_bound(app: App, how: str) -> None:  # K2.C
    bound = {"word": "s3cret"}

    def execute() -> None:
        if how == "statement":
            with app.database.engine.connect() as connection:
                connection.execute(text("insert into nowhere values (:word)"), bound)
        else:
            mark = ":word" if app.database.dialect == "sqlite" else "%(word)s"
            with app.database.direct() as direct:
                direct.run(f"insert into nowhere values ({mark})", bound)

    with pytest.raises((DBAPIError, LedgerRefused)) as caught:
        execute()

    said = "".join(traceback.format_exception(caught.value))
    assert "nowhere" in said
    assert "s3cret" not in said
