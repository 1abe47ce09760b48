"""Who is slowed down at signing in, and who never is. On each dialect. (K2.3, K2.4)"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.app import App
from jobs.ledger.operators import rate_limits
from jobs.operations.access import sign_in, sign_in_limits
from jobs.operations.access.access_errors import TooManyAttempts, Unauthenticated
from jobs.operations.access.sign_in_limits import network_of
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator

PASSWORD = "a long enough password"
HOME, OFFICE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def crowd(monkeypatch: pytest.MonkeyPatch) -> int:
    """A smaller one: each try takes a while."""
    monkeypatch.setattr(sign_in_limits, "MANY_FAILURES", 6)
    return sign_in_limits.MANY_FAILURES


@pytest.fixture(autouse=True)
def ann(app: App, ada: Operator) -> None:
    create_user(app, ada, "ann", password=PASSWORD, role="admin")


def enter(app: App, address: str | None, *, name: str = "ann", password: str = PASSWORD) -> str:
    """How a try ends: "in", "wrong" or "wait"."""
    try:
        sign_in.sign_in(app, name, password, kind="page", address=address)
    except Unauthenticated:
        return "wrong"
    except TooManyAttempts:
        return "wait"
    return "in"


def guess(app: App, addresses: Iterable[str | None], *, name: str = "ann") -> list[str]:
    return [enter(app, one, name=name, password="a wrong password") for one in addresses]


def rows(app: App) -> int:
    with app.database.read() as connection:
        return int(connection.execute(text("select count(*) from operator_limits")).scalar_one())


def test_strangers_elsewhere_never_lock_the_owner_out(app: App) -> None:
    strangers = [f"203.0.113.{n % 3}" for n in range(15)]
    assert guess(app, strangers).count("wrong") < 10

    assert enter(app, HOME) == "in"
    assert enter(app, "2001:db8::1") == "in"


def test_strangers_at_the_same_address_do_not_lock_out_who_signed_in_from_there(app: App) -> None:
    assert enter(app, OFFICE) == "in"
    for n in range(6):
        guess(app, [OFFICE], name=f"name-{n}")
    assert guess(app, [OFFICE], name="another") == ["wait"]

    assert enter(app, OFFICE) == "in"


def test_where_the_address_is_not_known_nobody_is_locked_out(app: App) -> None:
    """A proxy that nobody named: all come from it."""
    assert guess(app, [None] * 7) == ["wrong"] * 7

    assert enter(app, None) == "in"


def test_an_account_that_fails_from_everywhere_gives_each_new_address_one_try(app: App, crowd: int) -> None:
    guess(app, [f"203.0.113.{n}" for n in range(crowd)])

    assert guess(app, ["203.0.113.100"] * 3) == ["wrong", "wait", "wait"]
    assert enter(app, "203.0.113.100", name="nobody") == "wrong"


def test_each_failed_try_waits_twice_as_long_up_to_a_quarter_of_an_hour(app: App) -> None:
    waits = []
    now = app.clock.now()
    for _ in range(12):
        with app.database.write() as connection:
            keys = ["try:x"]
            wait = rate_limits.try_once(connection, keys, now=now, most=5, within=timedelta(minutes=15))
            if wait is not None:
                waits.append(wait)
                now += timedelta(seconds=wait)
                assert rate_limits.try_once(connection, keys, now=now, most=5, within=timedelta(minutes=15)) is None

    assert waits == [60, 120, 240, 480, 900, 900, 900]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_an_address_is_one_however_it_is_written(one: str, other: str) -> None:
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
        ("::1", "::ffff:127.0.0.1"),
    ],
)
def test_strangers_addresses_are_not_one(one: str, other: str) -> None:
    assert network_of(one) != network_of(other)


def test_failures_from_mapped_addresses_do_not_block_other_addresses(app: App) -> None:
    for n in range(8):
        guess(app, [f"::ffff:203.0.113.{n}"], name=f"name-{n}")

    assert enter(app, "::ffff:192.0.2.1") == "in"


def test_a_refused_attempt_leaves_no_row(app: App) -> None:
    """K2.4: and what is counted is cleared away by failures too."""
    guess(app, [HOME] * 5)
    before = rows(app)

    assert [guess(app, [HOME], name=f"made-up-{n}") for n in range(8)] == [["wait"]] * 8
    assert rows(app) == before

    with app.database.write() as connection:
        connection.execute(text("update operator_limits set touched_at = '2020-01-01 00:00:00+00:00'"))
    guess(app, [OFFICE], name="another")
    assert rows(app) == 3


def test_five_failures_at_once_leave_rows_for_five(app: App) -> None:
    now = app.clock.now()
    with app.database.write() as connection:
        for _ in range(5):
            assert rate_limits.try_once(connection, ["a"], now=now, most=5, within=timedelta(minutes=15)) is None
    before = rows(app)

    with app.database.write() as connection:
        assert rate_limits.try_once(connection, ["a", "new"], now=now, most=5, within=timedelta(minutes=15)) is not None

    assert rows(app) == before
