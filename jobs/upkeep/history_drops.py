"""Drops the partitions of history whose time is over; runs in them that are kept for longer by now move on before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from jobs.app import App
from jobs.ledger.history import partitions
from jobs.ledger.history.longer import Place, find_longer, keep_longer
from jobs.ledger.history.partitions import Partition
from jobs.ledger.history.periods import FIRST
from jobs.ledger.history.retention import RULES, Rules
from jobs.ledger.queries.plan_parts import ended_names
from jobs.migration.history_tables import RUNS
from jobs.states import RunState

log = logging.getLogger("jobs.upkeep")

Make = Callable[[list[tuple[str, datetime]]], None]
"""Makes the partitions for these rules and moments that are missing."""
Name = tuple[RunState, str, str]
"""State, queue and kind of ended runs."""


def drop_due(app: App, rules: Rules, known: list[Partition], make: Make, *, seconds: float) -> Iterator[Partition]:
    """Drop what is due of the partitions ``known``, and yield each that is gone.

    Args:
        seconds: how long runs that are kept for longer may move. A partition with more of them is dropped another time.

    Raises:
        LedgerBusy: somebody holds a lock; a later call goes on from there.
    """
    due = list(rules.due(known, app.clock.now()))
    if not due:
        return
    held = _move_longer(app, rules, due, make, app.clock.monotonic() + seconds)
    for one in due:
        if not _is_among(one, held):
            partitions.drop(app.database, one)
            log.info("Partition of history dropped", extra={"partition": one.name, "rows": one.rows})
            yield one


def _move_longer(app: App, rules: Rules, due: list[Partition], make: Make, until: float) -> list[Place]:
    """Move what is kept for longer out of the partitions; returns those where more is left."""
    places = [Place(one.rule, one.period) for one in due if one.twin == RUNS.name and not one.is_pending]
    with app.database.read() as connection:
        names = ended_names(connection)
    held = []
    for place in places:
        of = [name for name in names if _is_longer(rules, name, place.rule)]
        if not all(_move_name(app, rules, place, name, make, until) for name in of):
            held.append(place)
    return held


def _is_longer(rules: Rules, name: Name, rule: str) -> bool:
    """Whether the partitions of a rule may have runs of this name, which are kept for longer than it says."""
    if rule in RULES and name[0].value != rule:
        return False
    span, of_rule = rules.kept.span_of(*name), rules.span_of(rule)
    return of_rule is not None and (span is None or span > of_rule) and rules.rule_of(*name) != rule


def _move_name(app: App, rules: Rules, place: Place, name: Name, make: Make, until: float) -> bool:
    """Returns whether none is left."""
    other, span = rules.rule_of(*name), rules.kept.span_of(*name)
    # What is over its longer time, too, is dropped with the partition.
    since = FIRST if span is None else app.clock.now() - span
    while since < place.period.end:
        with app.database.read() as connection:
            found = find_longer(connection, place, name, since=since)
        if not found:
            break
        if app.clock.monotonic() > until:
            return False
        make([(other, ended_at) for _, ended_at in found])
        with app.database.write() as connection:
            keep_longer(connection, [run_id for run_id, _ in found], place, rule=other)
    return True


def _is_among(one: Partition, held: Collection[Place]) -> bool:
    return any(
        place.rule == one.rule and place.period.begin < one.period.end and one.period.begin < place.period.end
        for place in held
    )
