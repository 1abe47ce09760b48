"""Makes a ``Selector`` from an operator's options: resolves ids, checks words, and parses spans and dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import SelectorRefused
from jobs.formats.duration import parse_duration
from jobs.formats.nearest import did_you_mean
from jobs.ledger.queries.find import resolve_id
from jobs.ledger.queries.selectors import STATE_WORDS, Selector
from jobs.operations.runs.query import Term, parse, refuse
from jobs.sealing.filters import with_hashes
from jobs.states import Cause

_HEX = re.compile(r"[0-9a-f]{4,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorInput:
    """A selector in the operator's own words, as in options and query strings."""

    ids: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    where: str | None = None
    limit: int | None = None
    is_all: bool = False


def make_selector(app: App, asked: SelectorInput, *, executor: Executor | None = None) -> Selector:
    """The selector for these options.

    Raises:
        SelectorRefused: a word, a span or the query is invalid; the error says where.
        NotFound: no run has a short id.
        Ambiguous: several runs have a short id.
    """
    if executor is None:
        with app.database.read() as connection:
            return make_selector(app, asked, executor=connection)
    now = app.clock.now()
    selector = Selector(
        ids=_ids(executor, asked.ids),
        kinds=asked.kinds,
        queues=asked.queues,
        states=tuple(_word(one, STATE_WORDS, "state") for one in _split(asked.states)),
        causes=tuple(_word(one, tuple(Cause), "cause") for one in _split(asked.causes)),
        fingerprints=tuple(_fingerprint(one) for one in asked.fingerprints),
        errors=asked.errors,
        keys=asked.keys,
        tags=asked.tags,
        arguments=tuple(_argument(one) for one in asked.arguments),
        parents=_ids(executor, asked.parents),
        batches=_batches(executor, asked.batches),
        since=_moment(asked.since, "--since", now),
        until=_moment(asked.until, "--until", now),
        limit=asked.limit,
        is_all=asked.is_all,
    )
    return with_hashes(app, _narrowed(executor, selector, asked.where, now) if asked.where else selector)


def describe(selector: Selector) -> dict[str, Any]:
    """The selector as plain values, for the audit: only the fields that are set."""
    said: dict[str, Any] = {}
    for field in fields(Selector):
        value = getattr(selector, field.name)
        if value not in ((), None, False):
            said[field.name] = _plain(value)
    return said


def read_moment(text: str, *, what: str, now: datetime) -> datetime:
    """``15m`` (ago), ``2026-11-01``, ``2026-11-01T10:00``; local time if no zone is given.

    Raises:
        SelectorRefused: it is none of these.
    """
    plain = text.strip().removesuffix(" ago")
    try:
        return now - parse_duration(plain)
    except ValueError:
        pass
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", plain):
            return datetime.combine(date.fromisoformat(plain), time()).astimezone()
        return datetime.fromisoformat(plain).astimezone()
    except (ValueError, OverflowError):
        raise SelectorRefused(
            f"{what}: {text!r} is not a moment.", hint="Write 15m (ago), 2026-11-01 or 2026-11-01T10:00."
        ) from None


def _narrowed(executor: Executor, selector: Selector, text: str, now: datetime) -> Selector:
    for term in parse(text):
        try:
            selector = _with(executor, selector, term, now)
        except SelectorRefused as error:
            raise refuse(text, term.column, error.message, error.hint) from None
    return selector


def _batches(executor: Executor, given: tuple[str, ...]) -> tuple[UUID, ...]:
    """The batches with these ids, and those inside them."""
    if not given:
        return ()
    # Here, so that commands that list runs do not import the write path.
    from jobs.ledger.batches import find as batches

    found = [one for text in given for one in batches.inner_ids(executor, batches.find_named(executor, text).id)]
    return tuple(dict.fromkeys(found))


_PLAIN = {"kind": "kinds", "queue": "queues", "error": "errors", "key": "keys", "tag": "tags"}


def _with(executor: Executor, selector: Selector, term: Term, now: datetime) -> Selector:
    match term.field:
        case "id":
            return replace(selector, ids=selector.ids + _ids(executor, term.values))
        case "parent":
            return replace(selector, parents=selector.parents + _ids(executor, term.values))
        case "batch":
            return replace(selector, batches=selector.batches + _batches(executor, term.values))
        case "held":
            return replace(selector, held=selector.held + term.values)
        case "state":
            words = tuple(_word(one, STATE_WORDS, "state") for one in term.values)
            return replace(selector, states=selector.states + words)
        case "cause":
            words = tuple(_word(one, tuple(Cause), "cause") for one in term.values)
            return replace(selector, causes=selector.causes + words)
        case "fingerprint":
            given = tuple(_fingerprint(one) for one in term.values)
            return replace(selector, fingerprints=selector.fingerprints + given)
        case "args":
            if len(term.values) > 1:
                raise SelectorRefused("an argument takes one value.", hint="Quote it if it holds a comma.")
            return replace(selector, arguments=(*selector.arguments, (term.path, term.values[0])))
        case "attempt":
            return replace(selector, attempts=(*selector.attempts, (term.sign, _number(term.values[0]))))
        case "age":
            moment = read_moment(term.values[0], what="age", now=now)
            older = term.sign in (">", ">=")
            return replace(selector, until=moment) if older else replace(selector, since=moment)
        case "since":
            return replace(selector, since=read_moment(term.values[0], what="since", now=now))
        case "until":
            return replace(selector, until=read_moment(term.values[0], what="until", now=now))
    name = _PLAIN[term.field]
    changed: dict[str, Any] = {name: getattr(selector, name) + term.values}
    return replace(selector, **changed)


def _ids(executor: Executor, given: Sequence[str]) -> tuple[UUID, ...]:
    found = dict.fromkeys(_whole(one) or resolve_id(executor, one) for one in given)
    return tuple(found)


def _whole(text: str) -> UUID | None:
    """A whole id is not looked up: thousands of them come from a pipe, and the query itself finds the existing ones."""
    try:
        return UUID(text.strip()) if len(text.strip()) >= 32 else None
    except ValueError:
        return None


def _split(given: Sequence[str]) -> list[str]:
    return [part.strip() for one in given for part in one.split(",") if part.strip()]


def _word(text: str, known: Sequence[str], what: str) -> str:
    if text not in set(known):
        hint = did_you_mean(text, map(str, known), otherwise=f"One of: {', '.join(known)}.")
        raise SelectorRefused(f"no {what} {text!r}.", hint=hint)
    return str(text)


def _fingerprint(text: str) -> str:
    plain = text.strip().lower()
    if not _HEX.fullmatch(plain):
        raise SelectorRefused(f"{text!r} is not a fingerprint.", hint="Take one from: jobledger dlq groups.")
    return plain


def _argument(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise SelectorRefused(f"--arg {text!r} is not NAME=VALUE.")
    return name, value


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise SelectorRefused(f"{text!r} is not a whole number.")
    return int(text)


def _moment(text: str | None, what: str, now: datetime) -> datetime | None:
    return None if text is None else read_moment(text, what=what, now=now)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, (bool, int, str)) else str(value)
