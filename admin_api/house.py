"""House: what the API's process works with, made once and found by every handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from admin_api.desk import Desk
from admin_api.doorway import Doorway
from admin_api.kept import Kept
from admin_api.rates import Rates
from jobs.app import App
from jobs.clock import new_secret
from jobs.observe.ledger_metrics import LedgerMetrics
from jobs.operations.figures import Figures


@dataclass(frozen=True, slots=True)
class House:
    """The App of this process, the key that signs its access tokens, what it keeps of figures and of pages, what it
    does in the background, who signs in, the ledger's metrics, and how often who may ask for changes."""

    app: App
    signing_key: str
    figures: Figures
    kept: Kept
    desk: Desk
    doorway: Doorway
    metrics: LedgerMetrics
    rates: Rates

    @classmethod
    def over(cls, app: App) -> House:
        return cls(
            app, app.settings.api_secret or new_secret(), Figures(app), Kept(app.clock), Desk(), Doorway(),
            LedgerMetrics(app), Rates(app),
        )  # fmt: skip

    def drop(self) -> None:
        """Forget what is kept of the ledger: it was changed."""
        self.figures.drop()
        self.kept.drop()


def house_of(request: Request) -> House:
    house: House = request.app.state.house
    return house


# Async, for what takes no time is not worth a thread of the pool.
async def _house(request: Request) -> House:
    return house_of(request)


async def _ledger(request: Request) -> App:
    return house_of(request).app


Ledger = Annotated[App, Depends(_ledger)]
TheHouse = Annotated[House, Depends(_house)]
