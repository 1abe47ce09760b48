"""The terms of a selector as SQL conditions, in either dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, literal, literal_column, or_, select
from sqlalchemy import String as SaString
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from jobs.database.models import JobRun
from jobs.database.sql import ledger_now
from jobs.ledger.holds import is_held
from jobs.ledger.queries.selectors import WAITING, Selector, is_pattern
from jobs.states import Hold, RunState


def states_of(chosen: Selector) -> list[RunState]:
    """The stored states of a selector: dead if it names only a cause."""
    if not chosen.states:
        return list(RunState) if not chosen.causes else [RunState.DEAD]
    base = {RunState.QUEUED if word in WAITING else RunState(word) for word in chosen.states}
    return [state for state in RunState if state in base]


def is_state(state: RunState) -> ColumnElement[bool]:
    """In this state: in the statement's text, so that both planners can see which partial index it implies."""
    return JobRun.state == literal_column(f"'{state.value}'")


def of_states(chosen: Selector) -> list[ColumnElement[bool]]:
    """In one of the selector's states, for a plan part with runs of any state."""
    if not chosen.states and not chosen.causes:
        return []
    each = [(state, of_parts(chosen) if state is RunState.QUEUED else []) for state in states_of(chosen)]
    return [or_(*(and_(is_state(state), *parts) for state, parts in each))]


def of_parts(chosen: Selector) -> list[ColumnElement[bool]]:
    """In one of the named parts of ``queued``; no condition if all are meant."""
    if not chosen.states or RunState.QUEUED in chosen.states:
        return []
    is_due = JobRun.run_at <= ledger_now()
    each = {
        "ready": is_due,
        "scheduled": and_(~is_due, JobRun.hold.is_(None), JobRun.attempt == 0),
        "retrying": and_(~is_due, JobRun.hold.is_(None), JobRun.attempt > 0),
        **{hold.value: and_(~is_due, is_held(hold)) for hold in Hold},
    }
    return [or_(*(each[word] for word in WAITING if word in chosen.states))]


def of_names(chosen: Selector, dialect: str) -> list[ColumnElement[bool]]:
    """Whether a run is of the selector's kinds and queues."""
    pairs = ((JobRun.kind, chosen.kinds), (JobRun.queue, chosen.queues))
    return [or_(*(like(column, one, dialect) for one in names)) for column, names in pairs if names]


def of_the_rest(chosen: Selector, dialect: str) -> list[ColumnElement[bool]]:
    """Everything but states, kinds and queues."""
    found: list[ColumnElement[bool]] = [
        JobRun.deleted_at.is_not(None) if chosen.purged else JobRun.deleted_at.is_(None)
    ]
    if chosen.since is not None:
        found.append(JobRun.state_at >= chosen.since)
    if chosen.until is not None:
        found.append(JobRun.state_at <= chosen.until)
    if chosen.causes:
        found.append(JobRun.cause.in_(chosen.causes))
    if chosen.keys:
        found.append(or_(*(like(JobRun.key, one, dialect) for one in chosen.keys)))
    if chosen.parents:
        found.append(JobRun.parent_id.in_(chosen.parents))
    if chosen.batches:
        found.append(JobRun.batch_id.in_(chosen.batches))
    if chosen.held:
        found.append(or_(*held_by(chosen)))
    if chosen.fingerprints:
        found.append(or_(*(JobRun.fingerprint.between(one, one + "g") for one in chosen.fingerprints)))
    if chosen.errors:
        found.append(or_(*(_error(one, dialect) for one in chosen.errors)))
    found += [_tag(one, dialect) for one in chosen.tags]
    found += [_argument(path, dialect) == value for path, value in chosen.arguments]
    found += [_COMPARE[sign](number) for sign, number in chosen.attempts]
    return found


def held_by(chosen: Selector) -> list[ColumnElement[bool]]:
    """What the selector's runs are held on: one condition for each limit, rate or breaker, and one for its keys.

    No run meets two of them.
    """
    names: dict[str, None] = {}
    for name in chosen.held:
        names |= dict.fromkeys([name] if name.startswith(_PARKED_ON) else [prefix + name for prefix in _PARKED_ON])
    of_all = [JobRun.held_on == name for name in names]
    of_keys = [and_(JobRun.held_on >= f"{name}#", JobRun.held_on < f"{name}$") for name in names]
    is_on_hold = and_(is_state(RunState.QUEUED), JobRun.hold.is_not(None))
    return [and_(is_on_hold, one) for one in (*of_all, *of_keys)]


_PARKED_ON = ("limit:", "rate:", "breaker:")
"""With what a limit, a rate and a breaker begin in ``held_on``."""
_COMPARE: dict[str, Any] = {
    "=": lambda number: JobRun.attempt == number,
    ">": lambda number: JobRun.attempt > number,
    ">=": lambda number: JobRun.attempt >= number,
    "<": lambda number: JobRun.attempt < number,
    "<=": lambda number: JobRun.attempt <= number,
}


def like(column: Any, pattern: str, dialect: str) -> ColumnElement[bool]:
    """``column`` matches ``pattern`` (``*`` and ``?``), case-sensitive; equality if it has neither."""
    if not is_pattern(pattern):
        return column == pattern  # type: ignore[no-any-return]
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))  # type: ignore[no-any-return]
    plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(plain.replace("*", "%").replace("?", "_"), escape="\\")  # type: ignore[no-any-return]


def _error(text: str, dialect: str) -> ColumnElement[bool]:
    """The error's class, with or without its module, or its message: a part of it if there is no pattern."""
    message = text if is_pattern(text) else f"*{text}*"
    return or_(
        like(JobRun.error_type, text, dialect),
        like(JobRun.error_type, f"*.{text}", dialect),
        like(JobRun.error_message, message, dialect),
    )


def _tag(tag: str, dialect: str) -> ColumnElement[bool]:
    if dialect == "postgresql":
        return cast(JobRun.tags, JSONB).contains([tag])
    each = func.json_each(JobRun.tags).table_valued("value", name="each_tag")
    return select(each.c.value).where(each.c.value == tag).exists()


def _argument(path: str, dialect: str) -> ColumnElement[Any]:
    """The argument at ``a.b.0`` as text, as JSON shows it, without quotes."""
    parts = path.split(".")
    if dialect == "postgresql":
        return JobRun.arguments.op("#>>", return_type=SaString())(cast(literal(parts, ARRAY(Text())), ARRAY(Text())))
    where = "$" + "".join(f"[{part}]" if part.isdecimal() else '."' + part.replace('"', "") + '"' for part in parts)
    kind = func.json_type(cast(JobRun.arguments, Text), where)
    shown = cast(func.json_extract(cast(JobRun.arguments, Text), where), Text)
    return case((kind.in_(["true", "false"]), kind), else_=shown)
