"""The seal of one run while it performs: seals its result and steps, and hides its sealed arguments in errors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from jobs.definition import registry
from jobs.definition.secret import Sealing
from jobs.errors import ConfigurationError
from jobs.formats.stored_reference import packed_in
from jobs.ledger.blobs.packed_content import unpacked
from jobs.ledger.records import Claim, Failure
from jobs.ledger.run_records import RunRecord
from jobs.sealing.seal_errors import SealKeyMissing, SubjectForgotten
from jobs.sealing.seals import RESULT, STEP, SealHost, hide
from jobs.sealing.values import is_sealed, masked


class RunSeal:
    """What an attempt knows of the seal of its run."""

    __slots__ = ("_app", "_run_id", "_sealing", "_secrets", "_subject")

    def __init__(self, app: SealHost, sealing: Sealing, run_id: UUID, subject: Any, secrets: list[str]) -> None:
        self._app = app
        self._sealing = sealing
        self._run_id = run_id
        self._subject = subject
        self._secrets = secrets

    def step_text(self, name: str, text: str) -> str:
        """A step's or cursor's result as the ledger stores it."""
        return self._sealed(text, STEP + name)

    def step_value(self, name: str, value: Any) -> Any:
        """A step's or cursor's result as it was sealed."""
        return self._app.seals.open(self._app, value, self._run_id, STEP + name) if self._sealing.seals_all else value

    def result_text(self, text: str | None) -> str | None:
        """The run's result as the ledger stores it."""
        return None if text is None else self._sealed(text, RESULT)

    @property
    def seals_result(self) -> bool:
        return self._sealing.seals_all

    def hidden(self, failure: Failure) -> Failure:
        """An error without the values that were sealed."""
        if not self._secrets:
            return failure
        message, trace = hide(failure.message, self._secrets), failure.traceback
        return replace(failure, message=message, traceback=None if trace is None else hide(trace, self._secrets))

    def hide_in(self, text: str) -> str:
        """``text`` without the values that were sealed."""
        return hide(text, self._secrets)

    def _sealed(self, text: str, field: str) -> str:
        if not self._sealing.seals_all:
            return text
        return self._app.seals.seal_text(self._app, self._sealing, text, self._run_id, field, subject=self._subject)


def open_claim(app: SealHost, sealing: Sealing, claim: Claim, *, is_older: bool) -> tuple[str, RunSeal]:
    """The clear arguments of a claimed run as JSON, and the run's seal.

    Args:
        is_older: they are of an earlier version of the class, whose sealed fields may have had other names.

    Raises:
        SealKeyMissing, SealBroken, SubjectForgotten: they cannot be opened.
        StoredMissing, StoredAltered, StoreDown: one that is in a store cannot be read.
    """
    text, secrets = app.seals.open_arguments(
        app, claim.arguments, claim.run_id, fields=None if is_older else sealing.fields
    )
    subject = json.loads(text).get(sealing.subject) if sealing.subject is not None else None
    return text, RunSeal(app, sealing, claim.run_id, subject, secrets)


def is_closed(value: Any) -> bool:
    """Whether ``open_result`` gives another value than this one."""
    return is_sealed(value) or packed_in(value) is not None


def open_result(app: SealHost, kind: str, run_id: UUID, value: Any) -> Any:
    """The result of a run that is sealed or in a store; any other as it is.

    Raises:
        SealKeyMissing, SealBroken, SubjectForgotten: it cannot be opened.
        StoredMissing, StoredAltered, StoreDown: it cannot be read from its store.
    """
    if not is_sealed(value):
        return unpacked(app, value)
    sealing = getattr(registry.find(kind), "_sealing", None)
    return app.seals.open(app, value, run_id, RESULT) if sealing is not None and sealing.seals_all else value


def opened(app: SealHost, run: RunRecord) -> RunRecord:
    """A run with its sealed arguments and result opened, if this process has the class and the keys; else as people
    see it.

    Raises:
        StoredMissing, StoredAltered, StoreDown: one is in a store, and cannot be read.
    """
    sealing = getattr(registry.find(run.kind), "_sealing", None)
    if sealing is None or not isinstance(run.arguments, dict):
        return run
    try:
        arguments = {
            name: app.seals.open(app, value, run.id, name) if name in sealing.fields else value
            for name, value in run.arguments.items()
        }
        return replace(run, arguments=arguments, result=open_result(app, run.kind, run.id, run.result))
    except (SealKeyMissing, SubjectForgotten, ConfigurationError):
        return replace(run, arguments=masked(run.arguments), result=masked(run.result))
