"""`jobledger chaos` against real workers: of the example of orders, and of a ledger with a planted bug."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from jobs import boot, enqueue_many
from jobs.settings import Settings
from tests.examples.test_orders import FOLDER, ROOT, check
from tests.examples.test_orders import book as book
from tests.examples.test_orders import shop as shop
from tests.faults.chaos_work import ChaosEffect
from tests.faults.fleet import record
from tests.faults.work import CREATE_EFFECTS
from tests.fork_server import jobledger
from tests.servers import PostgresServer, RedisServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

Cli = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = [sys.executable, "-m", "admin_cli.main"]


@pytest.fixture
def program(is_full: bool) -> list[str]:
    """What starts `jobledger`: the real program, and a fork in the short form."""
    return PROGRAM if is_full else jobledger()


@contextmanager
def worker(
    program: list[str], environment: dict[str, str], log: Path, *, imports: str, processes: int
) -> Iterator[None]:
    command = [*program, "worker", "--import", imports, "--processes", str(processes)]
    with log.open("w") as file:
        node = subprocess.Popen(command, cwd=FOLDER, env=environment, stdout=file, stderr=file)
    try:
        assert wait_until(lambda: log.read_text().count("Process ready") >= processes, seconds=100), log.read_text()
        yield
    finally:
        node.terminate()
        node.wait(60)


def cli_in(program: list[str], environment: dict[str, str], folder: Path) -> Cli:
    plain = {name: value for name, value in environment.items() if name != "JOBS_CHAOS"}

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, "chaos", *args], cwd=folder, env=plain, capture_output=True, text=True, timeout=240
        )

    return call


def environment_for(url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return {
        **kept, "PYTHONPATH": f"{ROOT}:{FOLDER}", "JOBS_DATABASE_URL": url, "JOBS_CHAOS": "staging",
        "JOBS_POISON_AFTER": "50", **more,
    }  # fmt: skip


@pytest.fixture
def url(postgres: PostgresServer, fleet_template: str) -> Iterator[str]:
    postgres.start()
    made = postgres.create_database(template=fleet_template)
    yield made
    postgres.drop_database(made)


@pytest.mark.short
def test_every_promise_holds_for_the_orders_of_the_example(
    url: str, valkey: RedisServer, shop: Any, book: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_full: bool,
    program: list[str],
) -> None:  # fmt: skip
    orders, place = shop
    seconds, every, processes, rate = (120, "3s", 4, 20) if is_full else (8, "1s", 2, 15)
    valkey.start()
    monkeypatch.setenv("JOBS_DATABASE_URL", url)
    app = boot.build(Settings(database_url=url, redis_url=valkey.url))
    monkeypatch.setattr(boot, "_app", app)
    environment = environment_for(
        url, JOBS_REDIS_URL=valkey.url, JOBS_LEASE="10s" if is_full else "20s", GATEWAY_URL=os.environ["GATEWAY_URL"]
    )
    chaos_cli, placed, ends = cli_in(program, environment, tmp_path), 0, threading.Event()
    with ExitStack() as stack:
        log = tmp_path / "worker.log"
        stack.enter_context(worker(program, environment, log, imports="orders", processes=processes))
        assert chaos_cli("allow", "--target", "staging").returncode == 0
        told: list[subprocess.CompletedProcess[str]] = []
        began = time.monotonic()
        chaos = threading.Thread(
            target=lambda: told.append(
                chaos_cli("run", "--target", "staging", "--for", f"{seconds}s", "--every", every, "--seed", "7",
                          "--log", "log.jsonl", "-o", "json")
            )
        )  # fmt: skip
        chaos.start()
        while not ends.is_set() and time.monotonic() - began < seconds / 2:
            place.main(rate)
            placed += rate
            ends.wait(1.0)
        chaos.join()
        took = time.monotonic() - began
        (ended,) = told
        report = json.loads(ended.stdout)["data"]
        print(ended.stderr)
        engine = create_engine(url)
        stack.callback(engine.dispose)

        def left() -> int:
            with engine.connect() as connection:
                query = "select count(*) from job_runs where state in ('queued', 'running')"
                return int(connection.execute(text(query)).scalar_one())

        assert wait_until(lambda: not left(), seconds=120), (tmp_path / "worker.log").read_text()[-3000:]
    made = [one["planned"]["fault"] for one in report["made"] if one["planned"] and one["is_made"]]
    assert {"kill", "stop"} <= set(made), report["made"]
    assert report["holds"], report["promises"]
    assert ended.returncode == 0
    # Other tests run beside the short form, on any machine.
    assert report["took_seconds"] <= seconds + (0 if is_full else 20)
    counts = {one["name"]: one["counts"] for one in report["promises"]}
    assert counts["effects"]["checked"] > 0
    assert counts["attempts"]["checked"] >= counts["effects"]["checked"]
    check(app, orders, book, placed)
    app.close()
    if is_full:
        assert {"flush", "cut"} <= set(made)
        record({"test": "chaos", "seed": 7, "runs": placed, "faults": len(made), "took_seconds": round(took, 1)})


def test_a_settle_verb_without_its_token_is_found(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_for(
        url, JOBS_LEASE="2s", JOBS_THREADS="4", CHAOS_FORK="1", JOBS_IMPORTS="tests.faults.chaos_work"
    )
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(CREATE_EFFECTS))
    app = boot.build(Settings(database_url=url))
    monkeypatch.setattr(boot, "_app", app)
    # Stops are made from this lease: three of the workers' own, so that their runs are claimed elsewhere meanwhile.
    chaos_cli = cli_in(PROGRAM, {**environment, "JOBS_LEASE": "6s"}, tmp_path)
    # Most of six live at any time: a process that was itself stopped just now rescues nothing.
    with worker(PROGRAM, environment, tmp_path / "worker.log", imports="tests.faults.chaos_work", processes=6):
        assert chaos_cli("allow", "--target", "staging").returncode == 0
        enqueue_many([ChaosEffect(n=n, seconds=1.0) for n in range(600)])
        ended = chaos_cli(
            "run", "--target", "staging", "--for", "50s", "--every", "2s", "--seed", "7", "--only", "stop", "-o", "json"
        )
    app.close()
    engine.dispose()

    report = json.loads(ended.stdout)["data"]
    broken = {one["name"] for one in report["promises"] if not one["holds"]}
    assert ended.returncode == 6, ended.stderr
    assert "tokens" in broken, report["promises"]
