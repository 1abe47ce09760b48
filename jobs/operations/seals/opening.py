"""Opens the sealed values of a run for a person; each opening is on record."""

from __future__ import annotations

from dataclasses import replace

from jobs.app import App
from jobs.ledger.queries import find
from jobs.ledger.run_records import RunRecord
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.sealing.seals import RESULT
from jobs.storage.packing import in_clear


def open_run(app: App, operator: Operator, text: str, *, reason: str | None = None) -> RunRecord:
    """The run that ``text`` identifies, with its sealed arguments and result in clear.

    The entry in the audit is committed before anything is returned.

    Raises:
        Forbidden: the operator lacks ``sealed:read``.
        NotFound, Ambiguous: ``text`` does not identify one run.
        SealKeyMissing: this process does not have the key.
        SealBroken: a value was altered, or sealed for another run.
        SubjectForgotten: the key of the subject was deleted.
        StoredMissing, StoredAltered, StoreDown: a value is in a store, and cannot be read.
    """
    operator.need(Permission.SEALED_READ)
    check_reason(app, reason)
    with app.database.read() as connection:
        run = find.find_named(connection, text)
    run = in_clear(app, run)
    arguments = run.arguments
    if isinstance(arguments, dict):
        arguments = {name: app.seals.open(app, value, run.id, name) for name, value in arguments.items()}
    result = app.seals.open(app, run.result, run.id, RESULT)
    with app.database.write(urgent=True) as connection:
        record_finished(connection, "open_sealed", operator, target=f"run {run.id}", reason=reason)
    return replace(run, arguments=arguments, result=result)
