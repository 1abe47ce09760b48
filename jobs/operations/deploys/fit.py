"""Whether stored arguments fit a job's class, without performing it; misfits in groups."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.definition.arguments import read_arguments
from jobs.errors import ArgumentsRefused
from jobs.formats.stored_reference import may_hold_packed, packed_in

MAX_GROUPS = 20
"""Most groups of misfits that are told apart for one kind; further ones are counted together. Source: decision."""
OTHER = "other reasons"


@dataclass(slots=True)
class Misfit:
    """Calls of one kind and version that do not fit for one reason; ``since`` is when the oldest was enqueued."""

    version: int
    field: str | None
    why: str
    since: datetime
    example: str
    count: int = 1


@dataclass(slots=True)
class Fit:
    """The result for some calls of one kind. ``fits`` includes those that ``upcast`` brings up to date."""

    fits: int = 0
    by_upcast: int = 0
    misfits: dict[tuple[int, str | None, str], Misfit] = field(default_factory=dict)

    @property
    def checked(self) -> int:
        return self.fits + sum(one.count for one in self.misfits.values())

    def check(self, cls: Any, kind: str, *, version: int, arguments: str, example: object, since: datetime) -> None:
        """Read one call's arguments as a worker does, and count the result."""
        is_older = version < cls.options.version
        try:
            upcast = (lambda old: cls.upcast(old, version)) if is_older else None
            read_arguments(cls, arguments, kind=kind, upcast=upcast)
        except ArgumentsRefused as refused:
            if not _is_elsewhere(refused.field, arguments):
                self._add(cls, version, refused, since, str(example))
                return
        self.fits += 1
        self.by_upcast += is_older

    def _add(self, cls: Any, version: int, refused: ArgumentsRefused, since: datetime, example: str) -> None:
        name = _general(refused.field) if refused.field else None
        why = refused.message
        if version > cls.options.version:
            why = f"{why} They are of version {version}, and this code has {cls.options.version}."
        # Without the field's place in a list, else each item makes a group of its own.
        key = (version, name, type(refused).__name__ if name else why)
        if key not in self.misfits and len(self.misfits) >= MAX_GROUPS:
            key, name, why = (version, None, OTHER), None, OTHER
        found = self.misfits.get(key)
        if found is None:
            self.misfits[key] = Misfit(version, name, why, since, example)
            return
        found.count += 1
        if since < found.since:
            found.since, found.example = since, example


def _general(path: str) -> str:
    """``items.3.price`` as ``items.*.price``."""
    return ".".join("*" if part.isdecimal() else part for part in path.split("."))


def _is_elsewhere(field: str | None, arguments: str) -> bool:
    """Whether the value that does not fit is in a store, where it is not read."""
    if field is None or not may_hold_packed(arguments):
        return False
    given = json.loads(arguments)
    return isinstance(given, dict) and packed_in(given.get(field.partition(".")[0])) is not None
