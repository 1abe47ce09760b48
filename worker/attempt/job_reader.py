"""Reads a claimed run's arguments into its job, or leaves them to a worker with another release."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.client.job import Job
from jobs.definition.arguments import read_arguments
from jobs.definition.class_release import code_of
from jobs.definition.secret import Sealing
from jobs.errors import ArgumentsRefused, JobsError, Snooze
from jobs.formats.stored_reference import may_hold_packed
from jobs.ledger.queries.class_releases import is_read_elsewhere
from jobs.ledger.records import Claim
from jobs.runtime.context import current_run
from jobs.runtime.own_threads import step
from jobs.sealing.run_seal import open_claim
from jobs.storage.packing import unpack_arguments
from worker.attempt.retry_decision import ReadElsewhere

NEWER_WAIT = timedelta(seconds=5)
"""The wait before a run whose arguments have a later version is tried again."""
REFUSED_HERE = f"{ReadElsewhere.__module__}.{ReadElsewhere.__qualname__}"
"""The error type of an attempt that released a run for this reason."""


class JobReader:
    """Reads the arguments of a process's runs."""

    def __init__(self, app: App) -> None:
        self._app = app

    def read(self, cls: type[Job], claim: Claim) -> Job:
        """Returns the run's job with its arguments.

        Raises:
            ReadElsewhere: the arguments do not fit, but a live worker has another release of the job, which may read
            them.
            Snooze: the arguments have a later version; a worker of that release will come.
            ArgumentsRefused: the arguments do not fit.
            StoredMissing, StoredAltered, StoreDown: one of them is in a store, and cannot be read.
        """
        try:
            return self._read(cls, claim)
        except ArgumentsRefused as refused:
            if self._is_read_elsewhere(cls, claim):
                raise ReadElsewhere(refused) from refused
            raise

    async def read_async(self, cls: type[Job], claim: Claim) -> Job:
        """The same, without blocking the event loop."""
        try:
            if may_hold_packed(claim.arguments):
                return await step(self._read, cls, claim)
            return self._read(cls, claim)
        except ArgumentsRefused as refused:
            if await step(self._is_read_elsewhere, cls, claim):
                raise ReadElsewhere(refused) from refused
            raise

    def _read(self, cls: type[Job], claim: Claim) -> Job:
        version, stored = cls.options.version, claim.arguments_version
        upcast = (lambda old: cls.upcast(old, stored)) if stored < version else None
        text = unpack_arguments(self._app, claim.arguments)
        if cls._sealing is not None:
            text = self._opened(cls._sealing, claim, is_older=stored < version)
        try:
            return read_arguments(cls, text, kind=claim.kind, upcast=upcast)
        except ArgumentsRefused:
            # A later release enqueued it. During a deploy a worker of that release will come.
            if stored > version and claim.age < self._app.settings.unknown_kind_wait:
                raise Snooze(NEWER_WAIT, reason="its arguments are of a later version") from None
            raise

    def _opened(self, sealing: Sealing, claim: Claim, *, is_older: bool) -> str:
        """The arguments in clear; from here on the run seals its steps, and hides what was sealed in its errors.

        Raises:
            SealKeyMissing, SealBroken, SubjectForgotten: they cannot be opened.
        """
        text, seal = open_claim(self._app, sealing, claim, is_older=is_older)
        performing = current_run.get()
        if performing is not None:
            performing.seal = seal
            if performing.lines is not None:
                performing.lines.hide = seal.hide_in
        return text

    def _is_read_elsewhere(self, cls: type[Job], claim: Claim) -> bool:
        try:
            with self._app.database.read() as connection:
                return is_read_elsewhere(
                    connection, claim.run_id, claim.kind, code=code_of(cls), refused_as=REFUSED_HERE
                )
        except JobsError:
            # The answer is not known. Waiting costs time; dead-lettering costs the run.
            return True
