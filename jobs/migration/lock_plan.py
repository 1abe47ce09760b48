"""What each statement of a migration locks, read from its text: for ``migrate up --plan`` and the test of them all.

It knows the statements that migrations here may have on tables in use. Any other one counts as blocking, so that a new
kind of statement needs a look before it is released.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Lock(StrEnum):
    """What other transactions cannot do while a statement runs."""

    NOTHING = "locks nothing"
    BRIEFLY = "locks the table for a moment"
    """All reads and writes wait, but the statement only changes the catalogue."""
    WRITES = "blocks writes until it ends"
    ALL = "blocks reads and writes until it ends"

    @property
    def blocks(self) -> bool:
        """Whether others wait for as long as the table is large."""
        return self in (Lock.WRITES, Lock.ALL)


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """One statement of a migration.

    Attributes:
        table: the existing table that it changes or reads; None if there is none.
        reads_rows: whether it takes as long as the table is large.
    """

    revision: str
    what: str
    table: str | None
    lock: Lock
    reads_rows: bool = False


MAX_WORDS = 70
"""Characters of a step's name, which a terminal of 80 columns shows with its revision."""
_NAME = r"""(?:"?[^\s".]+"?\.)?"?(?P<table>\w+)"?"""


def _pattern(words: str) -> re.Pattern[str]:
    """Words of a statement; ``TABLE_NAME`` stands for a table, in a schema or not."""
    return re.compile(words.replace("TABLE_NAME", _NAME), re.S)


_IGNORED = re.compile(r"(BEGIN|COMMIT|SET |SELECT set_config|--|CREATE SCHEMA)|.*\bjobs_alembic_version\b", re.S)
_CREATE_TABLE = _pattern(r"CREATE TABLE (?:IF NOT EXISTS )?TABLE_NAME")
_INDEX = _pattern(
    r"CREATE (?:UNIQUE )?INDEX (?P<concurrently>CONCURRENTLY )?(?:IF NOT EXISTS )?(?P<index>\w+) ON TABLE_NAME"
)
_DEFINITION = re.compile(r"(create (or replace )?|drop )(function|view)\b", re.I)
"""Functions and views: what they read is looked up, and not read. Their own name is nobody's table."""
_ALTER = _pattern(r"ALTER TABLE TABLE_NAME (?P<change>.*)")
_WRITE = _pattern(r"(?i:insert into|update|delete from) TABLE_NAME")
_VOLATILE = re.compile(r"\b(gen_random_uuid|clock_timestamp|random|nextval|uuid_generate)|GENERATED|SERIAL", re.I)
_DROPPED = _pattern(r"DROP TABLE (?:IF EXISTS )?TABLE_NAME")
_CATALOGUE = re.compile(r"DROP INDEX |ALTER INDEX ")


def steps_of(statements: str) -> list[MigrationStep]:
    """The steps of ``jobledger migrate sql``, in order, without transactions and settings."""
    found: list[MigrationStep] = []
    made: set[str] = set()
    revision = ""
    for statement in _statements(statements):
        running = re.search(r"-- Running upgrade (\S* )?-> (\S+)", statement)
        if running:
            revision, made = running[2].rstrip(","), set()
        plain = re.sub(r"^\s*--.*\n?", "", statement, flags=re.M).strip()
        if not plain or _IGNORED.match(plain):
            continue
        created = _CREATE_TABLE.match(plain)
        if created:
            made.add(created["table"])
        found.append(_step(revision, plain, made))
    return found


def _statements(text: str) -> Iterator[str]:
    """Each statement with the comments before it; the body of a function contains empty lines."""
    kept = ""
    for piece in text.split(";\n\n"):
        kept = f"{kept};\n\n{piece}" if kept else piece
        if kept.count("$$") % 2 == 0:
            yield kept
            kept = ""
    if kept:
        yield kept


def _step(revision: str, plain: str, made: set[str]) -> MigrationStep:
    index, alter, write = _INDEX.match(plain), _ALTER.match(plain), _WRITE.match(plain)
    if _CREATE_TABLE.match(plain) or _DEFINITION.match(plain):
        return MigrationStep(revision, _first_words(plain), None, Lock.NOTHING)
    if index:
        what = f"index {index['index']} of {index['table']}"
        if index["table"] in made:
            return MigrationStep(revision, what, None, Lock.NOTHING)
        lock = Lock.NOTHING if index["concurrently"] else Lock.WRITES
        return MigrationStep(revision, what, index["table"], lock, reads_rows=True)
    if alter:
        return _alter(revision, alter["table"], alter["change"], made)
    if write:
        # An INSERT into a new table locks nothing; all else changes rows that others may want.
        is_new = write["table"] in made
        return MigrationStep(
            revision, _first_words(plain), None if is_new else write["table"], Lock.NOTHING if is_new else Lock.WRITES
        )
    dropped = _DROPPED.match(plain)
    if dropped:
        return MigrationStep(revision, f"drop table {dropped['table']}", dropped["table"], Lock.BRIEFLY)
    if _CATALOGUE.match(plain):
        return MigrationStep(revision, _first_words(plain), None, Lock.BRIEFLY)
    return MigrationStep(revision, _first_words(plain), None, Lock.ALL, reads_rows=True)


def _alter(revision: str, table: str, change: str, made: set[str]) -> MigrationStep:
    what = _first_words(f"{table}: {change}")
    if table in made:
        return MigrationStep(revision, what, None, Lock.NOTHING)
    if change.startswith("VALIDATE CONSTRAINT"):
        return MigrationStep(revision, what, table, Lock.NOTHING, reads_rows=True)
    if change.startswith("ADD COLUMN"):
        is_needed = "NOT NULL" in change and "DEFAULT" not in change
        rewrites = (
            is_needed or bool(_VOLATILE.search(change)) or bool(re.search(r"\b(UNIQUE|CHECK|REFERENCES)\b", change))
        )
        return MigrationStep(revision, what, table, Lock.ALL if rewrites else Lock.BRIEFLY, reads_rows=rewrites)
    if change.startswith("ADD CONSTRAINT"):
        is_quick = change.rstrip().endswith("NOT VALID") or "USING INDEX" in change
        return MigrationStep(revision, what, table, Lock.BRIEFLY if is_quick else Lock.ALL, reads_rows=not is_quick)
    if change.startswith(("DROP CONSTRAINT", "DROP COLUMN", "RENAME", "ALTER COLUMN")) and not re.search(
        r"TYPE|SET NOT NULL", change
    ):
        return MigrationStep(revision, what, table, Lock.BRIEFLY)
    return MigrationStep(revision, what, table, Lock.ALL, reads_rows=True)


def _first_words(statement: str) -> str:
    """The statement up to its first bracket, in one line of at most ``MAX_WORDS``."""
    line = " ".join(re.split(r"\(|\bas \$|\bCHECK\b", statement, maxsplit=1)[0].split())
    return line if len(line) <= MAX_WORDS else f"{line[: MAX_WORDS - 1]}…"
