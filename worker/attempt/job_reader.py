"""Reads a claimed run's arguments into its job, or leaves them to a worker with another release."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.client.job import Job
from jobs.definition.arguments import read_arguments
from jobs.definition.class_release import code_of
from jobs.errors import ArgumentsRefused, JobsError, Snooze
from jobs.ledger.queries.class_releases import is_read_elsewhere
from jobs.ledger.records import Claim
from jobs.runtime.own_threads import step
from worker.attempt.retry_decision import ReadElsewhere

NEWER_WAIT = timedelta(seconds=5)
"""Before a run whose arguments are of a later version is looked at again."""
REFUSED_HERE = f"{ReadElsewhere.__module__}.{ReadElsewhere.__qualname__}"
"""The error type of attempts that gave a run back so."""


class JobReader:
    """Reads the arguments of a process's runs."""

    def __init__(self, app: App) -> None:
        self._app = app

    def read(self, cls: type[Job], claim: Claim) -> Job:
        """The run's job.

        Raises:
            ReadElsewhere: it does not fit, and a live worker has another release of it, which may read it.
            Snooze: it is of a later version, whose own worker will come.
            ArgumentsRefused: it does not fit.
        """
        try:
            return self._read(cls, claim)
        except ArgumentsRefused as refused:
            if self._is_read_elsewhere(cls, claim):
                raise ReadElsewhere(refused) from refused
            raise

    async def read_async(self, cls: type[Job], claim: Claim) -> Job:
        """The same, without holding up the loop."""
        try:
            return self._read(cls, claim)
        except ArgumentsRefused as refused:
            if await step(self._is_read_elsewhere, cls, claim):
                raise ReadElsewhere(refused) from refused
            raise

    def _read(self, cls: type[Job], claim: Claim) -> Job:
        version, stored = cls.options.version, claim.arguments_version
        upcast = (lambda old: cls.upcast(old, stored)) if stored < version else None
        try:
            return read_arguments(cls, claim.arguments, kind=claim.kind, upcast=upcast)
        except ArgumentsRefused:
            # A later release enqueued it: during a deploy its own worker will come.
            if stored > version and claim.age < self._app.settings.unknown_kind_wait:
                raise Snooze(NEWER_WAIT, reason="its arguments are of a later version") from None
            raise

    def _is_read_elsewhere(self, cls: type[Job], claim: Claim) -> bool:
        try:
            with self._app.database.read() as connection:
                return is_read_elsewhere(
                    connection, claim.run_id, claim.kind, code=code_of(cls), refused_as=REFUSED_HERE
                )
        except JobsError:
            # Nobody can say; to wait costs time, and to bury costs the run.
            return True
