"""Django's own connection, lent to the ledger's statements: they belong to whatever ``atomic()`` block is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connections, transaction

from jobs.clock import Clock

T = TypeVar("T")


class DjangoConnection:
    """The connection of an alias, in the thread that asks: an ``Owner`` of connections for ``BorrowedDatabase``."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """In ``atomic()``: a SAVEPOINT if one is open, whose rollback leaves the caller's block usable."""
        with transaction.atomic(using=self.alias), self.connection() as driver:
            yield driver

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """The driver's connection as it is. Refuses a block that an earlier error has broken, as Django does."""
        wrapper = connections[self.alias]
        wrapper.ensure_connection()
        wrapper.validate_no_broken_transaction()
        try:
            yield wrapper.connection
        except BaseException:
            # So that Django checks the connection before it uses it again.
            wrapper.errors_occurred = True
            raise

    def execute(self, text: str, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """As Django's cursor does it: execute wrappers, the query log and ``assertNumQueries`` see the statement."""
        wrapper = connections[self.alias]
        if not wrapper.execute_wrappers and not wrapper.queries_logged:
            # Without them the cursor would only rewrite the text, which takes longer than SQLite takes to execute it.
            with wrapper.wrap_database_errors:
                plain = wrapper.connection.execute(text, values)
                return plain.fetchall() if plain.description else []
        with wrapper.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    def call(self, work: Callable[[Any], T]) -> T | None:
        """What ``work`` returns for the driver's connection; None if wrappers, the log or a test watch statements."""
        wrapper = connections[self.alias]
        if wrapper.execute_wrappers or wrapper.queries_logged:
            return None
        with wrapper.wrap_database_errors:
            return work(wrapper.connection)

    def is_new_to(self, clock: Clock) -> bool:
        wrapper = connections[self.alias]
        mark = wrapper.connection, clock
        if getattr(wrapper, "jobs_mark", None) == mark:
            return False
        wrapper.jobs_mark = mark
        return True
