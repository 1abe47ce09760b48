"""Exit codes of commands.

``jobledger --help`` prints ``MEANINGS``; the codes are public and never change their meaning.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    SERVICE_DOWN = 5
    UNHEALTHY = 6
    RUN_DEAD = 7
    TIMED_OUT = 124
    INTERRUPTED = 130
    PIPE_CLOSED = 141


MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAILED: "failed, or the ledger's tables are not this release's (migrate)",
    Exit.USAGE: "usage: argument, option or setting; or a prompt not answered with yes",
    Exit.NOT_FOUND: "not found",
    Exit.CONFLICT: "conflict: the state does not allow it, or an id is ambiguous",
    Exit.SERVICE_DOWN: "a service is down: database or Redis",
    Exit.UNHEALTHY: "unhealthy, reported by --fail-on or check",
    Exit.RUN_DEAD: "`wait`: the run is dead or cancelled",
    Exit.TIMED_OUT: "--timeout ran out",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
    Exit.PIPE_CLOSED: "the reader of the output closed it (as in: | head)",
}
"""FAILED and not SERVICE_DOWN for a schema mismatch: the server answers, and waiting does not help."""


class CommandFailed(Exception):
    """Raise it to end a command with any of the codes and one line on stderr.

    For outcomes that are not a ``JobsError``: ``--fail-on``, a failed demo, a dead run in ``wait``.
    """

    def __init__(self, message: str, *, exit_code: Exit = Exit.FAILED, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def exit_code_for(error: Exception) -> Exit | None:
    """The exit code of a ``JobsError``; None for any other error.

    The most derived class decides: ``KeyConflict`` is a conflict, its parent ``EnqueueRefused`` is usage.
    """
    # Imported here, because `jobledger --help` must not load the package that applications import.
    from jobs import errors
    from jobs.ledger.blobs import blob_errors
    from jobs.operations.access import access_errors
    from jobs.sealing import seal_errors

    codes: dict[type[BaseException], Exit] = {
        errors.JobsError: Exit.FAILED,
        errors.ConfigurationError: Exit.USAGE,
        errors.DefinitionError: Exit.USAGE,
        errors.ArgumentsRefused: Exit.USAGE,
        errors.EnqueueRefused: Exit.USAGE,
        errors.SelectorRefused: Exit.USAGE,
        errors.KeyConflict: Exit.CONFLICT,
        errors.QueueFull: Exit.CONFLICT,
        errors.Forbidden: Exit.FAILED,
        access_errors.CredentialRefused: Exit.USAGE,
        access_errors.Unauthenticated: Exit.FAILED,
        access_errors.TooManyAttempts: Exit.FAILED,
        errors.NotEnded: Exit.TIMED_OUT,
        errors.KeyBusy: Exit.CONFLICT,
        seal_errors.SealKeyMissing: Exit.FAILED,
        seal_errors.SubjectForgotten: Exit.CONFLICT,
        blob_errors.StoredMissing: Exit.CONFLICT,
        blob_errors.StoredAltered: Exit.FAILED,
        errors.StepRepeated: Exit.USAGE,
        errors.StepRefused: Exit.USAGE,
        errors.UnknownEffect: Exit.CONFLICT,
        errors.NotFound: Exit.NOT_FOUND,
        errors.Ambiguous: Exit.CONFLICT,
        errors.Conflict: Exit.CONFLICT,
        errors.LeaseLost: Exit.CONFLICT,
        errors.ServiceDown: Exit.SERVICE_DOWN,
        errors.SchemaMismatch: Exit.FAILED,
        CommandFailed: error.exit_code if isinstance(error, CommandFailed) else Exit.FAILED,
    }
    return next((codes[kind] for kind in type(error).__mro__ if kind in codes), None)
