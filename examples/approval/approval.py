"""Orders that a person approves: charge, wait for the answer, ship the parcels in parallel, and join.

In two terminals, in this folder::

    export JOBS_DATABASE_URL=sqlite:///approval.db
    jobledger migrate up && jobledger dev --import approval
    python place.py 7 2500 3

The charge is written to ``charges.txt``. An order above 1,000 waits: open the run in the pages that ``jobledger dev``
names, and press *Answer approval…*; the payload ``{"ok": true, "by": "ada"}`` approves it. While it waits, it holds no
worker. Each part is a step, so an attempt that begins again charges and ships nothing twice.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import jobs
from jobs import Job

FREE_UP_TO = 1000
"""Orders above this amount need a person's approval."""
ANSWER_WITHIN = timedelta(days=3)


def book(line: str) -> str:
    """Stands for a payment provider: writes a line and returns a receipt."""
    path = Path(os.environ.get("CHARGES", "charges.txt"))
    with path.open("a") as file:
        file.write(line + "\n")
    return f"receipt of {line}"


class Ship(Job, queue="shipping"):
    """Hands one parcel of an order to the carrier, and returns its tracking number."""

    order_id: int
    parcel: int

    def perform(self) -> str:
        return f"T{self.order_id}-{self.parcel}"


class PlaceOrder(Job, queue="orders"):
    order_id: int
    amount: int
    parcels: int = 1

    def perform(self) -> dict[str, Any]:
        receipt = self.run.once("charge", lambda: book(f"charge {self.order_id} {self.amount}"))
        if self.amount > FREE_UP_TO:
            try:
                answer = self.run.wait_for("approval", within=ANSWER_WITHIN)
            except jobs.WaitExpired:
                answer = {"ok": False, "by": "nobody"}
            if not (isinstance(answer, dict) and answer.get("ok")):
                self.run.once("refund", lambda: book(f"refund {self.order_id} {self.amount}"))
                return {"refunded": receipt, "answer": answer}
        tracking = self.run.gather("shipments", [Ship(order_id=self.order_id, parcel=n) for n in range(self.parcels)])
        return {"receipt": receipt, "tracking": tracking}
