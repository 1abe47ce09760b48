"""Claims whose leases a process renews."""

from __future__ import annotations

from jobs.app import App
from tests.book import Book
from worker.exchange.held_leases import HeldLeases


def test_a_lease_that_is_left_is_not_renewed_and_stays_known(app: App) -> None:
    book = Book(app.database)
    left, kept = book.start(), book.start()
    held_leases = HeldLeases()
    held_leases.add([left, kept])

    held_leases.leave(left.token)

    assert held_leases.all() == [kept]
    assert held_leases.known() == {left.token, kept.token}
