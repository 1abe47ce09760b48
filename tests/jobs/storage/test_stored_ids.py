"""Ids of stored values as operators type them."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs.errors import Ambiguous, NotFound
from jobs.ledger.blobs import content
from jobs.ledger.blobs.listing import resolve_blob
from jobs.testing import Ledger

ONE, OTHER = UUID("0192a000-0000-7000-8000-0000aa123456"), UUID("0192b000-0000-7000-8000-0000bb123456")


def test_a_stored_value_is_named_by_its_whole_id_or_by_a_part_that_no_other_has(ledger: Ledger) -> None:
    with ledger.app.database.write() as connection:
        for one in (ONE, OTHER):
            content.begin(connection, one, store=content.LEDGER, name=None)

    with ledger.app.database.read() as connection:
        for text in (str(ONE), ONE.hex.upper(), "aa123456", "0192a0", "8000-0000aa123456"):
            assert resolve_blob(connection, text) == ONE, text
        with pytest.raises(Ambiguous) as several:
            resolve_blob(connection, "123456")
        assert several.value.matches == (str(ONE), str(OTHER))
        for text in ("cc123456", str(UUID(int=7)), "12345", "no-id-at-all", ""):
            with pytest.raises(NotFound):
                resolve_blob(connection, text)
