"""Forgets a subject: deletes the key of its values, which nobody can read from then on."""

from __future__ import annotations

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger.operators.subject_keys import forget_key
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission


def forget_subject(app: App, operator: Operator, subject: str, *, reason: str | None = None) -> None:
    """Delete the key of ``subject``. It cannot be undone. The audit knows the subject by its keyed hash only.

    Processes that have used the key may use it for another ``jobs.sealing.subjects.KEPT_SECONDS``.

    Raises:
        NotFound: nothing is sealed for the subject.
        SealKeyMissing: this process has no keys, so it does not know the subject's hash.
    """
    operator.need(Permission.SEALED_WRITE)
    check_reason(app, reason)
    subject_hash = app.seals.subjects.hash_of(app, subject)
    with app.database.write(urgent=True) as connection:
        if not forget_key(connection, subject_hash):
            raise NotFound("Nothing is sealed for this subject, or it was forgotten before.")
        record_finished(connection, "forget_subject", operator, target=f"subject {subject_hash}", reason=reason)
    app.seals.subjects.forget()
