"""examples/orders: whatever the gateway does and whoever dies, each order is charged once and compensated once."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobs import RunState
from jobs.app import App
from jobs.database.models import Base
from jobs.definition import registry
from jobs.ledger import workers
from jobs.ledger.queries import reports
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.shadow_runs.compare import Finding
from jobs.operations.shadow_runs.service import shadow
from jobs.testing import Ledger
from tests.fork_server import jobledger
from tests.waiting import wait_until
from worker.shadow.runner import ShadowRunner

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "orders"
STOCK = 1_000_000
ORDERS, KILLS = 300, 20
"""Of the test under random kills: at least so many orders, and exactly so many kills."""
SEED = int(os.environ.get("JOBS_TEST_ORDERS_SEED") or random.SystemRandom().randrange(10**6))
"""Of the gateway's moods and of the kills; another each time, said where a test fails."""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's modules, as its own folder has them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    known = set(registry.kinds())
    yield importlib.import_module("orders"), importlib.import_module("place")
    for name in ("orders", "place"):
        del sys.modules[name]
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A gateway that runs, and its book."""
    monkeypatch.syspath_prepend(str(FOLDER))
    gateway = importlib.import_module("gateway")
    book = gateway.Book(seed=SEED)
    print(f"JOBS_TEST_ORDERS_SEED={SEED}")
    server = gateway.serve(book)
    monkeypatch.setenv("GATEWAY_URL", f"http://127.0.0.1:{server.server_port}")
    yield book
    server.shutdown()
    server.server_close()
    del sys.modules["gateway"]


def check(app: App, orders: Any, book: Any, count: int) -> None:
    """Every order has come to its one end, in the gateway's book and in ours."""
    declined = {n for n in range(1, count + 1) if n % 5 == 0}
    refunded = {n for n in range(1, count + 1) if n % 7 == 0} - declined
    charged = set(range(1, count + 1)) - declined
    assert Counter(book.done) == Counter([("charge", n) for n in charged] + [("refund", n) for n in refunded])
    with app.database.read() as connection:
        payments = connection.execute(select(orders.Payment.order_id, orders.Payment.receipt)).all()
        states = {row.id: row.state for row in connection.execute(select(orders.Order.id, orders.Order.state))}
        left = connection.scalar(select(orders.Stock.left))
    wanted = [(n, f"charge-{n}") for n in charged] + [(n, f"refund-{n}") for n in refunded]
    assert Counter(map(tuple, payments)) == Counter(wanted)
    assert {n for n, state in states.items() if state == "declined"} == declined
    assert {n for n, state in states.items() if state == "refunded"} == refunded
    assert {n for n, state in states.items() if state == "shipped"} == charged - refunded
    assert left == STOCK - len(charged - refunded)


def test_every_order_ends_once(ledger_url: str, shop: Any, book: Any, monkeypatch: Any) -> None:
    orders, place = shop
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    with Ledger(ledger_url) as ledger:
        for kind in (orders.Charge, orders.Ship, orders.Refund, orders.Release):
            ledger.crash(kind, late=True, times=2)
        place.main(35)
        ledger.drain(advance=timedelta(days=1))

        check(ledger.app, orders, book, 35)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_order_ends_once_under_random_kills(
    app: App, ledger_url: str, shop: Any, book: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    placed, kills, chance = 0, 0, random.Random(SEED)
    orders, place = shop
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{FOLDER}", "JOBS_POISON_AFTER": "50"}
    command = [*jobledger(), "worker", "--import", "orders", "--processes", "3"]
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(command, cwd=FOLDER, env=environment, stdout=log, stderr=log)
    try:

        def left() -> int:
            with app.database.read() as connection:
                by_state = reports.count_by_state(connection)
            return by_state.get(RunState.QUEUED, 0) + by_state.get(RunState.RUNNING, 0)

        def live() -> list[int]:
            with app.database.read() as connection:
                return [one.pid for one in workers.live(connection)]

        # No more kills than these: a place whose process dies before it lived a second waits twice as long each time,
        # as it must when a process dies of itself, and a dozen such deaths in a row would make it half a minute.
        while kills < KILLS or placed < ORDERS:
            # Some orders before each kill: however fast they are done, they are not all done before the last kill.
            place.main(ORDERS // KILLS)
            placed += ORDERS // KILLS
            moment = chance.uniform(0, chance.choice((0.2, 2.0)))
            if kills < KILLS and not wait_until(lambda: not left(), seconds=moment):
                pids = wait_until(live, seconds=60)
                assert pids, (tmp_path / "worker.log").read_text()[-3000:]
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    kills += 1
        assert wait_until(lambda: not left(), seconds=120), f"{left()} runs have not ended"
    finally:
        worker.terminate()
        worker.wait(40)
    print(f"{placed} orders, {kills} kills")
    check(app, orders, book, placed)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_hundred_of_its_runs_in_the_shadow_do_what_they_did(
    ledger_url: str, shop: Any, book: Any, monkeypatch: Any
) -> None:
    _, place = shop
    monkeypatch.setenv("JOBS_DATABASE_URL", ledger_url)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{FOLDER}")
    with Ledger(ledger_url) as ledger:
        place.main(110)
        ledger.drain(advance=timedelta(days=1))
        done, before = list(book.done), content(ledger.app)
        with ShadowRunner(["orders"], ledger.app.settings, tables=ledger_url) as runner:
            reports = shadow(ledger.app, Operator("ada"), Selector(is_all=True), runner, limit=200)

        assert len(reports) == 200
        # A declined card leaves a step without an end, beyond which nothing is known.
        assert Counter((one.was, one.finding) for one in reports if one.finding is not Finding.SAME).keys() <= {
            (RunState.DEAD, Finding.BEYOND)
        }
        assert sum(one.finding is Finding.SAME for one in reports) > 150
        assert book.done == done
        assert content(ledger.app) == before


def content(app: App) -> dict[str, Any]:
    """Every row of the ledger but those of the audit."""
    with app.database.read() as connection:
        return {
            name: sorted(map(repr, connection.execute(select(table)).all()))
            for name, table in Base.metadata.tables.items()
            if not name.startswith("operator_a")
        }
