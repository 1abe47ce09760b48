"""Jobs with sealed arguments, and everything that the ledger stores of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import String, cast, inspect, select

import jobs
from jobs.app import App
from jobs.database.models import Base
from jobs.operations.audit.operator import Operator
from jobs.sealing.keys import HASH, new_key
from jobs.testing import Ledger
from tests.seal_keys import write_keys

CANARY = "canary-4111-ünïcode"
ADA = Operator("ada")
HASH_LINE = f"{HASH} {new_key()}\n"
seen: list[Any] = []


class Card(jobs.Job, kind="sealed.Card"):
    order_id: int
    card: jobs.Sealed[str]
    fails: bool = False

    def idempotency_key(self) -> str | None:
        return f"card-{self.card}"

    def perform(self) -> None:
        seen.append(self.card)
        self.run.log(f"charging {self.card}")
        if self.fails:
            raise ValueError(f"declined: {self.card}")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return write_keys(tmp_path, hashing=HASH_LINE)


@pytest.fixture
def ledger(ledger_url: str, keys: Path) -> Iterator[Ledger]:
    seen.clear()
    with Ledger(ledger_url, seal_keys_file=keys) as made:
        yield made


def everything(app: App) -> str:
    """All that the tables of the ledger hold, as text."""
    found = []
    with app.database.read() as connection:
        names = set(inspect(connection).get_table_names())
        for table in Base.metadata.sorted_tables:
            if table.name in names:
                rows = connection.execute(select(*(cast(column, String) for column in table.c)))
                found += [json.dumps([str(one) for one in row], ensure_ascii=False) for row in rows]
    return "\n".join(found)


def raw(app: App, run_id: UUID) -> str:
    from jobs.ledger.runs.move import arguments_text

    with app.database.read() as connection:
        return arguments_text(connection, [run_id])[run_id]
