"""Compares what a shadow run did with what the ledger has of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from jobs.formats.stored_reference import Reference
from jobs.ledger.run_records import RunRecord
from jobs.states import Outcome, RunState

MAX_CHANGES = 20
"""Most differences of two results that are listed. Source: decision; a screenful."""
ABSENT = "(absent)"


class Finding(StrEnum):
    """What came of a shadow run."""

    SAME = "same"
    OTHER = "other result"
    RAISES = "raises"
    BEYOND = "beyond memos"
    LOST = "lost"
    UNKNOWN = "kind unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """A stored run, and what it did with the code at hand.

    Attributes:
        was: the state of the stored run; ``outcome`` is that of the shadow run, None if it has none.
        why: in a sentence, what is different; None if nothing is.
        changes: the places in the result that differ: path, stored value, new value.
        enqueued: runs that it would have enqueued: kind, queue, key and arguments. ``followups`` likewise, by its end.
        is_guarded: the kernel refused connections too, not only Python.
    """

    run_id: UUID
    kind: str
    was: RunState
    finding: Finding
    outcome: str | None = None
    why: str | None = None
    fingerprint: str | None = None
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)
    enqueued: list[dict[str, Any]] = field(default_factory=list)
    followups: list[dict[str, Any]] = field(default_factory=list)
    is_guarded: bool = False

    @property
    def is_worse(self) -> bool:
        """Whether the code at hand does less well by the run, or other than by the code that it succeeded with."""
        if self.finding in (Finding.RAISES, Finding.LOST, Finding.UNKNOWN):
            return True
        return self.finding is not Finding.SAME and self.was is RunState.SUCCEEDED

    @property
    def fails(self) -> bool:
        """Whether a replay would fail again."""
        is_failure = self.outcome is not None and self.outcome != Outcome.SUCCEEDED and self.finding is Finding.SAME
        return is_failure or self.finding in (Finding.RAISES, Finding.LOST, Finding.UNKNOWN)


def compare(run: RunRecord, answer: Mapping[str, Any]) -> ShadowReport:
    """The report on ``run``, from the answer of the process that performed it."""
    finding, why, changes = _found(run, answer)
    return ShadowReport(
        run_id=run.id,
        kind=run.kind,
        was=run.state,
        finding=finding,
        outcome=answer.get("outcome"),
        why=why,
        fingerprint=answer.get("fingerprint"),
        changes=changes,
        enqueued=answer.get("enqueued", []),
        followups=answer.get("followups", []),
        is_guarded=bool(answer.get("by_kernel")),
    )


def _found(run: RunRecord, answer: Mapping[str, Any]) -> tuple[Finding, str | None, list[tuple[str, Any, Any]]]:
    if answer.get("is_unknown"):
        return Finding.UNKNOWN, "the imported modules have no such kind", []
    if (lost := answer.get("lost") or answer.get("broken")) is not None:
        return Finding.LOST, str(lost).strip().splitlines()[-1], []
    reached = [*answer["beyond"], *(f"connects to {one}" for one in answer["blocked"])]
    if reached:
        return Finding.BEYOND, "; ".join(reached), []
    if answer["outcome"] != Outcome.SUCCEEDED:
        error = answer["error"] or f"it ends as {answer['outcome']}"
        if answer["fingerprint"] is not None and answer["fingerprint"] == run.fingerprint:
            return Finding.SAME, f"it fails as before: {error}", []
        return Finding.RAISES, error, []
    if run.state is not RunState.SUCCEEDED:
        return Finding.OTHER, f"it was {run.state}, and succeeds", []
    new = json.loads(answer["result"]) if answer["result"] is not None else None
    changes = list(differences(run.result, new))[:MAX_CHANGES]
    if not changes:
        return Finding.SAME, None, []
    path, old, now = changes[0]
    return Finding.OTHER, f"{path or 'the result'} was {_short(old)}, and is {_short(now)}", changes


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places at which two JSON values differ: path, old value, new value. Stored values count by their content."""
    before, after = Reference.of(old), Reference.of(new)
    if before is not None and after is not None and (before.sha256, before.size) == (after.sha256, after.size):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            inner = f"{path}.{name}" if path else str(name)
            yield from differences(old.get(name, ABSENT), new.get(name, ABSENT), inner)
    elif isinstance(old, list) and isinstance(new, list):
        for place in range(max(len(old), len(new))):
            pair = [one[place] if place < len(one) else ABSENT for one in (old, new)]
            yield from differences(pair[0], pair[1], f"{path}.{place}" if path else str(place))
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield path, old, new


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
