"""examples/fastapi_shop and flask_shop: started by the line that they name, an order is placed, approved and delivered;
the order that failed left no run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.conftest import MakeApp
from tests.examples.shops import ON, Shop, services, started
from tests.waiting import wait_until

FEWER = [("fastapi_shop", "postgresql+redis"), ("flask_shop", "sqlite")]
"""What ``make test`` runs; ``make faults`` runs all."""
CASES = [
    pytest.param(shop, on, id=f"{shop}-{on}", marks=[] if (shop, on) in FEWER else [pytest.mark.faults])
    for shop in ("fastapi_shop", "flask_shop")
    for on in ON
]


@pytest.fixture
def serving(request: pytest.FixtureRequest, tmp_path: Path, shop: str, on: str) -> Iterator[Shop]:
    with started(shop, tmp_path, *services(request, tmp_path, on)) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(("shop", "on"), CASES)
def test_an_order_is_delivered_and_the_failed_one_leaves_no_run(serving: Shop, make_app: MakeApp) -> None:
    with httpx.Client(base_url=serving.url, follow_redirects=True, timeout=30) as client:
        assert client.post("/orders", data={"pieces": "0"}).status_code == 409
        assert client.get("/jobs/").status_code == 401

        placed = client.post("/orders", data={"pieces": "3"})
        assert placed.status_code == 200
        assert httpx.post(f"{placed.url}/approval").status_code == 401
        assert client.post(f"{placed.url.path}/approval").status_code == 200
        assert wait_until(lambda: "succeeded: 3 pieces delivered" in client.get(placed.url.path).text, seconds=60)

        link = re.search(r'href="(/jobs/runs/[^"]+)"', placed.text)
        assert link is not None
        assert "Deliver" in client.get(link[1]).text
        assert client.get("/readyz").status_code == 200

    app = make_app(serving.ledger)
    with app.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from job_runs").scalar() == 1
        assert connection.exec_driver_sql("select count(*) from orders").scalar() == 1
