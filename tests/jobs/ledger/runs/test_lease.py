"""Leases: renewed by whoever holds the token, and by nobody else."""

from __future__ import annotations

import pytest

from jobs.ledger.runs.lease import cancelled_among, renew
from jobs.ledger.runs.settle import settle
from jobs.states import Outcome, RunState
from tests.book import LEASE, SECOND, attempt_result


def test_a_renewal_prolongs_every_lease_that_is_held(book):
    claims = [book.start() for _ in range(3)]
    book.step(10)

    assert book.renew(*claims) == {one.token for one in claims}
    assert {book.run(one.run_id).lease_until for one in claims} == {book.now + LEASE}


def test_a_lost_token_is_not_renewed_and_the_others_are(book):
    lost, kept = book.start(), book.start()
    book.give_back(lost)
    (heir,) = book.claim(lost.run_id, worker="w2", lease=5 * SECOND)
    until = book.run(lost.run_id).lease_until
    book.step(3)

    assert book.renew(lost, kept) == {kept.token}
    assert book.run(lost.run_id).lease_until == until
    assert book.column(lost.run_id, "token") == heir.token


@pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.RUNNING}))
def test_an_ended_claim_cannot_be_renewed(book, state):
    run_id, held = book.bring(state)
    before = book.run(run_id)

    assert book.renew(held) == set()
    assert book.run(run_id) == before


def test_a_lease_that_is_over_but_not_rescued_is_still_its_holders(book):
    held = book.start()
    book.step(40)

    assert book.renew(held) == {held.token}
    assert book.rescue() == []


def test_renewing_no_leases_changes_nothing(book):
    assert book.renew() == set()


def test_a_row_that_is_being_settled_is_passed_over_and_counts_as_held(app, book):
    if app.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    settling, other = book.start(), book.start()
    book.step(10)
    with book.database.write() as first:
        settle(
            first,
            [attempt_result(settling, Outcome.SUCCEEDED)],
            worker="w1",
            poison_after=3,
            monotonic=0.0,
            now=book.now,
        )

        ours = book.renew(settling, other)

    assert ours == {settling.token, other.token}
    assert book.run(settling.run_id).state is RunState.SUCCEEDED
    assert book.run(other.run_id).lease_until == book.now + LEASE


def test_a_renewal_reports_the_cancelled_runs_among_those_performed(book):
    one, two = book.start(), book.start()
    book.cancel(two.run_id)
    waiting = book.enqueue()
    book.cancel(waiting)

    with book.database.read() as connection:
        assert cancelled_among(connection, [(one.run_id, one.token), (two.run_id, two.token)]) == {two.token}
        assert cancelled_among(connection, []) == set()


def test_a_cancellation_is_not_reported_to_the_lost_attempt_of_the_run(book):  # K.1
    lost = book.start()
    book.step(31)
    book.rescue()
    (held,) = book.claim(lost.run_id)
    book.cancel(held.run_id)

    with book.database.read() as connection:
        pairs = [(one.run_id, one.token) for one in (lost, held)]
        assert cancelled_among(connection, pairs) == {held.token}


def test_a_renewal_that_is_rolled_back_prolongs_nothing(book):
    held = book.start()
    until = book.run(held.run_id).lease_until
    book.step(5)
    with book.crash_before_commit() as connection:
        renew(connection, [(held.run_id, held.token)], lease=LEASE, now=book.now)

    assert book.run(held.run_id).lease_until == until
