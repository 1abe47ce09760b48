"""Ledgers for pages to show: one of a shop with failures, and one with hostile texts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id, new_token
from jobs.definition import registry
from jobs.definition.breaker import Breaker
from jobs.definition.breakers import Slice
from jobs.definition.limit import Limit
from jobs.ledger import workers
from jobs.ledger.breakers.slices import declare as declare_breakers
from jobs.ledger.breakers.slices import set_open
from jobs.ledger.effects.attempt_logs import write_logs
from jobs.ledger.limits.counts import declare
from jobs.ledger.limits.overrides import set_override
from jobs.ledger.records import Failure, KeptLog
from jobs.operations.access.tokens import create_token
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from jobs.operations.control.pause import pause
from jobs.operations.control.targets import set_target
from jobs.operations.schedules.edit import new_schedule
from jobs.states import Cause, Outcome
from jobs.storage.upload import upload
from tests.admin_api.conftest import PASSWORD
from tests.admin_cli import world
from tests.book import Book

HOSTILE = {
    "script": "<script>window.harmed=1;alert(1)</script>",
    "attribute": "\"><img src=x onerror=\"window.harmed=1;alert(2)\"> ' onmouseover='alert(3)' x='",
    "rtl": "invoice\u202etxt.exe\u202c \u2066hidden\u2069 \u200f\u061c",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \x00".replace("\x00", ""),
    "long": "W" * 300 + "_" * 60,
    "template": "{{ 7*7 }} {% include '/etc/passwd' %} ${7*7} #{7*7} <%= 7*7 %>",
    "closing": "</title></textarea></select></svg></main><h1>forged</h1><style>*{display:none}</style>",
    "url": "javascript:alert(4)//https://evil.example/?q=%0aSet-Cookie:x",
    "zalgo": "Z" + "\u0301" * 80 + " \u200b\ufeff end",
    "svg": "<svg/onload=alert(5)><a href='javascript:alert(6)'>x</a>",
}
"""What an enqueuer may write anywhere: each must be shown as the text that it is."""


@dataclass(frozen=True)
class Places:
    """The ids and names that tests look up."""

    run: UUID
    known: UUID
    family: UUID
    action: UUID
    schedule: str
    kind: str
    user: str
    limit: str
    """The name of a limit and of a breaker, both by keys."""
    stored: UUID
    """A stored value."""


def copy_into(app: App, filled: Path) -> None:
    """Give the SQLite ledger of ``app`` the rows of the file ``filled``."""
    path = (app.settings.database_url or "").removeprefix("sqlite:///")
    with closing(sqlite3.connect(filled)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)


def fill(app: App) -> Places:
    """A shop with failures: at least one row of every kind."""
    world.build(app)
    book, ada = Book(app.database, now=datetime.now(UTC)), Operator("ada@desk")
    parent = _family(book)
    _log(app, parent, [*(f"order {number} charged" for number in range(60)), "x" * 4_000], left_out=9_000)
    from tests.admin_api.pages.shop import ChargeCard

    registry.register(ChargeCard, kind="shop.ChargeCard")
    dead = _die(book)
    for minute in range(50, 0, -2):
        book.now = datetime.now(UTC) - timedelta(minutes=minute)
        for _ in range(1 + minute * 7 % 6):
            _perform(book, kind="SendInvoice", queue="mail")
    book.now = datetime.now(UTC)
    for name, data in {
        "nightly report": {"type": "cron", "expression": "0 3 * * *", "timezone": "Europe/Paris"},
        "every half hour": {"type": "cron", "expression": "*/30 * * * *"},
        "heartbeat": {"type": "every", "interval_seconds": 60},
    }.items():
        new_schedule(
            app, name, "shop.ChargeCard", {"order_id": 7}, data, by=ada, reason="asked for by finance"
        )  # fmt: skip
    create_user(app, ada, "grace", password=PASSWORD, role="operator")
    create_token(app, ada, user="grace", name="deploys", permissions=["runs:read"], lasts=timedelta(days=90))
    set_target(app, Operator("ada@desk"), "payments", latency=timedelta(seconds=30), success=0.995)
    stored = upload(app, iter([b"content"]), name="invoice.pdf", run_id=dead).id
    return Places(
        world.DEAD, dead, parent, world.ACTION, "nightly report", "shop.ChargeCard", "grace", "Charge", stored
    )


def _log(app: App, run_id: UUID, texts: Sequence[str], *, left_out: int = 0) -> None:
    """The log of a first attempt, as a worker keeps it."""
    lines = [[number, number / 10, "INFO", "run", text] for number, text in enumerate(texts, start=1)]
    kept = KeptLog(json.dumps(lines), len(texts) + left_out, left_out)
    with app.database.write() as connection:
        write_logs(connection, [(run_id, 1, new_token(), kept)])


def _die(book: Book) -> UUID:
    """Make a dead run of a kind that the server knows."""
    book.now = datetime.now(UTC) - timedelta(minutes=20)
    arguments = {"order_id": 77, "card": "declined", "currency": "EUR", "express": True, "notes": ["call first"]}
    run_id = book.enqueue(kind="shop.ChargeCard", queue="cards", arguments=arguments, max_attempts=2)
    for cause in (None, Cause.EXHAUSTED):
        (held,) = book.claim(run_id, kinds=["shop.ChargeCard"], worker=world.WORKER)
        book.end(held, Outcome.FAILED, failure=world.DECLINED, cause=cause, elapsed=1.5, delay=0.0)
        book.step(30)
    return run_id


def _family(book: Book) -> UUID:
    root, parent = new_run_id(), new_run_id()
    book.enqueue(id=root, kind="Report", queue="reports", delay_seconds=3600.0)
    book.enqueue(id=parent, kind="Report", queue="reports", parent_id=root, root_id=root, arguments={"eu": True})
    book.claim(parent, kinds=["Report"], worker=world.WORKER)
    for _ in range(4):
        _perform(book, kind="SendInvoice", queue="mail", parent_id=parent, root_id=root)
    return parent


def _perform(book: Book, *, kind: str, **given: Any) -> None:
    run_id = book.enqueue(kind=kind, **given)
    (held,) = book.claim(run_id, kinds=[kind], worker=world.WORKER)
    book.end(held, Outcome.SUCCEEDED, elapsed=0.2)


def harm(app: App) -> Places:
    """Write hostile names, arguments, errors, tags and reasons wherever a user can write them."""
    book, villain = Book(app.database, now=datetime.now(UTC)), Operator(HOSTILE["attribute"][:200])
    book.step(-300)
    last = world.DEAD
    for number, (word, text) in enumerate(HOSTILE.items()):
        kind, queue = text[:200], text[:100]
        run_id = new_run_id()
        book.enqueue(
            id=run_id, kind=kind, queue=queue, key=text[:200], arguments={text[:200]: [text, {word: text}]},
            tags=json.dumps([text[:100]]), enqueued_by=text[:200], correlation_id=text[:100], max_attempts=1,
        )  # fmt: skip
        failure = Failure(text[:200], f"{text}\n{text}", f"Traceback\n  File {text}\n{text}", f"{number:012x}")
        (held,) = book.claim(run_id, kinds=[kind], worker=text[:200])
        book.end(held, Outcome.FAILED, failure=failure, cause=Cause.EXHAUSTED, elapsed=0.5, delay=0.0)
        _log(app, run_id, [text, text])
        book.step(1)
        book.enqueue(kind=kind, queue=queue, arguments={}, parent_id=run_id, root_id=run_id)
        pause(app, villain, "queue", queue, reason=text[:500])
        pause(app, villain, "kind", kind, reason=text[:500])
        for what, name in (("queue", queue), ("kind", kind)):
            set_target(app, villain, name, what=what, latency=timedelta(seconds=30), success=0.999)
        with app.database.write() as connection:
            workers.register(
                connection, f"{text[:150]}/{number}/0.1-aa", host=text[:200], pid=number + 1, version=text[:50],
                queues=[queue], kinds=[kind], threads=4,
            )  # fmt: skip
        _limit(app, text, number)
        stored = upload(app, iter([b"content"]), name=text[:200], run_id=run_id).id
        last = run_id
    action = _replayed(app, villain, last)
    return Places(last, last, last, action, "none", HOSTILE["svg"][:200], "none", HOSTILE["closing"][:100], stored)


def _limit(app: App, text: str, number: int) -> None:
    """A limit and an open breaker of this name, key and error."""
    name, digest = text[:100], f"{number:032x}"
    with app.database.write() as connection:
        declare(connection, [Limit(3, by="account", name=name)])
        set_override(connection, (name, digest), {"set_most": 2}, shown=text[:200])
        declare_breakers(connection, [Breaker(by="account", name=name)])
        set_open(
            connection, Slice(name, digest), seconds=60.0, key=text[:200], fingerprint="a" * 12,
            error_type=text[:200], failures=20,
        )  # fmt: skip


def _replayed(app: App, villain: Operator, run_id: UUID) -> UUID:
    from jobs.ledger.queries.selectors import Selector
    from jobs.operations.bulk import action
    from jobs.operations.bulk.purge import PurgeAction

    planned = action.plan(app, villain, PurgeAction(), Selector(ids=(run_id,)))
    report = action.carry_out(app, villain, PurgeAction(), planned, reason=HOSTILE["closing"])
    from jobs.operations.bulk.purge import RestoreAction

    action.carry_out(
        app, villain, RestoreAction(), action.plan(app, villain, RestoreAction(), Selector(ids=(run_id,))), reason="x"
    )
    return report.action_id
