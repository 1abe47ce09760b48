"""An application for the pages: its worker performs the runs that a browser replays."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

import jobs
from jobs import Retry


class CardDeclined(Exception):
    """The bank declines the card."""


SOON = Retry(max_attempts=2, first=timedelta(milliseconds=50))


class ChargeCard(jobs.Job, kind="shop.ChargeCard", queue="payments", retry=SOON):
    """Charge an order's card once."""

    order_id: int = Field(description="The order's number.")
    card: str = "declined"
    currency: Literal["EUR", "USD"] = "EUR"
    express: bool = False
    notes: tuple[str, ...] = ()

    def perform(self) -> dict[str, str]:
        if self.card == "declined":
            raise CardDeclined(f"insufficient funds for order {self.order_id}")
        return {"receipt": f"R-{self.order_id}"}
