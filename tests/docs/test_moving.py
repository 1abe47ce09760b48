"""docs/from-*.md: the blocks are run, and do what the pages say; the commands they name are ours."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from click.testing import CliRunner
from dramatiq.broker import global_broker, set_broker
from sqlalchemy import select
from sqlalchemy.orm import Session

import jobs
from admin_cli.main import cli
from jobs import Cancel, Cause, GiveUp, Job, Rate, RunState, Within
from jobs.app import App
from jobs.client.declared_schedules import declared
from jobs.client.job import EnqueueOptions
from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.definition.options import Options
from jobs.messages import actor_job
from jobs.testing import Ledger
from tests.waiting import wait_until

FOLDER = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("from-dramatiq.md", "from-celery.md", "from-rq.md")


@contextmanager
def run_page(name: str, **world: Any) -> Iterator[Any]:
    """The page's blocks, run in their order as one module with ``world`` around them."""
    known, before = set(registry.kinds()), global_broker
    module = types.ModuleType("docs_page")
    module.__dict__.update(world)
    sys.modules["docs_page"] = module
    try:
        for block in re.findall(r"^```python\n(.*?)^```", (FOLDER / name).read_text(), re.DOTALL | re.MULTILINE):
            exec(compile(block, name, "exec", dont_inherit=True), module.__dict__)
        yield module
    finally:
        del sys.modules["docs_page"]
        set_broker(before)  # type: ignore[arg-type]
        for kind in set(registry.kinds()) - known:
            registry.forget(kind)
            actor_job.brokers.pop(kind, None)


class Shop:
    """What the jobs of the pages call."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.published = 0

    def __getattr__(self, name: str) -> Any:
        def act(order: int) -> None:
            if name == "charge":
                raise OSError("declined")
            self.done.append((name, order))

        return act


class Web:
    def get(self, url: str) -> str:
        return "four words and more"

    def crawl(self, site: str) -> list[str]:
        return ["index.html", "about.html"]


def test_from_dramatiq(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    delivered: list[str] = []

    def wait_until_delivered(to: str) -> None:
        assert wait_until(lambda: f"mail to {to}" in (delivered.append(capsys.readouterr().out) or "".join(delivered)),
                          seconds=60)  # fmt: skip

    with run_page("from-dramatiq.md", wait_until_delivered=wait_until_delivered) as page:
        with app.database.read() as connection:
            waits = connection.scalars(select(JobRun.run_at - JobRun.created_at) if False else select(JobRun.run_at))
            latest = max(waits)
            keys = set(connection.scalars(select(JobRun.key).where(JobRun.key.is_not(None))))
        assert latest - app.clock.now() > timedelta(days=29)
        assert keys == {"welcome-ann"}
        (nightly,) = [one for one in declared() if one.module == "docs_page"]
        assert (nightly.name, nightly.job.options.kind) == ("deliver", "deliver")
        assert page.charge.options["unique"] == Within(timedelta(hours=1))
        dramatiq.get_broker().close()


def test_from_celery(ledger_url: str) -> None:
    shop = Shop()
    with (
        Ledger(ledger_url) as ledger,
        Session(ledger.app.database.engine) as session,
        run_page("from-celery.md", session=session, mailer=shop, shop=shop) as page,
    ):
        ledger.drain(advance=timedelta(days=1))

        assert sorted(shop.done) == [("reserve", 7), ("scale", 300), ("scale", 600), ("send", 7)]
        assert shop.published == 1
        assert jobs.find(page.invoice.id).state is RunState.SUCCEEDED
        (charged,) = ledger.runs(page.Charge)
        assert (charged.state, charged.attempt) == (RunState.DEAD, 2)


class FromCeleryLimited(Job, limits=[Rate(1, per=timedelta(hours=1))]):
    def perform(self) -> int:
        return self.run.attempt


class FromCeleryEnd(Job):
    of: str = ""

    def perform(self) -> str:
        if self.of == "give up":
            raise GiveUp("why")
        if self.of == "cancel":
            raise Cancel("why")
        return self.of


def test_the_rows_of_celery_do_what_they_say(ledger_url: str) -> None:
    """Those that no block of the page runs: rates, hooks, links, expiry, keys, results and what ends a run."""
    seen: list[str] = []

    @contextmanager
    def hook(run: jobs.Run) -> Iterator[None]:
        seen.append(run.kind)
        yield

    with Ledger(ledger_url) as ledger:
        jobs.run_hooks.add(hook)
        try:
            limited = [FromCeleryLimited().enqueue() for _ in range(2)]
            ledger.drain()
            assert [jobs.find(one.id).state for one in limited] == [RunState.SUCCEEDED, RunState.QUEUED]
            ledger.drain(advance=timedelta(hours=2))
            assert jobs.wait(limited[1].id, limit=timedelta(seconds=10)).result == 1

            linked = FromCeleryEnd(of="a").enqueue(on_success=[FromCeleryEnd(of="linked")])
            gone = FromCeleryEnd(of="give up").enqueue(on_dead=[FromCeleryEnd(of="link_error")])
            ignored = FromCeleryEnd(of="cancel").enqueue(key="task-id")
            again = FromCeleryEnd(of="cancel").enqueue(key="task-id")
            late = FromCeleryEnd(of="late").enqueue(delay=timedelta(hours=1), expires=timedelta(minutes=1))
            revoked = FromCeleryEnd(of="revoked").enqueue(delay=timedelta(days=9))
            jobs.cancel(revoked.id)
            ledger.drain(advance=timedelta(hours=2))
        finally:
            jobs.run_hooks.remove(hook)

        assert again.id == ignored.id
        states = [jobs.find(one.id).state.value for one in (linked, gone, ignored, late, revoked)]
        assert states == ["succeeded", "dead", "cancelled", "dead", "cancelled"]
        assert jobs.find(late.id).cause is Cause.EXPIRED
        results = {run.result for run in ledger.runs(FromCeleryEnd)}
        assert {"a", "linked", "link_error"} <= results
        assert "FromCeleryLimited" in seen


def test_from_rq(ledger_url: str) -> None:
    with Ledger(ledger_url) as ledger, run_page("from-rq.md", web=Web()) as page:
        ledger.drain(advance=timedelta(days=1))

        assert jobs.find(page.counted.id).result == 4
        assert jobs.find(page.crawled.id).progress["done"] == 2
        (indexed,) = ledger.runs(page.Index)
        assert indexed.result == "example.com indexed"


def snippets(name: str) -> Iterator[tuple[str, ast.Module]]:
    """The code in the tables of a page, each text with its tree; ``...`` stands for what is left out."""
    rows = re.findall(r"^\| (.*) \|$", (FOLDER / name).read_text(), re.MULTILINE)
    for text in (text for row in rows for text in re.findall(r"`([^`]+)`", row.rpartition(" | ")[2])):
        for code in (text.replace("…", "..."), text.replace("…", "...") + ": pass"):
            try:
                yield text, ast.parse(code)
                break
            except SyntaxError:
                continue


def takes(call: ast.Call) -> tuple[Callable[..., Any], int] | None:
    """What a call in a snippet calls, if it is ours, and how many arguments come before those written."""
    match call.func:
        case ast.Attribute(ast.Name("jobs"), attribute):
            return getattr(jobs, attribute), 0
        case ast.Attribute(ast.Attribute(ast.Name("self"), "run"), attribute):
            return getattr(jobs.Run, attribute), 1
        case ast.Attribute(_, "enqueue") | ast.Name("enqueue"):
            return Job.enqueue, 1
        case ast.Name(found) if hasattr(jobs, found):
            return getattr(jobs, found), 0
    return None


@pytest.mark.parametrize("name", ["from-celery.md", "from-rq.md"])
def test_every_call_in_the_tables_has_arguments_that_it_takes(name: str) -> None:
    options = {*EnqueueOptions.__annotations__, "session"}
    keywords = {one.name for one in dataclasses.fields(Options)}
    checked = 0
    for text, tree in snippets(name):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                given = {word.arg for word in node.keywords}
                assert given <= keywords, text
            if not isinstance(node, ast.Call) or (found := takes(node)) is None:
                continue
            target, before = found
            words = {str(word.arg) for word in node.keywords}
            if target is Job.enqueue:
                assert words <= options, text
            else:
                try:
                    inspect.signature(target).bind(*([None] * (before + len(node.args))), **dict.fromkeys(words))
                except TypeError as error:
                    raise AssertionError(text) from error
            checked += 1

    assert checked >= 15


@pytest.mark.parametrize("name", PAGES)
def test_every_command_on_the_page_exists(name: str) -> None:
    words = set(re.findall(r"jobledger ([a-z-]+)", (FOLDER / name).read_text()))

    assert words
    for word in words:
        assert CliRunner().invoke(cli, [word, "--help"]).exit_code == 0, word


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_on_the_page_exists(name: str) -> None:
    from jobs.settings import Settings

    named = set(re.findall(r"JOBS_([A-Z_]+)", (FOLDER / name).read_text()))

    assert {one.lower() for one in named} <= set(Settings.model_fields)
