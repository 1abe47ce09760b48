"""Kinds: their names, definitions and numbers of runs. Definitions need the job's module to be imported."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.app import App
from jobs.definition import registry
from jobs.definition.unique import Unique
from jobs.errors import NotFound
from jobs.formats.duration import format_duration
from jobs.ledger import workers
from jobs.ledger.operators import queues
from jobs.ledger.queries.pagination import RunCount, count_up_to
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight.names import known_names
from jobs.operations.insight.overview import MOST
from jobs.scheduling.serialize import describe
from jobs.states import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSummary:
    """A kind of a list: ``definition`` as from ``definition_of``, None if this process does not know the job."""

    name: str
    definition: dict[str, Any] | None
    pause: queues.PauseRecord | None
    workers: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindStatistics:
    """A kind, and how many runs of it are in each state."""

    summary: KindSummary
    runs: dict[RunState, RunCount]


def list_kinds(
    app: App, operator: Operator, *, after: str = "", limit: int = 50, known: Sequence[str] | None = None
) -> list[KindSummary]:
    """Every kind of this process, a run, a live worker or a pause, by name; those after ``after``.

    ``known`` are the ledger's kinds, if the caller has read them.
    """
    operator.need(Permission.RUNS_READ)
    names = sorted({*(known_names(app, operator, "kind") if known is None else known), *registry.kinds()})
    return _summaries(app, [one for one in names if one > after][:limit])


def find_kind(app: App, operator: Operator, name: str) -> KindStatistics:
    """The kind with this name, or this former name.

    Raises:
        NotFound: no process and no run has it.
    """
    operator.need(Permission.RUNS_READ)
    cls = registry.find(name)
    kind = name if cls is None else str(cls.options.kind)
    (summary,) = _summaries(app, [kind])
    with app.database.read_both() as connection:
        runs = {
            state: count_up_to(connection, Selector(kinds=(kind,), states=(state.value,)), most=MOST)
            for state in RunState
        }
    if cls is None and not (summary.pause or summary.workers or any(one.number for one in runs.values())):
        # The hint names the nearest, and how to import its module.
        raise NotFound(f"No run, no worker and no job here has the kind {name[:100]!r}.", hint=_near(name))
    return KindStatistics(summary=summary, runs=runs)


def _summaries(app: App, names: list[str]) -> list[KindSummary]:
    with app.database.read() as connection:
        paused, live = queues.pauses(connection, "kind"), workers.live(connection)
    found = []
    for name in names:
        cls = registry.find(name)
        knowing = [one.name for one in live if name in one.kinds]
        definition = None if cls is None else definition_of(cls)
        found.append(KindSummary(name=name, definition=definition, pause=paused.get(name), workers=knowing))
    return found


def _near(name: str) -> str | None:
    try:
        registry.get(name)
    except NotFound as error:
        return error.hint
    return None


def definition_of(cls: Any) -> dict[str, Any]:
    """The job's definition; spans as ``timedelta``, ``arguments`` as JSON Schema."""
    options, retry = cls.options, cls.options.retry
    doc = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
    return {
        "kind": options.kind,
        "doc": doc or None,
        "aliases": list(options.aliases),
        "queue": options.queue,
        "priority": options.priority,
        "timeout": options.timeout,
        "unique": _unique(options.unique),
        "schedules": [describe(one) for one in options.schedules],
        "version": options.version,
        "isolated": options.isolated,
        "memory": options.memory,
        "place": registry.place_of(cls),
        "retry": {
            "max_attempts": retry.max_attempts,
            "first": retry.first,
            "factor": retry.factor,
            "cap": retry.cap,
            "jitter": retry.jitter,
            "within": retry.within,
            "retry_on": [one.__name__ for one in retry.retry_on],
            "give_up_on": [one.__name__ for one in retry.give_up_on],
        },
        "arguments": _model(cls).model_json_schema(),
    }


def arguments_of(cls: Any) -> list[dict[str, object]]:
    """The job's arguments as rows: ``name``, ``type``, ``default`` and ``about``."""
    return [
        {
            "name": field.alias or name,
            "type": _type(field.annotation),
            "default": "required" if field.is_required() else repr(field.get_default(call_default_factory=False)),
            "about": field.description,
        }
        for name, field in _model(cls).model_fields.items()
    ]


def _model(cls: Any) -> Any:
    """The model with a field per argument: the job itself, unless it stands for a function with parameters."""
    parameters = getattr(cls, "_parameters", None)
    return cls if parameters is None else parameters()


def _type(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _unique(unique: Unique | None) -> str | None:
    if unique is None:
        return None
    if unique.hold is None:
        return "forever"
    return f"within {format_duration(unique.hold)}" if unique.hold else "while live"
