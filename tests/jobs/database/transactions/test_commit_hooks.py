"""What is told after the commit of an application's transaction."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobs.database.transactions.commit_hooks import joined_connection, joined_session


@pytest.mark.parametrize("kind", ["session", "connection"])
def test_each_commit_hook_gets_its_own_items(kind, tmp_path):
    """A transaction may enqueue, signal and make a batch, in any order, and for two ledgers."""
    told = []

    def tell(name, items):
        told.append((name, items))

    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    with Session(engine) as session, engine.connect() as connection:
        if kind == "session":
            joined, commit = joined_session(session, session.connection()), session.commit
        else:
            joined, commit = joined_connection(connection), connection.commit
            connection.begin()
        joined.after_commit([1], partial(tell, "run"))
        joined.after_commit(["a"], partial(tell, "signal"))
        joined.after_commit([2, 3], partial(tell, "run"))
        assert told == []
        commit()
    engine.dispose()

    assert told == [("run", [1, 2, 3]), ("signal", ["a"])]
