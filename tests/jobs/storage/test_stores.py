"""Each store keeps the same promises: whole or not there, gone means missing, and silence is no loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import jobs
from jobs.errors import ConfigurationError
from jobs.settings import Settings
from jobs.states import RunState
from jobs.storage.collector import collect_values
from jobs.storage.stores import open_store
from jobs.testing import Ledger
from tests.jobs.storage.fake_s3 import fake_s3

BIG = bytes(range(256)) * 4096 * 9 + b"end"
"""Nine chunks and a bit; an upload of two parts."""
seen: list[bytes] = []


class Copies(jobs.Job, kind="stores.Copies"):
    document: jobs.Stored[bytes]

    def perform(self) -> Any:
        seen.append(self.document.read())
        return jobs.Stored(b"result")


@dataclass
class Place:
    """A store under test: how it is taken down, how one value is lost, and how many values it has."""

    url: str
    down: Any
    up: Any
    lose: Any
    count: Any


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    seen.clear()
    with ExitStack() as stack:
        if request.param == "folder":
            root, away = tmp_path / "values", tmp_path / "away"
            root.mkdir()
            yield Place(
                f"file://{root}",
                down=lambda: root.rename(away),
                up=lambda: away.rename(root),
                lose=lambda: [one.unlink() for one in root.glob("*/*.blob")],
                count=lambda: len(list(root.glob("*/*"))),
            )
            return
        pytest.importorskip("boto3")
        s3 = stack.enter_context(fake_s3())
        for name, value in {
            "AWS_ENDPOINT_URL_S3": s3.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        from jobs.storage.s3_store import _client

        _client.cache_clear()
        yield Place(
            "s3://documents/jobs/values",
            down=lambda: setattr(s3, "down", 403),
            up=lambda: setattr(s3, "down", None),
            lose=s3.objects.clear,
            count=lambda: len(s3.objects) + len(s3.parts),
        )
        _client.cache_clear()


def test_a_value_in_another_store_lives_and_dies_as_one_in_the_ledger(place: Place, sqlite_url: str) -> None:
    with Ledger(sqlite_url, store=place.url) as ledger:
        run = Copies(document=jobs.Stored(BIG, name="big")).enqueue()
        place.down()
        given_back = ledger.perform(run.id)
        with pytest.raises(jobs.StoreDown):
            Copies(document=jobs.Stored(b"small")).enqueue()
        assert collect_values(ledger.app).deleted == 0
        place.up()
        assert (given_back.run.state, given_back.run.charged) == (RunState.QUEUED, 0)
        assert collect_values(ledger.app).deleted == 1  # The row of what could not be written.

        ledger.drain(advance=timedelta(minutes=1))

        assert seen == [BIG]
        assert jobs.Stored.from_reference(jobs.find(run.id).result).read() == b"result"
        assert place.count() == 2
        place.lose()
        with pytest.raises(jobs.StoredMissing, match="Put it back"):
            jobs.Stored.from_reference(jobs.find(run.id).result).read()


def test_a_write_that_breaks_leaves_nothing_and_a_delete_may_come_twice(place: Place, sqlite_url: str) -> None:
    with Ledger(sqlite_url, store=place.url) as ledger:
        store = open_store(ledger.app, place.url)

        def breaks() -> Iterator[bytes]:
            yield from (BIG[n * 2**20 : (n + 1) * 2**20] for n in range(9))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.write(UUID(int=1), breaks())
        with pytest.raises(jobs.StoredMissing):
            list(store.read(UUID(int=1)))
        assert place.count() == 0
        store.write(UUID(int=2), iter([b"a", b"b"]))
        assert b"".join(store.read(UUID(int=2))) == b"ab"
        for _ in range(2):
            store.delete(UUID(int=2))
        assert place.count() == 0


def test_a_folder_that_is_not_mounted_loses_nothing(tmp_path: Path, sqlite_url: str) -> None:
    with Ledger(sqlite_url, store=f"file://{tmp_path}/none") as ledger:
        with pytest.raises(jobs.StoreDown, match="is not there"):
            Copies(document=jobs.Stored(b"x")).enqueue()
        assert ledger.runs() == []


@pytest.mark.parametrize("url", ["folder", "file://relative", "s3://", "http://elsewhere", "s3://UPPER"])
def test_a_store_that_does_not_exist_is_refused_with_the_settings(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"JOBS_STORE: is not ledger|--store: is not ledger"):
        Settings.of(store=url)
