"""House: what the API's process works with, made once and found by every handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from jobs.app import App


@dataclass(frozen=True, slots=True)
class House:
    """The App of this process, and the key that signs its access tokens."""

    app: App
    signing_key: str


def house_of(request: Request) -> House:
    house: House = request.app.state.house
    return house


def ledger_of(request: Request) -> App:
    return house_of(request).app


Ledger = Annotated[App, Depends(ledger_of)]
