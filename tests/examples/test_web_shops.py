"""examples/fastapi_shop and flask_shop: started by the line that they name, an order is placed, approved and delivered,
by requests and in a browser; the order that failed left no run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from playwright.sync_api import expect

from jobs.app import App
from tests.admin_api.pages.chromium import WAIT_MS, a_browser, a_context, needs_chromium
from tests.conftest import MakeApp
from tests.examples.shops import ON, Shop, reloaded, services, started
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
FEWER = [("fastapi_shop", "postgresql+redis"), ("flask_shop", "sqlite")]
"""What ``make test`` runs; ``make faults`` runs all."""
CASES = [
    pytest.param((shop, on), id=f"{shop}-{on}", marks=[] if (shop, on) in FEWER else [pytest.mark.faults])
    for shop in ("fastapi_shop", "flask_shop")
    for on in ON
]


@pytest.fixture(scope="module", params=CASES)
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One start serves both tests."""
    shop, on = request.param
    folder = tmp_path_factory.mktemp(shop)
    with started(shop, folder, *services(request, folder, on)) as made:
        yield made


@pytest.fixture
def shop_app(serving: Shop, make_app: MakeApp) -> App:
    return make_app(serving.ledger)


def runs_in(app: App) -> int:
    with app.database.read() as connection:
        return int(connection.exec_driver_sql("select count(*) from job_runs").scalar_one())


def orders_in(app: App) -> int:
    with app.database.read() as connection:
        return int(connection.exec_driver_sql("select count(*) from orders").scalar_one())


def test_an_order_is_delivered_and_the_failed_one_leaves_no_run(serving: Shop, shop_app: App) -> None:
    runs = runs_in(shop_app)
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

    assert runs_in(shop_app) == orders_in(shop_app) == runs + 1


@needs_chromium
def test_in_a_browser_an_order_waits_is_approved_and_done_and_the_failed_one_leaves_no_run(
    serving: Shop, shop_app: App
) -> None:
    runs = runs_in(shop_app)
    with a_browser() as browser, a_context(browser, width=390) as context:
        page = context.new_page()
        page.goto(serving.url)
        page.get_by_label("Pieces").fill("0")
        page.get_by_role("button", name="Order").click()
        expect(page.get_by_text("Nothing was ordered.")).to_be_visible()
        assert runs_in(shop_app) == runs

        page.goto(serving.url)
        page.get_by_role("button", name="Order").click()
        page.wait_for_url(re.compile("/orders/"))
        order = page.url
        assert reloaded(page, order, lambda: "queued: None" in page.content())
        page.get_by_role("link", name="The run").click()
        waits = page.get_by_text("It waits for the signal approval")
        assert reloaded(page, page.url, waits.is_visible), serving.log.read_text()

        page.goto(order)
        page.get_by_role("button", name="Approve").click()
        done = page.get_by_text("succeeded: 3 pieces delivered, approved by ann")
        assert reloaded(page, order, done.is_visible), serving.log.read_text()
        page.get_by_role("link", name="The run").click()

        expect(page.get_by_text("It succeeded at attempt")).to_be_visible(timeout=WAIT_MS)
        assert runs_in(shop_app) == orders_in(shop_app) == runs + 1
