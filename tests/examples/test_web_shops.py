"""examples/fastapi_shop and flask_shop: started by the command that they name, an order is placed and delivered; the
order that failed left no run."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.conftest import MakeApp
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2] / "examples"
SERVE = {
    "fastapi_shop": ["-m", "uvicorn", "shop:app", "--port"],
    "flask_shop": ["-m", "flask", "--app", "shop", "run", "--port"],
}


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


ON = [(shop, on) for shop in sorted(SERVE) for on in ("sqlite", "postgresql+redis")]
FEWER = [("fastapi_shop", "postgresql+redis"), ("flask_shop", "sqlite")]
"""What ``make test`` runs; ``make faults`` runs all."""
CASES = [pytest.param(*one, id="-".join(one), marks=[] if one in FEWER else [pytest.mark.faults]) for one in ON]


@pytest.fixture
def services(request: pytest.FixtureRequest, on: str) -> dict[str, str]:
    if on == "sqlite":
        return {"JOBS_DATABASE_URL": request.getfixturevalue("sqlite_url")}
    urls = {"JOBS_DATABASE_URL": request.getfixturevalue("pg_database")}
    return {**urls, "JOBS_REDIS_URL": request.getfixturevalue("redis_url")}


@pytest.fixture
def url(shop: str, services: dict[str, str]) -> Iterator[str]:
    """Where the shop serves."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    command = [sys.executable, *SERVE[shop], str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT / shop, env={**env, **services, "JOBS_SHUTDOWN": "3s", "JOBS_THREADS": "2"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    at = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{at}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        assert wait_until(answers, seconds=40)
        yield at
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("shop", "on"), CASES)
def test_an_order_is_delivered_and_the_failed_one_leaves_no_run(
    url: str, services: dict[str, str], make_app: MakeApp
) -> None:
    with httpx.Client(base_url=url, follow_redirects=True, timeout=30) as client:
        assert client.post("/orders", data={"pieces": "0"}).status_code == 409
        assert client.get("/jobs/").status_code == 401

        placed = client.post("/orders", data={"pieces": "3"})
        assert placed.status_code == 200
        assert wait_until(lambda: "succeeded: 3 pieces delivered" in client.get(placed.url.path).text, seconds=60)

        link = re.search(r'href="(/jobs/runs/[^"]+)"', placed.text)
        assert link is not None
        assert "Deliver" in client.get(link[1]).text
        assert client.get("/readyz").status_code == 200

    app = make_app(services["JOBS_DATABASE_URL"])
    with app.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from job_runs").scalar() == 1
        assert connection.exec_driver_sql("select count(*) from orders").scalar() == 1
