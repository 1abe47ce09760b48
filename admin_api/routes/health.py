"""Health: is this process alive, and does the ledger answer?"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from admin_api.envelope import Envelope
from admin_api.failing import ANSWERS
from admin_api.house import Ledger
from jobs import schema

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Envelope[Health]:
    """Answers 200 as long as the process does; asks nothing of the ledger."""
    return Envelope(data=Health())


@router.get("/readyz", summary="Does the ledger answer?", responses={503: ANSWERS[503]})
def readyz(app: Ledger) -> Envelope[Health]:
    """Answers 200 when the ledger answers and its tables are those of this release; else 503."""
    schema.check(app.database)
    return Envelope(data=Health())
