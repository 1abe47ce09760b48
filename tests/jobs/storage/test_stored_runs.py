"""Stored values from enqueue to their end: streamed, checked, shared by retries and replays, never lost to a run."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, update

import jobs
from jobs.database.models import JobBlob, JobBlobChunk
from jobs.definition.published import check_published, published_kinds
from jobs.errors import ArgumentsRefused, DefinitionError, EnqueueRefused
from jobs.ledger.runs.purge import erase
from jobs.operations.schedules.rows import new_columns
from jobs.operations.shadow_runs.compare import differences
from jobs.states import Outcome, RunState
from jobs.storage.collector import collect_values
from jobs.storage.ledger_store import LedgerStore
from jobs.testing import Ledger
from tests.jobs.storage.stored_jobs import BIG, DAY, Gathers, Scan, Words, prune, replay, rows, seen


def test_a_value_goes_by_reference_through_enqueue_retry_result_and_replay_and_then_it_is_collected(
    ledger: Ledger, tmp_path: Path
) -> None:
    app = ledger.app
    path = tmp_path / "scan.pdf"
    path.write_bytes(BIG)
    digest = hashlib.sha256(BIG).hexdigest()

    run = Scan(document=jobs.Stored.from_file(path), fails=True).enqueue()
    path.unlink()
    ledger.drain(advance=timedelta(minutes=5))

    found = jobs.find(run.id)
    shown = found.arguments["document"]
    assert (shown["name"], shown["size"], shown["sha256"]) == ("scan.pdf", len(BIG), digest)
    assert (found.state, found.attempt, seen) == (RunState.SUCCEEDED, 2, [digest, digest])
    head = jobs.Stored.from_reference(found.result["copy"])
    assert (head.read(), head.name) == (b"read " + BIG[:4], "head")

    replay(app, run.id, "succeeded")
    assert prune(app) == 1  # The first run, not its replay.
    collect_values(app)
    assert rows(app) == (1, 4, 1)
    ledger.drain(advance=timedelta(minutes=5))
    assert seen == [digest] * 3 + [digest]
    jobs.Stored.from_reference(shown).save_to(tmp_path / "copy.pdf")
    assert (tmp_path / "copy.pdf").read_bytes() == BIG

    prune(app)
    assert collect_values(app).deleted == 2
    assert rows(app) == (0, 0, 0)
    with pytest.raises(jobs.StoredMissing):
        head.read()


def test_values_of_every_way_to_enqueue_are_kept_as_long_as_their_runs(ledger: Ledger) -> None:
    app = ledger.app

    def words(text: str) -> Words:
        return Words(text=jobs.Stored(text), parts=(jobs.Stored({text: 1}),))

    jobs.enqueue_many(words(f"many {n}") for n in range(40))
    words("first").enqueue(on_success=[words("follow-up")])
    with jobs.batch("all", on_end=[words("callback")]) as batch:
        batch.add(words("member"))
    with app.database.session() as session, jobs.transaction(session):
        words("in a session").enqueue()
        words("in a session, again").enqueue()
    Gathers().enqueue()
    ledger.advance(3 * DAY)
    assert collect_values(app).deleted == 0

    ledger.drain(advance=timedelta(hours=1))

    texts = ["first", "follow-up", "callback", "member", "child", "in a session", "in a session, again"]
    assert sorted(one[0] for one in seen) == sorted([*(f"many {n}" for n in range(40)), *texts])
    assert all(parts == [{text: 1}] for text, parts in seen if text != "child")
    with app.database.write() as connection:
        erase(connection, [run.id for run in ledger.runs()])
    assert collect_values(app).deleted == 2 * 46 + 1
    assert rows(app) == (0, 0, 0)


def test_equal_content_is_an_equal_argument_whatever_its_upload(ledger: Ledger) -> None:
    app = ledger.app
    first = Words(text=jobs.Stored("same", name="a.txt"), pages=1).enqueue()
    assert Words(text=jobs.Stored("same", name="b.txt"), pages=1).enqueue() == type(first)(first.id, created=False)
    with pytest.raises(jobs.KeyConflict):
        Words(text=jobs.Stored("other"), pages=1).enqueue()
    replaced = Words(text=jobs.Stored("new"), pages=1).enqueue(on_conflict="replace")
    assert replaced.id == first.id
    ledger.advance(DAY)
    collect_values(app)

    ledger.drain()

    assert seen == [("new", [])]
    assert rows(app) == (1, 1, 1)


@pytest.mark.parametrize("damage", ["altered", "shortened", "gone", "reference"])
def test_content_that_is_not_what_was_stored_is_never_read_to_its_end(sqlite_url: str, damage: str) -> None:
    seen.clear()
    with Ledger(sqlite_url) as ledger:
        damage_and_perform(ledger, damage)


def damage_and_perform(ledger: Ledger, damage: str) -> None:
    app = ledger.app
    run = Scan(document=BIG).enqueue()  # type: ignore[arg-type]
    last = [JobBlobChunk.number == 3] if damage == "shortened" else []
    with app.database.write() as connection:
        if damage == "altered":
            connection.execute(update(JobBlobChunk).where(JobBlobChunk.number == 1).values(data=b"x" * 2**20))
        elif damage == "reference":
            connection.execute(update(JobBlob).values(sha256="0" * 64))
        else:
            connection.execute(delete(JobBlobChunk).where(*last))

    done = ledger.perform(run.id)

    error = jobs.StoredMissing if damage == "gone" else jobs.StoredAltered
    assert isinstance(done.error, error), done.error
    assert (done.run.state, done.run.cause, seen) == (RunState.DEAD, jobs.Cause.BAD_ARGUMENTS, [])
    assert error.code in ("stored_missing", "stored_altered")


def test_a_store_that_is_down_gives_the_run_back_and_refuses_an_enqueue(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Scan(document=jobs.Stored(BIG)).enqueue()

    def down(*args: Any) -> Any:
        raise jobs.StoreDown("The store does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, "read", down)
        patch.setattr(LedgerStore, "write", down)
        done = ledger.perform(run.id)
        with pytest.raises(jobs.StoreDown):
            Scan(document=jobs.Stored(BIG)).enqueue()
        assert len(ledger.runs()) == 1
    assert (done.outcome, done.run.state, done.run.charged) == (Outcome.SNOOZED, RunState.QUEUED, 0)
    assert "Run given back, because the store of its values is down" in caplog.text

    ledger.drain(advance=timedelta(minutes=1))
    assert len(seen) == 1
    assert collect_values(ledger.app).deleted == 1  # What the broken upload left.


def test_a_large_value_takes_a_few_chunks_of_memory(ledger: Ledger, tmp_path: Path) -> None:
    path, copy = tmp_path / "large", tmp_path / "copy"
    with path.open("wb") as file:
        for n in range(20):
            file.write(bytes([n]) * 2**20)
    Words(text=jobs.Stored("imports what it needs")).enqueue()
    ledger.drain()

    tracemalloc.start()
    try:
        document = jobs.Stored.from_file(path).upload()
        document.save_to(copy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert copy.stat().st_size == 20 * 2**20
    assert peak < 10 * 2**20, f"{peak:,} bytes"


def test_a_value_that_is_too_large_or_unreadable_is_refused_and_nothing_is_enqueued(
    ledger_url: str, tmp_path: Path
) -> None:
    with Ledger(ledger_url, max_stored_bytes=2**20) as ledger:
        with pytest.raises(ArgumentsRefused, match=r"larger than 1M. Raise JOBS_MAX_STORED_BYTES"):
            Scan(document=jobs.Stored(BIG)).enqueue()
        with pytest.raises(ArgumentsRefused, match="cannot be read: No such file"):
            Scan(document=jobs.Stored.from_file(tmp_path / "none")).enqueue()
        with pytest.raises(ArgumentsRefused, match="open for text"):
            Scan(document=jobs.Stored.from_file(io.StringIO("text"))).enqueue()  # type: ignore[arg-type]
        with pytest.raises(ArgumentsRefused, match="takes bytes"):
            Scan(document="text")  # type: ignore[arg-type]
        assert ledger.runs() == []
        stored = jobs.Stored(b"12345").upload()
        with pytest.raises(ArgumentsRefused, match="larger than 4"):
            stored.read(max_bytes=4)
        assert stored.read(max_bytes=5) == b"12345"


def test_where_no_reference_can_be_kept_a_stored_value_is_refused(ledger: Ledger) -> None:
    with pytest.raises(EnqueueRefused, match="a schedule cannot hold"):
        new_columns(ledger.app, "stored.Words", {"text": "x"}, jobs.Cron("0 * * * *"), "nightly")
    (published,) = [one for one in published_kinds(10_000) if one.kind == "stored.Scan"]
    with pytest.raises(ArgumentsRefused, match="document takes stored"):
        check_published(published, {"document": {"$stored": str(UUID(int=0))}})
    with pytest.raises(DefinitionError, match="is sealed and stored"):
        type(
            "Both",
            (jobs.Job,),
            {"__annotations__": {"it": jobs.Sealed[jobs.Stored[bytes]]}, "perform": lambda self: None},
        )


def test_a_shadow_run_compares_stored_values_by_their_content() -> None:
    old, same, other = (
        {"$stored": str(UUID(int=n)), "size": 5, "sha256": digit * 64} for n, digit in enumerate("aab", 1)
    )

    assert list(differences({"page": old}, {"page": same})) == []
    assert [one[0] for one in differences({"page": old}, {"page": other})] == ["page.$stored", "page.sha256"]


def test_without_a_ledger_a_job_reads_what_it_was_given() -> None:
    job = Words(text=jobs.Stored("as it is"), parts=[{"a": 1}])  # type: ignore[list-item]
    assert (job.text.load(), job.parts[0].load(), job.text.size) == ("as it is", {"a": 1}, None)
    assert repr(job.text) == "<Stored value: not written>"
