"""Sealed values that are too large for their row: encrypted before they go to the store, with a key in the row."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

import jobs
from jobs.database.models import JobRun
from jobs.errors import NotFound
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.detail import detail
from jobs.operations.runs.inspect import list_runs
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.operations.seals.forgetting import forget_subject
from jobs.operations.seals.opening import open_run
from jobs.operations.seals.rotation import rotate
from jobs.sealing.keys import new_key
from jobs.states import RunState
from jobs.testing import Ledger
from tests.jobs.storage.packed_jobs import ABOVE, ROWS, SealedRows, everything, in_row, seen
from tests.jobs.storage.stored_jobs import ADA, replay
from tests.seal_keys import keys as keys


@pytest.fixture
def ledger(ledger_url: str, keys: Path) -> Iterator[Ledger]:
    seen.clear()
    with Ledger(ledger_url, seal_keys_file=keys, store_above=ABOVE) as made:
        yield made


def test_large_sealed_values_are_in_clear_nowhere_and_survive_rotation_and_replay(
    ledger: Ledger, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = ledger.app
    run = SealedRows(person=42, rows=ROWS).enqueue(on_success=[SealedRows(person=43, rows=ROWS)])
    ledger.perform(run.id)
    assert len(in_row(app, run.id)) < 800
    shown = detail(app, ADA, str(run.id)).run
    assert (shown.arguments, shown.result) == ({"person": "(sealed)", "rows": "(sealed)"}, "(sealed)")

    keys.write_text(f"two {new_key()}\n{keys.read_text()}")
    assert rotate(app, ADA).is_whole
    lines = keys.read_text().splitlines()
    keys.write_text("\n".join([lines[0], *lines[2:]]))
    app.seals.subjects.forget()
    app.seals.keys.key_set(app, look=True)

    assert jobs.find(run.id).arguments == {"person": 42, "rows": ROWS}
    assert jobs.find(run.id).result == ROWS
    replay(app, run.id, "succeeded")
    which = make_selector(app, SelectorInput(ids=(str(run.id),), states=("succeeded",)))
    changed = ReplayAction(app=app, operator=ADA, changes={"person": 43})
    carry_out(app, ADA, changed, plan(app, ADA, changed, which))
    ledger.drain(advance=timedelta(minutes=1))
    assert sorted(seen) == [(42, True), (42, True), (43, True), (43, True)]
    assert open_run(app, ADA, str(run.id)).arguments["rows"] == ROWS
    asked = SelectorInput(kinds=("packed.SealedRows",), arguments=("person=43",))
    assert len(list_runs(app, ADA, make_selector(app, asked)).runs) == 2
    for text in (everything(app), caplog.text):
        assert "canary" not in text


def test_a_forgotten_subject_leaves_content_that_nobody_can_read(ledger: Ledger) -> None:
    gone, kept = (SealedRows(person=person, rows=ROWS).enqueue().id for person in (987_654, 7))

    forget_subject(ledger.app, ADA, "987654")

    assert jobs.find(gone).arguments == {"person": "(sealed)", "rows": "(sealed)"}
    assert ledger.perform(gone).run.state is RunState.DEAD
    assert ledger.perform(kept).run.state is RunState.SUCCEEDED
    with pytest.raises(NotFound):
        forget_subject(ledger.app, ADA, "987654")


@pytest.mark.parametrize("what", ["value", "content"])
def test_a_value_or_its_content_from_another_run_is_refused(ledger: Ledger, what: str) -> None:
    one, other = (SealedRows(person=person, rows=[*ROWS, str(person)]).enqueue().id for person in (1, 2))
    mine, theirs = (json.loads(in_row(ledger.app, run)) for run in (one, other))
    mine["rows"] = theirs["rows"] if what == "value" else {**mine["rows"], "$stored": theirs["rows"]["$stored"]}
    with ledger.app.database.write() as connection:
        connection.execute(update(JobRun).where(JobRun.id == one).values(arguments=json.dumps(mine)))

    done = ledger.perform(one)

    assert seen == []
    assert (done.run.state, done.run.cause) == (RunState.DEAD, jobs.Cause.BAD_ARGUMENTS)
    assert isinstance(done.error, jobs.SealBroken)
