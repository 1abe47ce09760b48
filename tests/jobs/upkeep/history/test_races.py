"""Movers, workers and operators race and die, and each run is in exactly one place."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any
from uuid import UUID

import psycopg

from jobs.app import App
from jobs.ledger.queries.selectors import Selector
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.states import RunState
from jobs.upkeep.history import Mover
from tests.jobs.upkeep.history.moved import COLD, HOT, ROOT, enable, execute, replay_action


def test_each_run_is_in_exactly_one_place_while_movers_and_operators_race_and_die(app, book, pg_database):
    ids = [book.bring(RunState.DEAD)[0] for _ in range(60)]
    enable(app)
    over = threading.Event()
    wrong: list[Any] = []

    def watch() -> None:
        with closing(psycopg.connect(pg_database, autocommit=True)) as connection:
            while not over.is_set():
                found = connection.execute("select count(*), count(distinct id) from job_runs_all").fetchone()
                if found != (len(ids), len(ids)):
                    wrong.append(found)

    def kill() -> None:
        with closing(psycopg.connect(pg_database, autocommit=True)) as connection:
            while not over.is_set():
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                    " and query ~* '(delete|insert).*job_' and state <> 'idle' and pid <> pg_backend_pid()"
                )
                over.wait(0.005)

    threads = [threading.Thread(target=one) for one in (watch, kill)]
    for one in threads:
        one.start()
    try:
        for _ in range(15):
            for act in (lambda: Mover(app).turn(), lambda: _replay_and_kill(app, ids[::2])):
                try:
                    act()
                except Exception:
                    continue
    finally:
        over.set()
        for one in threads:
            one.join(60)

    assert wrong == []
    assert sorted(execute(app, HOT) + execute(app, COLD)) == sorted(ids)


def _replay_and_kill(app: App, ids: list[UUID]) -> None:
    chosen = Selector(ids=tuple(ids), states=("dead",))
    report = carry_out(app, ROOT, replay_action(app), plan(app, ROOT, replay_action(app), chosen))
    undo(app, ROOT, plan_undo(app, ROOT, str(report.action_id)))
