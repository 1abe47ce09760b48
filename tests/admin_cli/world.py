"""A small application and its ledger, with data for every command and for every example of the help texts.

Ids, names and fingerprints are those that the helps and docs use. Moments are real ones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert

from jobs import boot
from jobs.app import App
from jobs.clock import new_token
from jobs.database.models import JobStep
from jobs.database.sql import ledger_now
from jobs.definition.breaker import Breaker
from jobs.definition.breakers import Slice
from jobs.definition.limit import Limit
from jobs.definition.limits import digest_of
from jobs.definition.rate import Rate
from jobs.ledger import workers
from jobs.ledger.batches.members import NewBatch, make_batches
from jobs.ledger.breakers.slices import declare as declare_breakers
from jobs.ledger.breakers.slices import set_open
from jobs.ledger.effects.attempt_logs import write_logs
from jobs.ledger.limits.counts import declare
from jobs.ledger.limits.overrides import set_override
from jobs.ledger.operators.alert_routes import put_route
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import Failure, KeptLog
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk import action
from jobs.operations.bulk.purge import PurgeAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.control.pause import pause
from jobs.settings import Settings
from jobs.states import Cause, Outcome, RunState
from jobs.storage.value import Stored
from tests.book import Book

DEAD = UUID("019ab000-0000-7000-8000-0000c9165be1")
NIGHTLY = NewBatch(
    id=UUID("019ab000-0000-7000-8000-00000000ba7c"), name="nightly", parent_id=None, depth=0, run_id=None, members=(),
    callbacks=(), enqueued_by="desk/1", correlation_id=None,
)  # fmt: skip
"""A batch without members, which has ended."""
ACTION = UUID("019ab000-0000-7000-8000-0000110f1ec2")
FINGERPRINT = "c41d9e2a77b0"
DECLINED = Failure(
    "CardDeclined", "insufficient funds on the card of the customer, says the bank", "Traceback …", FINGERPRINT
)
WORKER = "desk/4711/0.1-c0ffee00"
SHOP = '''
from datetime import timedelta
from jobs import Cron, Job, Retry

class ChargeCard(Job, queue="payments", timeout=timedelta(seconds=30), retry=Retry(max_attempts=3)):
    """Charge an order's card once."""
    order_id: int
    card: str = "declined"
    def idempotency_key(self): return f"order:{self.order_id}"
    def perform(self): pass

class SendInvoice(Job, queue="mail"):
    """Send an order's invoice."""
    order_id: int
    def perform(self): pass

class Report(Job):
    eu: bool = False
    def perform(self): pass
'''


def build(app: App) -> Book:
    """Fill the ledger of ``app``."""
    book, ada = Book(app.database, now=datetime.now(UTC)), Operator("ada@desk")
    book.step(-609)
    _die(book, DEAD, order_id=42, card="declined")
    _die(book, _id(0x11), order_id=43, card="declined")
    _leave_unknown(app, DEAD, "charge", "refund")
    replayed = _die(book, _id(0x12), order_id=44, card="declined")
    book.bring(RunState.SUCCEEDED, id=_id(0x21), kind="Mail", queue="mail")
    book.bring(RunState.CANCELLED, id=_id(0x22), kind="Mail", queue="mail")
    hidden, _ = book.bring(RunState.SUCCEEDED, id=_id(0x23), kind="Mail", queue="mail")
    book.step(600)
    _start_worker(app)
    _limit(app)
    book.enqueue(id=_id(0x31), kind="SendInvoice", queue="mail", arguments={"order_id": 7}, tags='["eu", "vip"]')
    book.enqueue(id=_id(0x32), kind="SendInvoice", queue="mail", arguments={"order_id": 8}, delay_seconds=7200.0)
    book.start(id=_id(0x33), kind="Mail", queue="mail", worker=WORKER)
    book.start(id=_id(0x34), kind="Mail", queue="mail", worker=WORKER)
    with app.database.write() as connection:
        make_batches(connection, [NIGHTLY], now=book.now)
    pause(app, ada, "queue", "payments", reason="provider is down")
    act = ReplayAction(app=app, operator=ada)
    _do(app, ada, act, replayed, ACTION)
    _do(app, ada, PurgeAction(), hidden, _id(0x91))
    return book


def seal_for(subject: int) -> None:
    """Make the key of a subject, with the keys that the environment names."""
    app = boot.build(Settings.read())
    app.seals.subjects.sealing(app, subject)
    app.close()


def store_for(run_id: UUID) -> None:
    """Store a value that a run refers to, in the ledger that the environment names."""
    app = boot.build(Settings.read())
    Stored(b"an invoice", name="invoice.pdf").write_to(app, run_id=run_id)
    app.close()


def _die(book: Book, run_id: UUID, **arguments: object) -> UUID:
    book.enqueue(
        id=run_id, kind="ChargeCard", queue="payments", arguments=arguments, key=f"order:{arguments['order_id']}"
    )
    for attempt in (1, 2, 3):
        (held,) = book.claim(run_id, kinds=["ChargeCard"], worker=WORKER)
        is_last = attempt == 3
        book.end(
            held,
            Outcome.FAILED,
            failure=DECLINED,
            cause=Cause.EXHAUSTED if is_last else None,
            elapsed=0.25 * attempt,
            delay=0.0,
        )
        book.step(1)
    assert book.run(run_id).state is RunState.DEAD
    return run_id


def _leave_unknown(app: App, run_id: UUID, *names: str) -> None:
    """Make steps that began and have no end."""
    with app.database.write() as connection:
        for name in names:
            values = {"run_id": run_id, "name": name, "form": "effect", "token": new_token(), "attempt": 1}
            connection.execute(insert(JobStep).values(**values, started_at=ledger_now()), {"now": None})


def _start_worker(app: App) -> None:
    with app.database.write() as connection:
        workers.register(
            connection, WORKER, host="desk", pid=4712, version="0.1.0", queues=["mail", "payments"],
            kinds=["ChargeCard", "SendInvoice", "Report"], threads=4,
        )  # fmt: skip


def _limit(app: App) -> None:
    """Set two limits, one of which an operator has lowered."""
    with app.database.write() as connection:
        declare(
            connection,
            [
                Limit(50, name="stripe"),
                Rate(600, per=timedelta(minutes=1), name="stripe"),
                Limit(5, by="account", name="Charge"),
            ],
        )
        declare_breakers(connection, [Breaker(name="stripe"), Breaker(by="account", name="Charge")])
        set_open(connection, Slice("stripe", ""), seconds=60.0, fingerprint="a" * 12, error_type="ConnectionError")
        set_open(
            connection,
            Slice("Charge", digest_of("eu-17")),
            seconds=60.0,
            key="eu-17",
            fingerprint="a" * 12,
            failures=20,
        )
        write_logs(connection, [(DEAD, 1, new_token(), KeptLog('[[1,0,"INFO","run","charging order 7"]]', 1, 0))])
        pager = {"target": "https://ops.example.com/in", "target_env": None, "secret_env": "JOBS_ALERT_SECRET"}
        put_route(
            connection, "pager", {"kind": "webhook", **pager, "topics": ["dead"], "group_seconds": 600}, by="ada@desk"
        )
        set_override(connection, ("stripe", ""), {"set_most": 20, "set_rate": None, "hold_until": None})


def _do(app: App, ada: Operator, act: action.Act, run_id: UUID, action_id: UUID) -> None:
    made, action.new_run_id = action.new_run_id, lambda: action_id
    try:
        action.carry_out(app, ada, act, action.plan(app, ada, act, Selector(ids=(run_id,))), reason="card fixed")
    finally:
        action.new_run_id = made


def _id(number: int) -> UUID:
    return UUID(int=0x019AB000_0000_7000_8000_000000000000 + 0xA0000000 + number * 0x1001)
