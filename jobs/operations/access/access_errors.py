"""Errors of signing in, passwords and tokens. The tree of all others is in ``jobs/errors.py``."""

from __future__ import annotations

from jobs.errors import JobsError, ServiceDown


class CredentialRefused(JobsError):
    """A user's name, password or role, or a property of a token, is invalid."""

    code = "bad_credential"


class Unauthenticated(JobsError):
    """No credentials, or wrong, expired or revoked ones. The message does not say whether name or password is wrong."""

    code = "unauthenticated"


class TooManyAttempts(JobsError):
    """Too many attempts to sign in; sign in again after ``retry_after_seconds``."""

    code = "too_many_tries"

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequests(TooManyAttempts):
    """A token or a user has sent too many changing requests in a short time."""

    code = "too_many_requests"


class Overloaded(ServiceDown):
    """This process already hashes as many passwords as it may at once; nothing was checked."""

    code = "overloaded"
