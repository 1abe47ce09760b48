"""Errors of sealed values.

JobsError
├── ArgumentsRefused
│   └── SealBroken            a sealed value was altered, or belongs to another run
├── SealKeyMissing            a key that seals or opens a value is not here
└── SubjectForgotten          the key of a sealed value's subject was deleted
"""

from __future__ import annotations

from jobs.errors import ArgumentsRefused, JobsError


class SealBroken(ArgumentsRefused):
    """A sealed value was altered, or was sealed for another run or another field."""

    code = "seal_broken"


class SealKeyMissing(JobsError):
    """This process lacks a key. ``key_id`` names it; None if it has no keys at all."""

    code = "seal_key_missing"

    def __init__(self, message: str, *, key_id: str | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.key_id = key_id


class SubjectForgotten(JobsError):
    """The key of the subject was deleted, so that nobody can read what it sealed."""

    code = "subject_forgotten"
