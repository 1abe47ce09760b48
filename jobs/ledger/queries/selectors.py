"""Selectors: which runs a list shows and a bulk action takes, with the same meaning for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from jobs.states import RunState

WAITING = ("ready", "scheduled", "retrying", "parked", "waiting")
"""Names for parts of ``queued``: due; not due and never tried; not due and tried; and the two holds of ``Hold``."""
STATE_WORDS = (*(str(state) for state in RunState), *WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A set of runs. Fields combine with AND, the values of a field with OR; tags and arguments must all match.

    Kinds, queues, keys and errors may contain ``*`` and ``?``. ``since`` and ``until`` limit when the run entered its
    present state. ``held`` names limits, rates and breakers that runs are parked on, with or without a key: ``stripe``,
    or ``limit:stripe``. ``limit`` takes the oldest. ``purged`` means purged runs instead of the others.
    """

    ids: tuple[UUID, ...] = ()
    kinds: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    attempts: tuple[tuple[str, int], ...] = ()
    parents: tuple[UUID, ...] = ()
    batches: tuple[UUID, ...] = ()
    held: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    is_all: bool = False
    purged: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it matches every run."""
        return self == Selector(limit=self.limit, is_all=self.is_all, purged=self.purged)

    def within(self, states: Sequence[str]) -> Selector:
        """The same selector, limited to these states unless it names its own."""
        return self if self.states else replace(self, states=tuple(states))

    @property
    def looks_at_each(self) -> tuple[str, ...]:
        """The fields of this selector that no index answers, so that each run the rest selects is checked."""
        words = {
            "errors": bool(self.errors),
            "keys with * or ?": any(map(is_pattern, self.keys)),
            "tags": bool(self.tags),
            "arguments": bool(self.arguments),
            "attempts": bool(self.attempts),
        }
        return tuple(word for word, is_said in words.items() if is_said)

    @property
    def is_slow(self) -> bool:
        """Whether it checks each run and no indexed field narrows the search.

        Indexed fields are ids, a fingerprint, a key, a parent or a batch, what a run is parked on, a state other than
        succeeded, and a kind or queue with a period.
        """
        is_narrow = bool(self.ids or self.fingerprints or self.parents or self.batches or self.causes or self.purged)
        is_narrow |= bool(self.held)
        is_narrow |= bool(self.keys) and not any(map(is_pattern, self.keys))
        is_narrow |= bool(self.states) and RunState.SUCCEEDED not in self.states
        is_narrow |= self.since is not None
        return bool(self.looks_at_each) and not is_narrow


def is_pattern(text: str) -> bool:
    """Whether it contains ``*`` or ``?``, which stand for any text and any character."""
    return "*" in text or "?" in text
