"""Settings: read once, checked whole, told of with secrets hidden, and documented by themselves."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from jobs import boot
from jobs.errors import ConfigurationError, LedgerMissing
from jobs.settings import SECRETS, Settings, origins, show, unknown_variables
from jobs.settings_reference import settings_page

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("JOBS_") and not name.startswith("JOBS_TEST_")]:
        monkeypatch.delenv(name)


def test_every_mistake_is_reported_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOBS_THREADS", "many")
    monkeypatch.setenv("JOBS_LEASE", "soon")
    monkeypatch.setenv("JOBS_SENTRY_DSN", "nonsense-canary")
    monkeypatch.setenv("JOBS_METRICS_BUCKETS", "1,0.5")
    monkeypatch.setenv("JOBS_REDIS_URL_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("JOBS_DATABASE_URL", "sqlite:///a.db")
    monkeypatch.setenv("JOBS_DATABASE_URL_FILE", str(tmp_path / "b"))

    with pytest.raises(ConfigurationError) as raised:
        Settings.read()

    said = str(raised.value)
    for name in ("THREADS", "LEASE", "SENTRY_DSN", "METRICS_BUCKETS", "REDIS_URL_FILE", "DATABASE_URL_FILE"):
        assert f"JOBS_{name}" in said
    assert "canary" not in said


def test_a_secret_is_read_from_the_file_that_its_twin_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:///from-file.db\n")
    monkeypatch.setenv("JOBS_DATABASE_URL_FILE", str(tmp_path / "url"))

    assert Settings.read().database_url == "sqlite:///from-file.db"
    assert origins({})["database_url"] == f"file {tmp_path / 'url'}"


def test_the_origin_of_a_setting_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_THREADS", "4")
    monkeypatch.setenv("JOBS_LEASE", "1m")

    found = origins({"threads": 2})

    assert found == {"threads": "option --threads", "lease": "environment JOBS_LEASE"}
    assert Settings.read(threads=2).lease == timedelta(minutes=1)


def test_an_unknown_variable_is_named_with_the_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_THREDS", "4")

    assert unknown_variables() == ["JOBS_THREDS is not a setting. Did you mean JOBS_THREADS?"]


def test_a_folder_with_a_dotenv_file_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("JOBS_THREADS=3\n")
    monkeypatch.chdir(tmp_path)

    assert Settings.read().threads == 8


def test_the_settings_travel_to_worker_processes_as_json() -> None:
    settings = Settings.read(
        lease=timedelta(seconds=45), metrics_buckets="0.1,1,10", metrics_port=0, sentry_dsn="https://k@h/1"
    )

    assert Settings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_shown_hidden(name: str) -> None:
    assert "canary" not in show(name, "https://u:canary@host/1?key=canary")
    assert "canary" not in show(name, "canary")


def test_enqueueing_without_a_ledger_setting_names_both_remedies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LedgerMissing) as raised:
        boot.build(Settings.read())

    assert "JOBS_DATABASE_URL" in str(raised.value)
    assert "jobledger migrate up" in str(raised.value)


def test_the_page_of_settings_is_made_from_them() -> None:
    """If this fails: jobledger config reference > docs/configuration.md"""
    assert (ROOT / "docs/configuration.md").read_text() == settings_page()


def test_the_page_names_every_setting_and_its_default() -> None:
    page = settings_page()

    for name, field in Settings.model_fields.items():
        assert f"| `JOBS_{name.upper()}` |" in page
        assert field.description


def test_empty_variables_are_ignored_and_names_may_be_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_THREADS", "")
    monkeypatch.setenv("jobs_processes", "3")
    monkeypatch.setenv("JOBS_QUEUES", "mail, reports")

    settings = Settings.read()

    assert (settings.threads, settings.processes, settings.queues) == (8, 3, ("mail", "reports"))


def test_only_reading_looks_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_THREADS", "3")

    assert Settings().threads == 8
    assert Settings.model_validate_json("{}").threads == 8


@pytest.mark.parametrize("schema", ["s" * 64, "\u00e9" * 32, "a%b", "a\nb"])
def test_a_schema_that_postgresql_would_cut_or_misread_is_refused(schema: str) -> None:  # K2.18
    with pytest.raises(ConfigurationError, match="63 bytes"):
        Settings.read(database_schema=schema)


@pytest.mark.parametrize("schema", ["s" * 63, "Jobs of ours", 'quo"ted'])
def test_a_schema_of_any_other_name_is_taken(schema: str) -> None:
    assert Settings.read(database_schema=schema).database_schema == schema
