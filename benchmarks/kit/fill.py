"""Fills a ledger with many runs, quickly: the database itself generates the rows.

Of a thousand runs 990 have succeeded; the rest are dead (of 300 errors), waiting, running and cancelled. They lie in
thirty kinds and five queues, over thirty days, three in a hundred of them in the last hour. Ids, moments and errors
follow from a run's number, so that parents, attempts and steps can name them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from jobs.database.engine import Database

CHUNK = 50_000
DAYS, RECENT = timedelta(days=30), timedelta(hours=1)

_MS = (
    "(case when {n} < :cut then :from_ms + {n} * :span_ms / :cut else :hour_ms + ({n} - :cut) * 3500000 / :recent end)"
)
"""When run ``n`` was enqueued, in milliseconds."""
_KIND = "({n} / 7 % 30)"
_PLACE = "({n} % 1000)"
_STATE = """case when {place} < 6 or {place} = 999 then 'dead' when {place} < 8 then 'queued'
    when {place} = 8 then 'running' when {place} = 9 then 'cancelled' else 'succeeded' end"""
_TOOK = "({n} * 37 % 900 + 5)"
"""How long an attempt took, in milliseconds."""
_DIALECT = {
    "sqlite": {
        "moment": "strftime('%Y-%m-%d %H:%M:%f', ({ms}) / 1000.0, 'unixepoch') || '000'",
        "hex": "printf('%0{width}x', {number})",
        "uuid": "{hex}",
        "json": "{text}",
    },
    "postgresql": {
        "moment": "to_timestamp(({ms}) / 1000.0)",
        "hex": "lpad(to_hex(({number})::bigint), {width}, '0')",
        "uuid": "cast({hex} as uuid)",
        "json": "cast({text} as json)",
    },
}


class _Words:
    """The few expressions that differ between the dialects."""

    def __init__(self, dialect: str) -> None:
        self._dialect = _DIALECT[dialect]

    def moment(self, n: str, plus_ms: str = "0") -> str:
        return self._dialect["moment"].format(ms=f"{_MS.format(n=n)} + {plus_ms}")

    def hex(self, number: str, width: int) -> str:
        return self._dialect["hex"].format(number=number, width=width)

    def id(self, n: str) -> str:
        head, middle = self.hex(_MS.format(n=n), 12), self.hex(f"{n} % 4096", 3)
        tail = self.hex(f"{n} * 1099087573", 15)
        return self._dialect["uuid"].format(hex=f"{head} || '7' || {middle} || '8' || {tail}")

    def json(self, written: str) -> str:
        return self._dialect["json"].format(text=written)


def fill_ledger(database: Database, count: int, *, now: datetime | None = None) -> None:
    """Write ``count`` runs, their attempts and some steps straight into the tables; then ANALYZE."""
    end = now or datetime.now(UTC)
    cut = count - count * 3 // 100
    given = {
        "cut": cut,
        "recent": max(1, count - cut),
        "from_ms": int((end - DAYS).timestamp() * 1000),
        "span_ms": int((DAYS - RECENT).total_seconds() * 1000),
        "hour_ms": int((end - RECENT).timestamp() * 1000),
    }
    words = _Words(database.dialect)
    for first in range(0, count, CHUNK):
        part = given | {"first": first, "beyond": min(first + CHUNK, count)}
        with database.write() as connection:
            for statement in (_runs(words), _attempts(words), _steps(words)):
                used = {name: value for name, value in part.items() if f":{name}" in statement}
                connection.execute(text(statement), used)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("analyze"))


def _numbers(where: str = "1 = 1") -> str:
    # Integers of eight bytes, since milliseconds do not fit in four.
    return f"""
        with recursive counted(n) as (
            select cast(:first as bigint) union all select n + 1 from counted where n + 1 < :beyond
        ), numbers as (
            select n, {_PLACE.format(n="n")} as place, {_KIND.format(n="n")} as kind,
                {_STATE.format(place=_PLACE.format(n="n"))} as state from counted
        ), wanted as (select * from numbers where {where})"""


def _runs(words: _Words) -> str:
    has_failed = "state = 'dead'"
    columns = {
        "id": words.id("n"),
        "kind": "case when place = 999 then 'Rare' else 'Kind' || kind end",
        "queue": "case when place = 999 then 'rare' when n % 50 = 0 then 'other' else 'queue' || (kind % 5) end",
        "priority": "n % 3",
        "arguments": words.json("""'{"number": ' || n || ', "customer": ' || (n % 5000) || '}'"""),
        "arguments_version": "1",
        "state": "state",
        "cause": f"case when {has_failed} then case when n % 5 = 0 then 'poison' else 'exhausted' end end",
        "attempt": f"case when {has_failed} then 3 when state = 'queued' then 0 else 1 end",
        "charged": f"case when {has_failed} then 3 else 0 end",
        "crashes": "0",
        "abandonments": "0",
        "max_attempts": "3",
        "run_at": words.moment("n", "case when place = 7 then 90000000 else 0 end"),
        "key": "case when place in (6, 10, 17) then 'key-' || n end",
        "token": f"case when state = 'running' then {words.id('n')} end",
        "lease_until": f"case when state = 'running' then {words.moment('n', '2700000000')} end",
        "worker": "case when state = 'running' then 'bench' end",
        "created_at": words.moment("n"),
        "started_at": f"case when state <> 'queued' then {words.moment('n', '(n * 13 % 400)')} end",
        "finished_at": f"case when state not in ('queued', 'running') then {_ended(words)} end",
        "state_at": f"case when state in ('queued', 'running') then {words.moment('n')} else {_ended(words)} end",
        "error_type": f"case when {has_failed} then 'shop.NoStock' || (n / 1000 % 7) end",
        "error_message": f"case when {has_failed} then 'no stock for order ' || n end",
        "fingerprint": f"case when {has_failed} then {words.hex(f'({_group()} + 1) * 7919 * 104729', 12)} end",
        "tags": f"case when n % 10 = 0 then {words.json(_tag())} end",
        "parent_id": _parent(words),
        "root_id": _parent(words),
        "replayed_from": f"case when place = 27 then {words.id('(n - 10)')} end",
        "has_followups": "false",
    }
    return f"""{_insert("job_runs", columns)}{_numbers()}
        select {", ".join(columns.values())} from wanted"""


def _ended(words: _Words) -> str:
    return words.moment("n", f"(n * 13 % 400) + {_TOOK.format(n='n')}")


def _group() -> str:
    """Half of the dead fall into ten groups, the others into the rest of three hundred."""
    return "(case when place < 3 then n / 1000 % 10 else n / 1000 % 300 end)"


def _tag() -> str:
    return """'["customer-' || (n % 100) || '"]'"""


def _parent(words: _Words) -> str:
    return f"""case when place between 18 and 25 then {words.id("(n / 1000 * 1000 + 17)")}
        when place = 26 then {words.id("cast(17 as bigint)")} end"""


def _attempts(words: _Words) -> str:
    columns = {
        "run_id": words.id("n"),
        "attempt": "tried",
        "token": words.id("n"),
        "outcome": "case state when 'dead' then 'failed' else state end",
        "worker": "'bench'",
        "started_at": words.moment("n", "(n * 13 % 400)"),
        "finished_at": _ended(words),
        "error_type": "case when state = 'dead' then 'shop.NoStock' || (n / 1000 % 7) end",
        "error_message": "case when state = 'dead' then 'no stock for order ' || n end",
    }
    return f"""{_insert("job_attempts", columns)}{_numbers("state not in ('queued', 'running')")},
        tries(tried) as (select 1 union all select tried + 1 from tries where tried < 3)
        select {", ".join(columns.values())} from wanted join tries on tried = 1 or state = 'dead'"""


def _steps(words: _Words) -> str:
    columns = {
        "run_id": words.id("n"),
        "name": "'step-' || tried",
        "form": "'effect'",
        "token": words.id("n"),
        "attempt": "1",
        "started_at": words.moment("n"),
        "finished_at": words.moment("n", "5"),
        "result": words.json("'true'"),
    }
    return f"""{_insert("job_steps", columns)}{_numbers("place = 17")},
        tries(tried) as (select 1 union all select tried + 1 from tries where tried < 3)
        select {", ".join(columns.values())} from wanted cross join tries"""


def _insert(table: str, columns: dict[str, str]) -> str:
    return f"insert into {table} ({', '.join(columns)}) "
