"""``jobledger batches cancel``: it changes nothing before the operator has confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

import jobs
from admin_cli.main import cli
from jobs import Job, NotFound, RunState
from jobs.errors import Conflict
from jobs.testing import Ledger


class BatchMember(Job):
    def perform(self) -> None: ...


def cancel(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["batches", "cancel", *arguments])


def test_a_batch_is_closed_once_its_cancellation_is_confirmed(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    with Ledger(sqlite_url):
        with jobs.batch("import") as batch:
            member = batch.add(BatchMember())
        name = str(batch.id)

        refused = [cancel(name, "--expect", "7", "--yes"), cancel(name), cancel(name, "--dry-run")]

        assert [one.exit_code == 0 for one in refused] == [False, False, True]
        assert isinstance(refused[0].exception, Conflict)
        assert jobs.find_batch(name).cancelled_at is None
        assert jobs.find(member).state is RunState.QUEUED

        assert cancel(name, "--yes").exit_code == 0
        assert jobs.find_batch(name).cancelled_at is not None
        assert jobs.find(member).state is RunState.CANCELLED

    assert isinstance(cancel("0000ba7c", "--yes").exception, NotFound)
