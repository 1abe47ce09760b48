"""What Sentry's monitors are told of schedules (K.16)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from jobs.definition.retry import Retry
from jobs.observe.check_ins import MAX_RUNTIME_MINUTES, begun, longest_run, slug
from jobs.scheduling.cron import ALIASES
from jobs.scheduling.schedule import At, Cron, Every

NO_WAIT = timedelta(0)
MINUTE = timedelta(minutes=1)
NAMES = [
    "acme.billing.statements.send_monthly_statements_to_customers_eu",
    "acme.billing.statements.send_monthly_statements_to_customers_us",
    "acme-billing-statements-send-monthly-statements-to-customers-eu",
    "acme-billing-statements-send-monthly-statements-to-customers-us",
    "Report A", "report a", "report-a", "report.a", "report/a", "-report-a-", "REPORT-A",
    "\u62a5\u544a", "\u30ec\u30dd\u30fc\u30c8", "r\u00e9port", "report", "!", "?", "a" * 50, "a" * 51, "a" * 200,
]  # fmt: skip


def test_every_name_has_a_slug_of_its_own_that_sentry_takes() -> None:
    slugs = [slug(name) for name in NAMES]

    assert len(set(slugs)) == len(NAMES)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,48}[a-z0-9]?", one) for one in slugs), slugs


@pytest.mark.parametrize("name", ["nightly", "report-a", "send_mail", "a" * 50])
def test_a_name_that_is_a_slug_keeps_it(name: str) -> None:
    assert slug(name) == name


@pytest.mark.parametrize(("alias", "expression"), ALIASES.items())
def test_a_monitor_is_made_for_an_alias_as_for_what_it_stands_for(alias: str, expression: str) -> None:
    assert _config(Cron(alias))["schedule"] == {"type": "crontab", "value": expression}
    assert _config(Cron(alias.upper())) == _config(Cron(expression))


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        (Cron("  0  3 * *   * "), {"type": "crontab", "value": "0 3 * * *"}),
        (Cron("30 0 3 * * *"), {"type": "crontab", "value": "0 3 * * *"}),
        (Every(timedelta(weeks=2)), {"type": "interval", "value": 14, "unit": "day"}),
        (Every(timedelta(minutes=90)), {"type": "interval", "value": 90, "unit": "minute"}),
    ],
)
def test_a_schedule_is_sent_in_the_form_that_sentry_reads(schedule: Any, told: dict[str, Any]) -> None:
    assert _config(schedule)["schedule"] == told


@pytest.mark.parametrize(
    "schedule", [Cron("*/10 * * * * *"), Every(timedelta(seconds=90)), At(datetime(2027, 1, 1, tzinfo=UTC)), None]
)
def test_schedules_that_sentry_cannot_express_get_no_monitor(schedule: Any) -> None:
    assert "monitor_config" not in begun("x", uuid4(), schedule)


def test_the_longest_run_is_every_attempt_and_every_wait() -> None:
    retry = Retry(max_attempts=4, first=MINUTE, factor=2.0, cap=3 * MINUTE)

    longest = longest_run(retry, timeout=10 * MINUTE, max_attempts=4, wait=2 * MINUTE)

    assert longest == 4 * 10 * MINUTE + (1 + 2 + 3) * MINUTE + 2 * MINUTE


def test_the_longest_run_ends_an_attempt_after_what_within_allows() -> None:
    retry = Retry(max_attempts=10, within=timedelta(hours=1))

    assert longest_run(retry, timeout=10 * MINUTE, max_attempts=10, wait=NO_WAIT) == timedelta(hours=1, minutes=10)
    assert longest_run(retry, timeout=10 * MINUTE, max_attempts=1, wait=NO_WAIT) == 10 * MINUTE


@pytest.mark.parametrize(
    ("longest", "minutes"),
    [
        (timedelta(seconds=1), 1),
        (timedelta(minutes=30, seconds=1), 31),
        (timedelta(hours=5), 300),
        (timedelta(days=400), MAX_RUNTIME_MINUTES),
        (None, MAX_RUNTIME_MINUTES),
    ],
)
def test_max_runtime_is_in_whole_minutes_and_never_more_than_sentry_takes(
    longest: timedelta | None, minutes: int
) -> None:
    assert begun("x", uuid4(), Cron("@daily"), longest=longest)["monitor_config"]["max_runtime"] == minutes


def test_a_policy_of_endless_retries_has_the_longest_max_runtime() -> None:
    longest = longest_run(Retry(max_attempts=32767), timeout=timedelta(days=30), max_attempts=32767, wait=NO_WAIT)

    assert longest == MAX_RUNTIME_MINUTES * MINUTE
    assert longest_run(Retry(), timeout=None, max_attempts=3, wait=NO_WAIT) is None


def _config(schedule: Any) -> dict[str, Any]:
    config: dict[str, Any] = begun("x", uuid4(), schedule)["monitor_config"]
    return config
