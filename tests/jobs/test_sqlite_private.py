"""The files of a SQLite ledger belong to who made them: nobody else reads the runs, or stops writers. (K2.9)"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.database.engine import Database
from jobs.database.sqlite.file import make_private
from jobs.errors import ConfigurationError
from jobs.migration import schema
from jobs.settings import Settings
from tests.conftest import MakeApp

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of files")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
NOBODY = 65534
STRANGER = """
import fcntl, os, sys
os.setgroups([]); os.setegid(int(sys.argv[2])); os.seteuid(65534)
for path in sys.argv[3:]:
    try:
        file = os.open(path, getattr(os, sys.argv[1]))
    except PermissionError:
        print("refused")
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("locked")
"""


@pytest.fixture(autouse=True)
def careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everybody may enter."""
    for one in [tmp_path, *tmp_path.parents]:
        if one.stat().st_uid == os.geteuid() and one != Path("/tmp"):
            one.chmod(one.stat().st_mode | 0o055)
    return tmp_path


def make_ledger(folder: Path, make_app: MakeApp, **settings: object) -> list[Path]:
    """A ledger that was written to and is open; its files."""
    database = make_app(f"sqlite:///{folder / 'jobs.db'}", **settings).database
    schema.upgrade(database)
    return sorted(folder.glob("jobs.db*"))


def modes(paths: list[Path]) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}


def as_stranger(paths: list[Path], *, how: str = "O_RDONLY", group: int = NOBODY) -> set[str]:
    """What becomes of another user's try to open and lock each of the files."""
    words = [sys.executable, "-c", STRANGER, how, str(group), *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


def test_a_new_ledger_and_all_files_beside_it_are_its_users_alone(folder, make_app):
    paths = make_ledger(folder, make_app)

    assert {path.name for path in paths} >= {"jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-gate", "jobs.db-write"}
    assert set(modes(paths).values()) == {0o600}


@ROOT_ONLY
def test_another_user_can_neither_read_the_ledger_nor_lock_a_file_of_it(folder, make_app):
    assert as_stranger(make_ledger(folder, make_app)) == {"refused"}


@ROOT_ONLY
def test_the_folders_group_has_a_ledger_that_was_made_for_it(folder, make_app):
    os.chown(folder, -1, 1234)
    folder.chmod(0o2775)

    paths = make_ledger(folder, make_app, sqlite_group=True)

    assert set(modes(paths).values()) == {0o660}
    assert {path.stat().st_gid for path in paths} == {1234}
    assert as_stranger(paths, how="O_RDWR", group=1234) == {"locked"}
    assert as_stranger(paths) == {"refused"}


@pytest.mark.parametrize(("mode", "locks"), [(0o644, 0o600), (0o664, 0o660), (0o640, 0o600), (0o666, 0o666)])
def test_lock_files_are_open_to_who_may_write_an_older_ledger_and_to_nobody_else(folder, make_app, mode, locks):
    paths = make_ledger(folder, make_app)
    for path in paths:
        path.chmod(mode)
    settings = Settings(database_url=f"sqlite:///{folder / 'jobs.db'}")
    again = Database(settings.database_url or "", settings)

    with again.write():
        pass
    again.close()

    found = modes(paths)
    assert found["jobs.db"] == mode
    assert {found[f"jobs.db-{one}"] for one in ("gate", "urgent", "write")} == {locks}


def test_a_group_that_the_ledger_cannot_be_given_to_is_an_error_and_leaves_no_file(folder, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)

    with pytest.raises(ConfigurationError, match="JOBS_SQLITE_GROUP"):
        make_private(folder / "jobs.db", for_group=True)

    assert list(folder.iterdir()) == []
