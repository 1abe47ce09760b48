"""One leads by the ledger's clock; the next takes over when its lease is over, and not before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.app import App
from jobs.ledger.schedules import leader
from jobs.ledger.schedules.leader import LEASE
from scheduler.leader import Leadership

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def lead(app: App, holder: str, after: timedelta) -> bool:
    with app.database.write() as connection:
        return leader.lead(connection, "scheduler", holder, now=NOW + after)


def test_leadership_is_kept_by_renewals_and_taken_over_when_it_expires(app: App) -> None:
    assert lead(app, "a", 0 * SECOND)
    assert not lead(app, "b", LEASE)
    assert lead(app, "a", LEASE - SECOND)
    assert not lead(app, "b", LEASE + SECOND)
    assert lead(app, "b", 2 * LEASE)
    assert not lead(app, "a", 2 * LEASE + SECOND)


def test_a_lease_from_before_the_clock_was_set_back_does_not_hold_for_hours(app: App) -> None:
    assert lead(app, "a", timedelta(hours=2))

    assert lead(app, "b", 0 * SECOND)


def test_a_leader_that_resigns_is_replaced_at_once(app: App) -> None:
    first, second = Leadership(app), Leadership(app)
    assert first.renew()
    assert not second.renew()

    first.resign()

    assert second.renew()
    assert not first.is_leading


def test_the_leader_is_on_record(app: App) -> None:
    lead(app, "a", 0 * SECOND)
    lead(app, "a", SECOND)

    with app.database.read() as connection:
        record = leader.leader(connection, "scheduler", now=NOW + 2 * SECOND)
        later = leader.leader(connection, "scheduler", now=NOW + 2 * LEASE)

    assert record is not None
    assert later is not None
    assert (record.holder, record.since, record.ticked_at) == ("a", NOW, NOW + SECOND)
    assert (record.is_live, later.is_live) == (True, False)
