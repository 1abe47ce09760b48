"""Orders: charged once, shipped or refunded, and the stock given back when the card is declined.

In three terminals, in this folder::

    export JOBS_DATABASE_URL=sqlite:///orders.db GATEWAY_URL=http://127.0.0.1:8402
    python gateway.py
    jobledger migrate up && jobledger worker --import orders
    python place.py 20 && jobledger status

The order and its first run are one transaction; so are the payment, its run's success and the run that ships. What
cannot be in a transaction, the gateway's part, is a step with a key.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, String, insert, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from jobs import GiveUp, Job, Retry, RetryAfter

PATIENT = Retry(max_attempts=30, first=timedelta(milliseconds=200), cap=timedelta(seconds=2))
NO_ADDRESS = 7
"""Every seventh order has no address, and cannot be shipped."""


class Base(DeclarativeBase): ...


class Stock(Base):
    __tablename__ = "stock"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    left: Mapped[int] = mapped_column(Integer)


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    amount: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))


class Payment(Base):
    """One row for each payment or refund. No constraint makes it unique, so that the tests would see a second one."""

    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    order_id: Mapped[int] = mapped_column(Integer)
    receipt: Mapped[str] = mapped_column(String(50))


def place(session: Session, order_id: int, amount: int) -> None:
    """Take an order in the caller's transaction, which commits its row, its stock and its first run together."""
    session.add(Order(id=order_id, amount=amount, state="placed"))
    session.execute(update(Stock).values(left=Stock.left - 1))
    Charge(order_id=order_id, amount=amount).enqueue(session=session, on_dead=[Release(order_id=order_id)])


class Charge(Job, queue="payments", timeout=timedelta(seconds=30), retry=PATIENT):
    """Charge an order's card once."""

    order_id: int
    amount: int

    def idempotency_key(self) -> str:
        return f"order:{self.order_id}"

    def perform(self) -> str:
        key = self.run.effect_key("charge")
        receipt = self.run.once("charge", lambda: call("charge", key, order=self.order_id, amount=self.amount))
        with self.run.transaction() as session:
            session.execute(insert(Payment).values(order_id=self.order_id, receipt=receipt))
            session.execute(update(Order).where(Order.id == self.order_id).values(state="paid"))
            Ship(order_id=self.order_id).enqueue(on_dead=[Refund(order_id=self.order_id)])
        return str(receipt)


class Ship(Job, queue="shipping"):
    order_id: int

    def perform(self) -> None:
        if self.order_id % NO_ADDRESS == 0:
            raise GiveUp("no address")
        with self.run.transaction() as session:
            session.execute(update(Order).where(Order.id == self.order_id).values(state="shipped"))


class Refund(Job, queue="payments", retry=PATIENT):
    """The compensation of a charge, enqueued when the shipping run is dead."""

    order_id: int

    def perform(self) -> None:
        key = self.run.effect_key("refund")
        receipt = self.run.once("refund", lambda: call("refund", key, order=self.order_id))
        with self.run.transaction() as session:
            session.execute(insert(Payment).values(order_id=self.order_id, receipt=receipt))
            give_back(session, self.order_id, "refunded")


class Release(Job, queue="shipping"):
    """The compensation of an order whose card was declined."""

    order_id: int

    def perform(self) -> None:
        with self.run.transaction() as session:
            give_back(session, self.order_id, "declined")


def give_back(session: Session, order_id: int, state: str) -> None:
    """Return an order's piece to the stock."""
    session.execute(update(Stock).values(left=Stock.left + 1))
    session.execute(update(Order).where(Order.id == order_id).values(state=state))


def call(what: str, key: str, **body: Any) -> str:
    """Call the gateway; returns the receipt. A refusal is final; an overloaded gateway says when to try again."""
    request = urllib.request.Request(
        f"{os.environ['GATEWAY_URL']}/{what}",
        data=json.dumps(body).encode(),
        headers={"Idempotency-Key": key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["receipt"])
    except urllib.error.HTTPError as error:
        if error.code == 402:
            raise GiveUp("the card was declined") from error
        if error.code == 503:
            raise RetryAfter(timedelta(seconds=float(error.headers.get("Retry-After", 1)))) from error
        raise
