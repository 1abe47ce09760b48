"""The pages of limits and breakers: what is in force and parked, and changes with a reason."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs import Breaker, Job, Limit, Rate, boot
from jobs.app import App
from jobs.definition import registry
from jobs.definition.breakers import breakers_of, guarded_kinds
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.breakers.slices import declare as declare_breakers
from jobs.ledger.limits.counts import declare
from jobs.ledger.records import Failure
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import Operator
from jobs.operations.control.breakers import show_breaker
from jobs.operations.control.limits import show_limit
from jobs.settings import Settings
from jobs.states import Outcome
from tests.admin_api.pages import filled
from tests.admin_api.pages.conftest import Browse
from tests.book import Book, attempt_result

ROOT = Operator("root@desk")
DOWN = Failure("ConnectionError", "refused", None, "abcdefabcdef")
MINUTE = timedelta(minutes=1)
KINDS = ("PageCharge", "PagePay")


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class PageCharge(Job, limits=[Limit(2, by="account"), Rate(600, per=MINUTE, burst=9, name="page-stripe")]):
        account: str

        def perform(self) -> None: ...

    class PagePay(Job, breaker=Breaker(after=2, by="provider", open_for=timedelta(hours=1))):
        provider: str

        def perform(self) -> None: ...

    yield
    for kind in KINDS:
        registry.forget(kind)
    limited_kinds.pop("PageCharge")
    guarded_kinds.pop("PagePay")


@pytest.fixture(scope="module")
def filled_ledger(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, kinds: None) -> Path:
    """A ledger with runs that a limit and a breaker park, which each test copies."""
    path = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("limits") / "jobs.db"))
    with closing(boot.build(Settings.read(database_url=f"sqlite:///{path}"))) as app:
        book = Book(app.database, now=datetime.now(UTC))
        with app.database.write() as connection:
            declare(connection, limits_of(["PageCharge"]))
            declare_breakers(connection, breakers_of(["PagePay"]))
        for _ in range(5):
            book.enqueue(kind="PageCharge", arguments={"account": "eu-17"})
        for _ in range(6):
            book.enqueue(kind="PagePay", arguments={"provider": "acme-bank"})
        book.claim_due(20, kinds=["PageCharge"])
        claims = book.claim_due(2, kinds=["PagePay"])
        book.settle(*[attempt_result(one, Outcome.FAILED, failure=DOWN, delay=7200) for one in claims])
        assert book.claim_due(20, kinds=KINDS) == []
    return path


@pytest.fixture(autouse=True)
def full(app: App, filled_ledger: Path) -> None:
    filled.copy_into(app, filled_ledger)


def test_limits_and_breakers_are_listed_with_what_they_park(browse: Browse) -> None:
    client = browse("operator")
    text = client.get("/limits").text

    parked = dict(re.findall(r'<a href="(/runs\?where=held[^"]*state=parked)">(\d+)</a>', text))
    assert [parked[one] for one in parked if "PageCharge" in one] == ["3"]
    assert [parked[one] for one in parked if "PagePay" in one] == ["4"]
    for link, number in parked.items():
        assert client.get(html.unescape(link)).text.count('<tr data-key="') == int(number), "the link shows these runs"
    assert "600/m" in text
    assert '<span class="badge bad">1 open</span>' in text
    assert 'href="/limits" aria-current="page"' in text
    assert "eu-17" in client.get("/limits/PageCharge").text
    shown = client.get("/breakers/PagePay").text
    assert "acme-bank" in shown
    assert "2 failures in 1m" in shown
    assert client.get("/limits/none").status_code == client.get("/breakers/none").status_code == 404


def test_a_limit_is_set_held_and_cleared_with_a_reason(app: App, browse: Browse) -> None:
    client = browse("operator")
    client.get("/limits/PageCharge")
    act = "/limits/PageCharge/acts/"
    assert 'value="eu-17"' in client.get(f"{act}set").text

    done = client.post(f"{act}set", data={"most": "1", "reason": "too many"}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/limits/PageCharge")
    assert "(code: 2)</span>" in client.get("/limits/PageCharge").text
    assert (list_actions(app, ROOT, limit=1)[0]["verb"], list_actions(app, ROOT, limit=1)[0]["reason"]) == (
        "limit", "too many",
    )  # fmt: skip
    client.post(f"{act}set", data={"most": "4", "key": "eu-17", "reason": "a promise"})
    assert [one.set_most for one in show_limit(app, ROOT, "PageCharge")[1]] == [4]
    client.post("/limits/page-stripe/acts/set", data={"rate": "100/m", "reason": "their quota"})
    assert show_limit(app, ROOT, "page-stripe")[0].pace == "100/m"
    client.post(f"{act}hold", data={"for": "10m", "reason": "maintenance"})
    assert "No run starts before" in client.get("/limits/PageCharge").text
    assert '<span class="badge warn">held</span>' in client.get("/limits").text
    client.post(f"{act}clear", data={"reason": "it is over"})

    limit, _ = show_limit(app, ROOT, "PageCharge")
    assert (limit.allowed, limit.hold_until) == (2, None)
    assert client.post(f"{act}clear", data={"reason": "again"}).status_code == 409


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/limits/PageCharge/acts/set", {}, 422),
        ("/limits/PageCharge/acts/set", {"most": "0"}, 422),
        ("/limits/PageCharge/acts/set", {"most": "1e3"}, 422),
        ("/limits/PageCharge/acts/set", {"most": "9" * 5000}, 422),
        ("/limits/PageCharge/acts/set", {"rate": "100/m"}, 422),
        ("/limits/page-stripe/acts/set", {"rate": "fast"}, 422),
        ("/limits/page-stripe/acts/set", {"rate": "5/m", "key": "eu-17"}, 422),
        ("/limits/PageCharge/acts/hold", {"for": ""}, 422),
        ("/limits/PageCharge/acts/hold", {"for": "0s"}, 422),
        ("/limits/PageCharge/acts/hold", {"for": "1h", "reason": "x" * 501}, 422),
        ("/limits/PageCharge/acts/drop", {}, 404),
        ("/limits/none/acts/clear", {}, 404),
        ("/breakers/PagePay/release", {"canary": "0"}, 422),
        ("/breakers/PagePay/release", {"canary": "1001"}, 422),
        ("/breakers/PagePay/release", {"canary": "some"}, 422),
        ("/breakers/PagePay/release", {"key": "other"}, 409),
        ("/breakers/none/release", {}, 404),
    ],
)
def test_a_mistake_in_a_form_is_refused_and_changes_nothing(
    app: App, browse: Browse, path: str, form: dict[str, str], status: int
) -> None:
    client = browse("operator")
    before = len(list_actions(app, ROOT, limit=500))

    answer = client.post(path, data={"reason": "x", **form})

    assert (answer.status_code, "text/html" in answer.headers["content-type"]) == (status, True)
    assert len(list_actions(app, ROOT, limit=500)) == before


def test_a_breaker_is_released_with_canaries_and_cannot_be_released_when_closed(app: App, browse: Browse) -> None:
    client = browse("operator")
    assert "4 now" in client.get("/breakers/PagePay/release").text
    form = {"key": "acme-bank", "canary": "3", "reason": "they fixed it"}

    done = client.post("/breakers/PagePay/release", data=form, follow_redirects=False)

    assert (done.status_code, done.headers["location"]) == (303, "/breakers/PagePay")
    action = list_actions(app, ROOT, limit=1)[0]
    assert (action["verb"], action["reason"], action["done"]) == ("release_breaker", "they fixed it", 3)
    client.post("/breakers/PagePay/release", data={"reason": "all of them"})
    assert (show_breaker(app, ROOT, "PagePay")[0].open, show_breaker(app, ROOT, "PagePay")[0].parked) == (0, 0)
    shown = client.get("/breakers/PagePay").text
    assert "No key is open" in shown
    assert "Release…" not in shown
    assert client.post("/breakers/PagePay/release", data={"reason": "again"}).status_code == 409


def test_a_viewer_sees_no_keys_and_can_change_nothing(app: App, browse: Browse) -> None:
    client = browse("viewer")
    before = len(list_actions(app, ROOT, limit=500))

    text = "".join(client.get(path).text for path in ("/limits", "/limits/PageCharge", "/breakers/PagePay"))
    assert "(hidden)" in text
    assert not {word for word in ("eu-17", "acme-bank", "Set…", "Hold…", "Release…") if word in text}
    forms = {"limits/PageCharge/acts/set": {"most": "1"}, "limits/PageCharge/acts/hold": {"for": "1m"},
             "limits/PageCharge/acts/clear": {}, "breakers/PagePay/release": {}}  # fmt: skip
    for path, form in forms.items():
        assert client.get(f"/{path}").status_code == 403, path
        assert client.post(f"/{path}", data={"reason": "x", **form}).status_code == 403, path
    assert len(list_actions(app, ROOT, limit=500)) == before
