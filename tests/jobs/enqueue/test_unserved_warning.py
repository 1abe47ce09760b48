"""Who enqueues in a ledger found by chance, where no worker looks, is told so, once."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from jobs.enqueue import unserved_warning
from jobs.ledger import workers
from jobs.settings import Settings
from tests.seen_app import Fine


@pytest.fixture
def found(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The App of a process in a folder with a ledger that no setting names."""
    shutil.copy(sqlite_template, tmp_path / boot.EMBEDDED_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBS_DATABASE_URL", raising=False)
    monkeypatch.setattr(unserved_warning, "_asked", set())
    app = boot.build(Settings.read())
    monkeypatch.setattr(boot, "_app", app)
    yield app
    app.close()


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.queue for record in caplog.records if record.message.startswith("Enqueued where no worker looks")]  # type: ignore[attr-defined]


def test_enqueueing_into_a_queue_without_workers_warns_once_a_queue(
    found: App, caplog: pytest.LogCaptureFixture
) -> None:
    Fine().enqueue()
    Fine().enqueue()
    Fine().enqueue(queue="mail")

    assert warned(caplog) == ["default", "mail"]


def test_a_queue_with_a_live_worker_causes_no_warning(found: App, caplog: pytest.LogCaptureFixture) -> None:
    with found.database.write() as connection:
        facts = {"host": "here", "pid": 1, "version": "1", "kinds": ["Fine"], "threads": 1}
        workers.register(connection, "w", queues=["default"], **facts)

    Fine().enqueue()

    assert warned(caplog) == []


def test_a_ledger_that_a_setting_names_causes_no_warning(app: App, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Fine().enqueue()

    assert warned(caplog) == []
