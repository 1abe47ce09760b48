"""Settings and durations: read once, checked whole; every mistake together, and no secret shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import ConfigurationError
from jobs.formats.duration import MAX_DURATION, format_duration, parse_duration
from jobs.settings import Settings, unknown_variables


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("JOBS_")]:
        monkeypatch.delenv(name)


def test_every_mistake_is_reported_together_each_by_its_variable(monkeypatch):
    for name, value in {"THREADS": "0", "LEASE": "soon", "PROCESSES": "many", "LOG_LEVEL": "loud"}.items():
        monkeypatch.setenv(f"JOBS_{name}", value)

    with pytest.raises(ConfigurationError) as caught:
        Settings.read()

    said = str(caught.value)
    assert all(name in said for name in ("JOBS_THREADS", "JOBS_LEASE", "JOBS_PROCESSES", "JOBS_LOG_LEVEL"))
    assert "\n" not in said
    assert "'soon' is not a duration" in said


def test_a_mistake_in_an_option_names_the_option():
    with pytest.raises(ConfigurationError, match="--max-argument-bytes"):
        Settings.read(max_argument_bytes=0)


def test_a_secret_may_be_a_file(monkeypatch, tmp_path):
    (tmp_path / "db").write_text("postgresql://u:p@h/d\n")
    monkeypatch.setenv("JOBS_DATABASE_URL_FILE", str(tmp_path / "db"))

    assert Settings.read().database_url == "postgresql://u:p@h/d"


def test_a_secret_that_is_set_twice_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("JOBS_DATABASE_URL_FILE", str(tmp_path / "db"))
    monkeypatch.setenv("JOBS_DATABASE_URL", "sqlite:///x.db")

    with pytest.raises(ConfigurationError, match="both set"):
        Settings.read()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch, tmp_path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("JOBS_REDIS_URL_FILE", str(path))

    with pytest.raises(ConfigurationError, match="JOBS_REDIS_URL_FILE") as caught:
        Settings.read()
    assert str(path) in str(caught.value)


def test_given_options_win_over_the_environment_and_none_is_not_given(monkeypatch):
    monkeypatch.setenv("JOBS_THREADS", "3")
    monkeypatch.setenv("JOBS_QUEUES", " a, b ,,c")

    assert Settings.read(threads=5).threads == 5
    assert Settings.read(threads=None).threads == 3
    assert Settings.read().queues == ("a", "b", "c")


def test_settings_travel_to_a_process_as_they_are():
    one = Settings.read(lease=timedelta(milliseconds=1500), queues=("a", "b"), database_url="sqlite:///x.db")

    assert Settings.model_validate_json(one.model_dump_json()) == one


def test_a_variable_that_is_no_setting_names_the_nearest(monkeypatch):
    monkeypatch.setenv("JOBS_THREAD", "3")

    assert unknown_variables() == ["JOBS_THREAD is not a setting. Did you mean JOBS_THREADS?"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0", 0), ("250ms", 0.25), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604800),
     (" 2W ", 1209600), ("1.5h", 5400)],
)  # fmt: skip
def test_a_duration_is_read_as_people_write_it(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "-1", "1x", "h", "1h-30m", "1e3", "nan", "inf", "1 h", "٣s", "9" * 400, "99999w"])
def test_an_invalid_duration_is_refused_clearly(text):
    with pytest.raises(ValueError, match=r"duration|hundred years"):
        parse_duration(text)


@given(st.timedeltas(timedelta(0), MAX_DURATION))
def test_a_shown_duration_is_near_what_it_shows(span):
    shown = parse_duration(format_duration(span))

    assert abs(shown - span) <= max(span * 0.05, timedelta(milliseconds=1))


@pytest.mark.parametrize("proxies", ["not-an-ip", "*", "0.0.0.0/0", "::/0", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.1,x"])
def test_a_proxy_that_is_no_address_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    """K2.3"""
    monkeypatch.setenv("JOBS_API_PROXIES", proxies)

    with pytest.raises(ConfigurationError, match="JOBS_API_PROXIES"):
        Settings.read()


def test_addresses_and_networks_of_proxies_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_API_PROXIES", "10.0.0.5, 10.1.0.0/16, fd00::/8, ::1")

    assert Settings.read().api_proxies == ("10.0.0.5", "10.1.0.0/16", "fd00::/8", "::1")
