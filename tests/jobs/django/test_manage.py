"""``manage.py``: the ledger's command line with Django's settings, migrations of both, and a real worker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fork_server import forked
from tests.jobs.django.conftest import ROOT, environment
from tests.waiting import wait_until


def manage(url: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*forked("tests.django_project.program"), *words]
    return subprocess.run(
        command, env={**environment(url), **more}, cwd=ROOT, capture_output=True, text=True, timeout=100
    )


@pytest.mark.slow
def test_a_worker_performs_what_the_project_enqueues(project: str, tmp_path: Path) -> None:
    from tests.django_project.shop import tasks
    from tests.django_project.shop.models import Order

    order = Order.objects.create(item="book")
    results = [tasks.charge.enqueue(order.pk), tasks.noop_task_async.enqueue(), tasks.failing_task_async.enqueue()]
    log = tmp_path / "worker.log"
    with log.open("wb") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "django", "jobs", "worker", "--threads", "2"],
            env=environment(project),
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        assert wait_until(lambda: all(_finished(one) for one in results), seconds=60), log.read_text()
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0, log.read_text()

    order.refresh_from_db()
    assert order.is_charged
    assert [one.status.name for one in results] == ["SUCCESSFUL", "SUCCESSFUL", "FAILED"]
    assert results[0].worker_ids[0] not in ("", "testing")


def _finished(result: Any) -> bool:
    result.refresh()
    return bool(result.is_finished)


def test_the_commands_use_djangos_settings(django_sqlite: Path) -> None:
    url = f"sqlite:///{django_sqlite}"

    config = manage(url, "jobs", "--settings", "tests.django_project.settings", "config", "show", "--origin")
    kinds = manage(url, "jobs", "kinds", "list", JOBS_IMPORTS="tests.seen_app")

    assert [line for line in config.stdout.splitlines() if "Django's settings" in line and str(django_sqlite) in line]
    assert "tests.django_project.shop.tasks.charge" in kinds.stdout, kinds.stderr
    assert "tests.seen_app" not in kinds.stderr
    assert manage(url, "jobs", "show", "no-such-run").returncode == 3


def test_the_words_of_django_and_ours_are_told_apart() -> None:
    from jobs.django.management.commands.jobs import own_words, with_imports

    assert own_words(["--settings", "a.b", "list", "--no-color", "--settings=c", "-o", "json"]) == [
        "list",
        "-o",
        "json",
    ]
    assert with_imports(["worker", "--import", "a", "--import", "b"]) == [
        "worker", "--import", "jobs.django.worker", "--import", "a", "--import", "b",
    ]  # fmt: skip
    assert with_imports(["status"]) == ["status"]


def test_migrate_makes_our_tables_and_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    before = manage(url, "check", "--database", "default")
    assert "jobs.W001" in before.stderr
    said = manage(url, "migrate")
    assert said.returncode == 0, said.stderr
    assert "Migrated the ledger's tables from nothing to" in said.stdout
    assert "Migrated the ledger" not in manage(url, "migrate").stdout

    after = manage(url, "check", "--database", "default")
    assert (after.returncode, "jobs." in after.stderr) == (0, False)
    assert "No changes detected" in manage(url, "makemigrations", "--dry-run").stdout


CHECKS: list[tuple[dict[str, Any], str]] = [
    ({"OPTIONS": {"tries": 3}}, "jobs.E004"),
    ({"OPTIONS": {"tasks": {"a.b": {"timeout": "soon"}}}}, "jobs.E004"),
    ({"OPTIONS": {"tasks": {"a.b": {"queue": "mail"}}}}, "jobs.E004"),
    ({"OPTIONS": {"tasks": ["a.b"]}}, "jobs.E004"),
    ({"OPTIONS": {"retry": {"max_attempts": 0}}}, "jobs.E004"),
    ({"OPTIONS": {"key": "no.such.function"}}, "jobs.E004"),
    ({"OPTIONS": {"unique": "sometimes"}}, "jobs.E004"),
]


@pytest.mark.parametrize(("backend", "found"), CHECKS)
def test_a_wrong_option_is_found_by_the_system_checks(
    use_database: Callable[[str], None], django_sqlite: Path, backend: dict[str, Any], found: str
) -> None:
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError
    from django.test import override_settings

    use_database(f"sqlite:///{django_sqlite}")
    with (
        override_settings(TASKS={"default": {"BACKEND": "jobs.django.LedgerBackend", **backend}}),
        pytest.raises(SystemCheckError, match=found),
    ):
        call_command("check")


def test_other_faults_are_found_by_the_system_checks(
    use_database: Callable[[str], None], django_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core import checks
    from django.test import override_settings

    def ids() -> list[str]:
        return [one.id for one in checks.run_checks() if str(one.id).startswith("jobs.")]

    use_database(f"sqlite:///{django_sqlite}")
    assert ids() == []
    with override_settings(JOBS={"LEASE": "soon"}):
        assert ids() == ["jobs.E002"]
    with override_settings(JOBS={"DATABASE": "nowhere"}):
        assert ids() == ["jobs.E002"]
    monkeypatch.setenv("JOBS_DATABASE_URL", "sqlite:///elsewhere.db")
    assert ids() == ["jobs.W003"]
