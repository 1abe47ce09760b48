"""Turns of the upkeep take as long as they need: on a busy machine a second is over before all is done."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("batches", "history", "prune"):
        monkeypatch.setattr(f"jobs.upkeep.{module}.TURN_SECONDS", 600.0)
