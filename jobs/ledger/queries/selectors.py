"""Selectors: which runs a list shows and a bulk action takes. One meaning for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from jobs.states import RunState

WAITING = ("ready", "scheduled", "retrying")
"""Words for parts of ``queued``: due; not due and never tried; not due and tried."""
STATE_WORDS = (*(str(state) for state in RunState), *WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which runs are meant: each field narrows, the values of one are alternatives; tags and arguments all hold.

    Kinds, queues, keys and errors may hold ``*`` and ``?``. ``since`` and ``until`` bound when the run entered its
    present state. ``limit`` takes the oldest. ``purged`` means purged runs instead of the others.
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
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    is_all: bool = False
    purged: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing narrows it."""
        return self == Selector(limit=self.limit, is_all=self.is_all, purged=self.purged)

    def within(self, states: Sequence[str]) -> Selector:
        """The same, of these states unless it names its own."""
        return self if self.states else replace(self, states=tuple(states))

    @property
    def looks_at_each(self) -> tuple[str, ...]:
        """The words of this selector that no index answers: each run that the rest selects is looked at for them."""
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
        """It looks at each run, and nothing that an index answers narrows them: neither ids, a fingerprint, a key or a
        parent, nor a state other than succeeded, nor a kind or queue with a period."""
        is_narrow = bool(self.ids or self.fingerprints or self.parents or self.causes or self.purged)
        is_narrow |= bool(self.keys) and not any(map(is_pattern, self.keys))
        is_narrow |= bool(self.states) and RunState.SUCCEEDED not in self.states
        is_narrow |= self.since is not None
        return bool(self.looks_at_each) and not is_narrow


def is_pattern(text: str) -> bool:
    """It holds ``*`` or ``?``, which stand for any text and any character."""
    return "*" in text or "?" in text
