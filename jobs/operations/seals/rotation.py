"""Seals every stored value again with the first key of the file, so that an old key can be taken out of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.ledger.history_rows import bring_back
from jobs.ledger.operators import subject_keys
from jobs.ledger.queries import sealed_rows
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.sealing.rotation import with_first_key
from jobs.sealing.seal_errors import SealBroken
from jobs.sealing.values import key_id_of, open_value, seal

log = logging.getLogger("jobs.sealing")

BATCH = 500
"""Runs in one transaction. Source: decision; some tens of milliseconds."""
ROUNDS = 5
"""How often a value is sealed again that changed meanwhile, or whose run moved to history. Source: decision."""


@dataclass(slots=True)
class Rotation:
    """What a rotation has done. ``last`` is the last run of the last batch, from which another can continue."""

    runs: int = 0
    values: int = 0
    subjects: int = 0
    broken: int = 0
    last: UUID | None = None
    is_whole: bool = False


def rotate(
    app: App,
    operator: Operator,
    *,
    reason: str | None = None,
    after: UUID | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Rotation], None] = lambda done: None,
) -> Rotation:
    """Seal every value again that another key than the first sealed, batch by batch, while workers and callers go on.

    A rotation that was stopped does no harm; the next one finds what is left, or goes on ``after`` a run. Values that
    cannot be opened stay as they are, and are counted and logged. A run in history comes back to the hot tables, and
    moves again later.

    Raises:
        SealKeyMissing: a value is sealed with a key that this process does not have.
    """
    operator.need(Permission.SEALED_WRITE)
    check_reason(app, reason)
    done = Rotation(last=after)
    app.seals.keys.key_set(app, look=True)
    try:
        _subjects(app, done)
        _followups(app, done)
        while not is_stopped():
            with app.database.read() as connection:
                ids = sealed_rows.page_of_runs(connection, done.last, limit=BATCH)
            if not ids:
                done.is_whole = True
                break
            _runs(app, ids, done)
            done.runs, done.last = done.runs + len(ids), ids[-1]
            progress(done)
    finally:
        with app.database.write(urgent=True) as connection:
            record_finished(
                connection, "rotate_seals", operator, target="sealed values", reason=reason, count=done.values,
                after={"values": done.values, "subjects": done.subjects, "is_whole": done.is_whole},
            )  # fmt: skip
    return done


def _runs(app: App, ids: list[UUID], done: Rotation) -> None:
    left = _seal_runs(app, ids, done, is_first=True)
    for _ in range(ROUNDS - 1):
        left = _seal_runs(app, left, done, is_first=False) if left else []
    for run_id in left:
        done.broken += 1
        log.error("Sealed value changed each time it was sealed again", extra={"run_id": str(run_id)})


def _seal_runs(app: App, ids: list[UUID], done: Rotation, *, is_first: bool) -> list[UUID]:
    """Seal the values of these runs again. Returns the runs with a value that was not where it had been read."""
    with app.database.read() as connection:
        found = sealed_rows.sealed_texts(connection, ids)
    changed: list[tuple[sealed_rows.SealedText, str]] = []
    missed: set[UUID] = set()
    for one in found:
        try:
            new = with_first_key(
                app, one.text, one.run_id, step=one.name if one.what == "step" else None, is_result=one.what == "result"
            )
        except SealBroken as error:
            if is_first:
                done.broken += 1
                log.error("Sealed value cannot be opened", extra={"run_id": str(one.run_id), "reason": error.message})
            continue
        if new != one.text:
            changed.append((one, new))
    if changed:
        with app.database.write() as connection:
            if app.database.history.is_there:
                bring_back(connection, sorted({one.run_id for one, _ in changed}))
            put = 0
            for one, new in changed:
                if sealed_rows.put_text(connection, one, new):
                    put += 1
                else:
                    missed.add(one.run_id)
        done.values += put
    return sorted(missed)


def _followups(app: App, done: Rotation) -> None:
    after: UUID | None = None
    while True:
        with app.database.read() as connection:
            page: list[tuple[UUID, Any]] = sealed_rows.followup_texts(connection, after, limit=BATCH)
        for followup_id, run in page:
            text = run.get("arguments") if isinstance(run, dict) else None
            if isinstance(text, str) and (new := with_first_key(app, text, followup_id)) != text:
                with app.database.write() as connection:
                    done.values += sealed_rows.put_followup(
                        connection, followup_id, json.dumps({**run, "arguments": new})
                    )
        if len(page) < BATCH:
            return
        after = page[-1][0]


def _subjects(app: App, done: Rotation) -> None:
    key_set, after = app.seals.keys.key_set(app), None
    while True:
        with app.database.read() as connection:
            page = subject_keys.keys_after(connection, after, limit=BATCH)
        old = [(key_id, sealed) for key_id, sealed in page if key_id_of(sealed) != key_set.first]
        if old:
            with app.database.write() as connection:
                for key_id, sealed in old:
                    clear = open_value(app.seals.keys.cipher(app, key_id_of(sealed)), sealed, key_id, "subject")
                    new = seal(key_set.ciphers[key_set.first], key_set.first, clear, key_id, "subject")
                    subject_keys.replace_key(connection, key_id, sealed, new)
                    done.subjects += 1
        if len(page) < BATCH:
            return
        after = page[-1][0]
