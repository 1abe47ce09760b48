"""Hides secrets in the rows of a bundle, by what each kind declares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from jobs.clock import new_token
from jobs.definition.redaction import HIDDEN, Redaction, secret_names
from jobs.formats.stored_reference import MARK, packed_in

Row = dict[str, Any]
Schemas = Mapping[str, Mapping[str, Any] | None]
"""The JSON schema of each kind's arguments; None or missing: not known, and every value is hidden."""
_OF_RUN = frozenset(
    {"job_attempts", "job_attempt_logs", "job_steps", "job_signals", "job_followups", "operator_action_runs"}
)
_JSON = {
    "job_runs": ("result", "progress", "tags"),
    "job_attempt_logs": ("lines",),
    "job_steps": ("result",),
    "job_signals": ("payload",),
    "operator_action_runs": ("before", "after"),
    "operator_actions": ("selector", "options", "before", "after"),
    "job_schedules": ("definition",),
}
_DATA = frozenset({"lines", "result", "progress", "payload", "selector", "options"})
"""Columns that may contain arguments or results; the others are state columns, names and rules."""
_TEXT = {
    "job_runs": ("error_message", "key", "cancel_reason", "correlation_id"),
    "job_attempts": ("error_message", "traceback"),
    "operator_action_runs": ("skipped",),
    "operator_actions": ("reason", "target"),
    "job_queues": ("pause_reason",),
    "job_kinds": ("pause_reason",),
    "job_schedules": ("pause_reason", "problem"),
    "job_limits": ("key",),
    "job_workers": ("problem",),
}


class RowRedaction:
    """Cleans rows before they are written. Rows of a run come after the run itself; shared rows come last.

    Args:
        hides_all: hide every argument, result and message: the operator may not see them.
    """

    def __init__(self, schemas: Schemas, *, hides_all: bool = False) -> None:
        self._schemas = schemas
        self._hides_all = hides_all
        self._names = frozenset(name for schema in schemas.values() for name in secret_names(schema))
        self._of_run: dict[Any, Redaction] = {}
        self._shared = Redaction(self._names)
        self._salt = new_token().bytes

    def forget_runs(self) -> None:
        """Forget the values of the runs of one page: their own rows are written."""
        self._of_run.clear()

    def clean(self, table: str, row: Row) -> Row:
        """A copy of a row without secrets."""
        run_id = row["id"] if table == "job_runs" else row.get("run_id") if table in _OF_RUN else None
        known = self._shared if run_id is None else self._of_run.setdefault(run_id, Redaction(self._names))
        cleaned = dict(row)
        if table in ("job_runs", "job_schedules"):
            cleaned["arguments"] = self._arguments(known, row["kind"], row["arguments"])
        if table == "job_followups":
            cleaned["run"] = self._call(known, row["kind"], row["run"])
        for name in _JSON.get(table, ()):
            cleaned[name] = self._json(known.data, row[name], is_data=name in _DATA)
        for name in _TEXT.get(table, ()):
            cleaned[name] = self._text(known, row[name])
        if table == "job_runs":
            # Both are hashes of arguments, which could be guessed.
            cleaned["arguments_hash"] = None
            cleaned["held_on"] = self._held_on(row["held_on"])
        if table in ("job_limits", "job_limit_slots"):
            cleaned["digest"] = self._digest(row["digest"])
        return cleaned

    def _arguments(self, known: Redaction, kind: str, stored: str) -> str:
        schema = None if self._hides_all else self._schemas.get(kind)
        value = _read(stored)
        cleaned = without_digests(known.arguments(value, schema))
        # What is hidden here may come again in the audit, or in the key of a limit.
        self._shared.arguments(value, schema)
        return json.dumps(cleaned)

    def _call(self, known: Redaction, kind: str, stored: str) -> str:
        call = _read(stored)
        if not isinstance(call, dict):
            return json.dumps(HIDDEN)
        inner = call.get("arguments")
        if isinstance(inner, str):
            call["arguments"] = self._arguments(known, kind, inner)
        elif inner is not None:
            call["arguments"] = json.loads(self._arguments(known, kind, json.dumps(inner)))
        rest = {name: value for name, value in call.items() if name not in ("arguments", "arguments_hash")}
        return json.dumps({**known.data(rest), "arguments": call.get("arguments"), "arguments_hash": None})

    def _json(self, clean: Callable[[Any], Any], stored: str | None, *, is_data: bool) -> str | None:
        if stored is None:
            return None
        return json.dumps(HIDDEN if self._hides_all and is_data else without_digest(clean(_read(stored))))

    def _text(self, known: Redaction, stored: str | None) -> str | None:
        if stored is None:
            return None
        return HIDDEN if self._hides_all else known.text(stored)

    def _held_on(self, held_on: str | None) -> str | None:
        name, sign, digest = (held_on or "").partition("#")
        return f"{name}#{self._digest(digest)}" if sign else held_on

    def _digest(self, digest: str) -> str:
        """The same for the same key within the bundle, and nothing to guess the key by."""
        if not digest:
            return digest
        return hashlib.blake2b(digest.encode(), key=self._salt, digest_size=16).hexdigest()[: len(digest)]


def without_digests(arguments: Any) -> Any:
    """Arguments without the hashes of those that went to the store by themselves, by which they could be guessed."""
    if not isinstance(arguments, dict):
        return arguments
    return {name: without_digest(value) for name, value in arguments.items()}


def without_digest(value: Any) -> Any:
    """A reference to a value that went to the store by itself, without its hash; any other value as it is."""
    return value if packed_in(value) is None else {**value, MARK: {**value[MARK], "sha256": HIDDEN}}


def _read(stored: str) -> Any:
    """The value of stored JSON; hidden if another program wrote what Python cannot read."""
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return HIDDEN
