"""tests/compiled_statements.py: what one engine compiled serves another, of the same kind of server only."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from jobs.database.models import JobRun
from tests.compiled_statements import CompiledStatements
from tests.conftest import MakeApp
from tests.templates import sqlite_ledger


def test_a_statement_is_compiled_once_for_all_ledgers_of_a_dialect(
    sqlite_url: str, tmp_path, pg_database: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    real = CompiledStatements.__setitem__
    monkeypatch.setattr(CompiledStatements, "__setitem__", lambda *given: (compiled.append(given), real(*given)))
    wanted = select(JobRun.id, JobRun.kind.label("kind_of_this_test"))

    for url in (sqlite_url, sqlite_ledger(tmp_path / "other.db"), pg_database):
        with make_app(url).database.read() as connection:
            assert connection.execute(wanted).all() == []

    assert [key[1][0].name for key in compiled] == ["sqlite", "postgresql"]
