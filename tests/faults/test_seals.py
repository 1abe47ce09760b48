"""Seals: keys rotated under load and killed, a person forgotten while others enqueue, and no clear text anywhere."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import String, cast, func, or_, select, text, update

import jobs
from jobs.app import App
from jobs.database.models import JobRun, JobStep
from jobs.ledger.queries.selectors import Selector
from jobs.observe import sentry
from jobs.operations.audit.operator import Operator
from jobs.operations.bundles.write import make_bundle
from jobs.operations.seals.forgetting import forget_subject
from jobs.sealing.keys import new_key
from jobs.states import Outcome, RunState
from jobs.testing import Ledger
from tests.faults.fleet import ROOT
from tests.faults.sealing import SealedCharge, SealedVisit, notes_of
from tests.jobs.observe.sentry_receiver import Receiver, ended
from tests.jobs.observe.sentry_receiver import receiver as receiver
from tests.jobs.storage.packed_jobs import everything
from tests.seal_keys import keys as keys

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]
ADA = Operator("ada")
BEGAN = time.time()
CANARY, CLEAR = f"canary-{uuid4().hex}", f"in-clear-{uuid4().hex}"


@contextmanager
def process(*given: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.faults.sealing", *given]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def sealed_with(app: App, key: str) -> int:
    """How many runs and steps hold a value that this key sealed."""
    mark = f'%"{key}.%'
    columns = (cast(JobRun.arguments, String), cast(JobRun.result, String))
    with app.database.read() as connection:
        runs = connection.scalar(select(func.count()).where(or_(*(one.like(mark) for one in columns)))) or 0
        steps = connection.scalar(select(func.count()).where(cast(JobStep.result, String).like(mark))) or 0
    return runs + steps


def test_a_rotation_under_load_that_is_killed_again_and_again_loses_no_value(ledger_url: str, keys: Path) -> None:
    with process(ledger_url, str(keys), "load") as load:
        assert load.stdin is not None
        assert load.stdout is not None
        ids = [UUID(load.stdout.readline().strip()) for _ in range(60)]
        keys.write_text(f"two {new_key()}\n{keys.read_text()}")
        with Ledger(ledger_url, seal_keys_file=keys) as ledger:
            while not sealed_with(ledger.app, "two"):
                ids.append(UUID(load.stdout.readline().strip()))
            assert sealed_with(ledger.app, "one") > 60
        for where, code, told in (("inside", -9, ""), ("between", -9, ""), ("between", -9, ""), ("never", 0, "True\n")):
            with process(ledger_url, str(keys), "rotate", where) as rotating:
                assert rotating.communicate(timeout=120)[0] == told
                assert rotating.returncode == code
        rest, _ = load.communicate(timeout=60)
        assert load.returncode == 0
        ids += [UUID(line) for line in rest.split()]

    lines = keys.read_text().splitlines()
    keys.write_text("\n".join([lines[0], *lines[2:]]))
    with Ledger(ledger_url, seal_keys_file=keys) as ledger:
        assert sealed_with(ledger.app, "one") == 0
        ledger.drain(advance=timedelta(minutes=5))
        found = [jobs.find(run_id) for run_id in ids]
        assert {run.state for run in found} == {RunState.SUCCEEDED}
        assert [run.result for run in found] == [{"n": n, "said": notes_of(n)} for n in range(len(ids))]
        assert "canary" not in everything(ledger.app)


def test_a_person_who_is_forgotten_while_others_enqueue_is_unreadable_and_nobody_else_is(
    ledger_url: str, keys: Path
) -> None:
    with process(ledger_url, str(keys), "people") as people:
        assert people.stdout is not None
        lines = [people.stdout.readline() for _ in range(40)]
        with Ledger(ledger_url, seal_keys_file=keys) as ledger:
            forget_subject(ledger.app, ADA, "987654")
        lines += [people.stdout.readline() for _ in range(40)]
        rest, _ = people.communicate(timeout=60)
        assert people.returncode == 0
    told = [(int(line.split()[0]), UUID(line.split()[1])) for line in [*lines, *rest.splitlines()]]

    with Ledger(ledger_url, seal_keys_file=keys) as ledger:
        again = SealedVisit(person=987_654, n=1, notes=notes_of(1)).enqueue()
        ledger.drain(advance=timedelta(minutes=5))

        with ledger.app.database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(JobRun)) == len(told) + 1
        assert jobs.find(again.id).result == {"n": 1, "said": notes_of(1)}
        for n, (person, run_id) in enumerate(told):
            ended = jobs.find(run_id)
            is_forgotten = (ended.state, ended.cause) == (RunState.DEAD, jobs.Cause.GAVE_UP)
            # The process that enqueues remembers the key for up to 30 s, and makes another one later.
            assert is_forgotten or (ended.result == {"n": n, "said": notes_of(n)} and (person == 7 or n >= 40))
            assert not (is_forgotten and person == 7)
        assert "canary" not in everything(ledger.app)


class SealedCanary(jobs.Job, kind="faults.SealedCanary", seal=True, subject="canary", retry=jobs.Retry(max_attempts=1)):
    canary: str
    rows: list[str]

    def perform(self) -> str:
        self.run.log(f"charging {self.canary}")
        self.run.once("ask", lambda: self.canary)
        if not self.rows:
            raise ValueError(f"declined: {self.canary}")
        return self.canary


class ClearCanary(jobs.Job, kind="faults.ClearCanary"):
    canary: str

    def perform(self) -> str:
        return self.canary


def test_no_byte_of_the_database_its_log_our_log_sentry_or_a_bundle_has_a_sealed_value(
    ledger_url: str, keys: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, receiver: Receiver
) -> None:
    caplog.set_level(logging.DEBUG)
    bundle = tmp_path / "incident.jlb"
    settings = {"sentry_dsn": receiver.dsn, "sentry_arguments": True, "store_above": 1024}
    with Ledger(ledger_url, seal_keys_file=keys, **settings) as ledger:
        app = ledger.app
        close = sentry.subscribe(app)
        ClearCanary(canary=CLEAR).enqueue()
        SealedCanary(canary=CANARY, rows=[CANARY] * 50).enqueue(on_success=[SealedCanary(canary=CANARY, rows=[])])
        jobs.enqueue_many(SealedCanary(canary=f"{CANARY}-{n}", rows=[CANARY]) for n in range(40))
        in_files = files_with(app, CLEAR), files_with(app, CANARY)
        (failed,) = [one for one in ledger.drain(advance=timedelta(hours=1)) if one.error is not None]
        # The harness emits no events; a worker emits this one, with the exception itself.
        died = ended(Outcome.FAILED, RunState.DEAD, run_id=failed.run.id, kind=failed.run.kind)
        died.error, died.error_type, died.error_message = failed.error, failed.run.error_type, failed.run.error_message
        app.events.emit([died])
        close()
        make_bundle(app, ADA, Selector(is_all=True), bundle, limit=200, is_full=True)
        later = files_with(app, CANARY)
        rows = everything(app)

    assert CANARY in str(failed.error)
    assert in_files[0]  # What is in clear is found so.
    assert CLEAR in rows
    sent = b"".join(receiver.raw)
    assert str(failed.run.id).encode() in sent
    assert (in_files[1], later) == ([], [])
    for content in (sent, unzipped(bundle), rows.encode(), caplog.text.encode()):
        assert CANARY.encode() not in content


def files_with(app: App, clear: str) -> list[str]:
    """The files of the database, and of what it writes ahead, with this text in them."""
    if app.database.dialect == "sqlite":
        path = Path(str(app.database.url.database))
        files = list(path.parent.glob(f"{path.name}*"))
    else:
        with app.database.write() as connection:
            folder = Path(connection.scalar(text("show data_directory")) or "")
            number = connection.scalar(text("select oid from pg_database where datname = current_database()"))
        files = [*(folder / "pg_wal").iterdir(), *(folder / "base" / str(number)).iterdir()]
    found = []
    for one in files:
        # A checkpoint may take an old file of the log away meanwhile.
        with suppress(FileNotFoundError):
            if one.is_file() and one.stat().st_mtime >= BEGAN and clear.encode() in one.read_bytes():
                found.append(one.name)
    return found


def unzipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as bundle:
        return b"".join(bundle.read(name) for name in bundle.namelist())


def test_a_result_or_a_step_from_another_run_is_refused(ledger_url: str, keys: Path) -> None:
    with Ledger(ledger_url, seal_keys_file=keys) as ledger:
        one, other = (SealedCharge(n=n, notes=notes_of(n)).enqueue().id for n in (1, 2))
        ledger.drain()
        with ledger.app.database.write() as connection:
            theirs = connection.scalar(select(cast(JobRun.result, String)).where(JobRun.id == other))
            connection.execute(update(JobRun).where(JobRun.id == one).values(result=theirs))

        assert jobs.find(other).result == {"n": 2, "said": notes_of(2)}
        with pytest.raises(jobs.SealBroken, match="sealed for another run or field"):
            jobs.find(one)
