"""A job whose arguments the tests of this folder change."""

from __future__ import annotations

from typing import Any

import pytest

from jobs import Job
from jobs.definition import registry


@pytest.fixture
def mail_job() -> Any:
    class MailJob(Job, kind="Mail"):
        order_id: int
        card: str

        def perform(self) -> None: ...

    yield MailJob
    registry.forget("Mail")
