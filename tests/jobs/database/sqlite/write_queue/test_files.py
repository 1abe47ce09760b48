"""The files and locks of a write queue: when they appear, who may open them, who keeps them over a fork."""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from jobs.database.sqlite.write_queue import WriteQueue
from jobs.errors import ConfigurationError
from tests.jobs.database.sqlite.write_queue.turns import is_locked, read_line, start
from tests.open_files import opened_in


def test_a_forked_child_does_not_keep_the_lock_of_its_parent(database: Path) -> None:
    script = f"""
import os, sys, time
from jobs.database.sqlite.write_queue import WriteQueue
queue = WriteQueue({str(database)!r})
with queue.turn():
    child = os.fork()
    if child:
        print(child, flush=True)
    else:
        os.close(1)
        time.sleep(60)
    os.kill(os.getpid(), 9)
"""
    with start(script) as parent:
        child = int(read_line(parent))
    try:
        with WriteQueue(database).turn(limit_seconds=60):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_forked_in_mid_turn_queues_behind_its_parent(database: Path) -> None:
    script = f"""
import os
from jobs.errors import LedgerBusy
from jobs.database.sqlite.write_queue import WriteQueue
queue = WriteQueue({str(database)!r})
def ask(seconds):
    try:
        with queue.turn(limit_seconds=seconds):
            return 10
    except LedgerBusy:
        return 20
with queue.turn():
    child = os.fork()
    if child == 0:
        os._exit(ask(0.1))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
child = os.fork()
if child == 0:
    os._exit(ask(60))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with start(script) as parent:
        assert (read_line(parent), read_line(parent)) == ("20", "10")


def test_lock_files_appear_with_the_first_turn_and_have_the_mode_of_the_database(database: Path) -> None:
    database.chmod(0o660)
    queue = WriteQueue(database)
    assert [path.name for path in database.parent.glob("*-gate")] == []

    with queue.turn():
        pass

    for name in ("jobs.db-gate", "jobs.db-urgent", "jobs.db-write"):
        assert stat.S_IMODE(database.with_name(name).stat().st_mode) == 0o660


def test_a_closed_queue_leaves_no_open_file_and_opens_again(database: Path) -> None:
    queue = WriteQueue(database)
    with queue.turn():
        pass
    with queue.turn(urgent=True):
        pass
    queue.close()

    if Path("/proc/self/fd").exists():
        assert opened_in(database.parent) == []
    with queue.turn():
        pass


def test_a_queue_closed_in_mid_turn_leaves_the_turn_its_locks(database: Path) -> None:
    queue = WriteQueue(database)
    with queue.turn():
        queue.close()
        assert is_locked(database.with_name("jobs.db-write"))

    assert not is_locked(database.with_name("jobs.db-write"))


def test_a_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    turn = WriteQueue(tmp_path / "nowhere" / "jobs.db").turn()
    with pytest.raises(ConfigurationError, match=r"No such file.*folder must exist"), turn:
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no users to become")
def test_a_user_who_may_only_read_is_refused_and_leaves_no_lock_files(tmp_path: Path, database: Path) -> None:
    script = f"""
import os
from jobs.errors import ConfigurationError
from jobs.database.sqlite.write_queue import WriteQueue
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    with WriteQueue({str(database)!r}).turn():
        print("had a turn")
except ConfigurationError as err:
    print(err)
"""
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    database.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with start(script) as child:
            assert "cannot be written by this user" in read_line(child)
    finally:
        tmp_path.chmod(0o755)
    assert not list(tmp_path.glob("*-gate"))
