"""Turns are tested with real processes: a fake of flock would prove nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.database.sqlite.write_queue import WriteQueue
from jobs.errors import ConfigurationError, Conflict, LedgerBusy
from tests.open_files import needs_proc, opened_in

ROOT = Path(__file__).resolve().parents[4]

HOLD = """
import sys
from jobs.database.sqlite.write_queue import WriteQueue
with WriteQueue(sys.argv[1]).turn(urgent=sys.argv[2] == "urgent"):
    print("held", flush=True)
    sys.stdin.readline()
"""

BATCHES = """
import json, sqlite3, sys, time
from jobs.database.sqlite.write_queue import WriteQueue
path, seconds = sys.argv[1], float(sys.argv[2])
connection, queue = sqlite3.connect(path, isolation_level=None, timeout=0), WriteQueue(path)
connection.execute("PRAGMA synchronous=FULL")
print("ready", flush=True)
sys.stdin.readline()
end, began = time.monotonic() + seconds, []
while time.monotonic() < end:
    with queue.turn(limit_seconds=60):
        began.append(time.monotonic())
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO rows (x) VALUES (?)", [("x" * 50,)] * 200)
        last = connection.execute("SELECT max(id) FROM rows").fetchone()[0]
        connection.execute("UPDATE rows SET x = 'y' WHERE id > ?", (last - 200,))
        connection.execute("COMMIT")
print(json.dumps(began), flush=True)
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, x TEXT)")
    connection.close()
    return path


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def read_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def let_go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


@contextlib.contextmanager
def held_elsewhere(path: Path, how: str = "ordinary") -> Iterator[subprocess.Popen[str]]:
    with start(HOLD, str(path), how) as child:
        try:
            assert read_line(child) == "held"
            yield child
        finally:
            child.kill()


def is_locked(path: Path) -> bool:
    """Asked of the kernel through another open file, as another process would be answered."""
    import fcntl

    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def wait_until(fact: object, limit: float = 60) -> None:
    assert callable(fact)
    end = time.monotonic() + limit
    while not fact():
        assert time.monotonic() < end, "it did not happen within the time limit"
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def nobody_waits() -> None:
    """A wait that another test gave up may go on for a moment."""
    wait_until(lambda: not waiting_threads())


def waiting_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jobs-sqlite-queue"]


@pytest.mark.parametrize("theirs", ["ordinary", "urgent"])
@pytest.mark.parametrize("urgent", [False, True])
def test_two_processes_never_have_the_turn_at_once(database: Path, theirs: str, urgent: bool) -> None:
    queue = WriteQueue(database)
    with held_elsewhere(database, theirs) as child:
        told = r"jobs\.db was kept locked by another process for 0\.05 s"
        with pytest.raises(LedgerBusy, match=told), queue.turn(urgent, limit_seconds=0.05):
            pass

        let_go(child)
        with queue.turn(urgent):
            assert is_locked(database.with_name("jobs.db-write"))

    # The wait that was given up may still pass through the lock once.
    wait_until(lambda: not is_locked(database.with_name("jobs.db-write")))
    wait_until(lambda: not is_locked(database.with_name("jobs.db-gate")))


@pytest.mark.parametrize("urgent", [False, True])
def test_a_turn_held_by_a_killed_process_is_free(database: Path, urgent: bool) -> None:
    with held_elsewhere(database) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()

        with WriteQueue(database).turn(urgent, limit_seconds=60):
            pass


def test_a_turn_given_up_while_waiting_leaves_nothing_locked(database: Path) -> None:
    queue = WriteQueue(database)
    with held_elsewhere(database) as child:
        for _ in range(3):
            with pytest.raises(LedgerBusy), queue.turn(limit_seconds=0.02):
                pass
        let_go(child)
        child.wait()

    wait_until(lambda: not waiting_threads())
    with queue.turn(limit_seconds=60):
        pass
    with WriteQueue(database).turn(limit_seconds=60), pytest.raises(LedgerBusy), queue_in_thread(queue):
        pass


@contextlib.contextmanager
def queue_in_thread(queue: WriteQueue) -> Iterator[None]:
    """Raise here what a turn with a short limit raises on another thread."""
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            with queue.turn(limit_seconds=0.05):
                pass
        except BaseException as err:
            errors.append(err)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    for error in errors:
        raise error
    yield


@needs_proc
def test_a_writer_that_hangs_costs_the_others_one_thread_and_no_more_files(database: Path) -> None:
    queue = WriteQueue(database)
    with held_elsewhere(database) as child:
        os.kill(child.pid, signal.SIGSTOP)
        files = []
        for _ in range(10):
            with pytest.raises(LedgerBusy), queue.turn(limit_seconds=0.01):
                pass
            files.append(len(opened_in(database.parent)))
            assert len(waiting_threads()) == 1
        # The thread opens its own while the first callers give up.
        assert max(files) - min(files) < len(files) / 2

        waiting = threading.Timer(0.05, child.kill)
        waiting.start()
        with queue.turn(limit_seconds=60):
            assert is_locked(database.with_name("jobs.db-write"))

    wait_until(lambda: not is_locked(database.with_name("jobs.db-write")))
    wait_until(lambda: not is_locked(database.with_name("jobs.db-gate")))


def test_a_queue_closed_while_a_wait_goes_on_leaves_nothing_open_or_locked(database: Path) -> None:
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    queue = WriteQueue(database)
    with held_elsewhere(database):
        with pytest.raises(LedgerBusy), queue.turn(limit_seconds=0.01):
            pass
        queue.close()

    wait_until(lambda: not waiting_threads())
    wait_until(lambda: not is_locked(database.with_name("jobs.db-write")))
    wait_until(lambda: files is None or len(os.listdir("/proc/self/fd")) == files)


def test_an_urgent_writer_goes_before_waiting_batches(database: Path) -> None:
    queue, order = WriteQueue(database), []

    def write(name: str, urgent: bool) -> None:
        with WriteQueue(database).turn(urgent):
            order.append(name)

    threads = [threading.Thread(target=write, args=(f"batch {n}", False)) for n in range(3)]
    with queue.turn():
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_until(lambda number=number: len(waiting_threads()) == number)
        urgent = threading.Thread(target=write, args=("renewal", True))
        urgent.start()
        wait_until(lambda: is_locked(database.with_name("jobs.db-urgent")))
    for thread in [*threads, urgent]:
        thread.join(60)

    assert order[0] == "renewal"
    assert sorted(order[1:]) == ["batch 0", "batch 1", "batch 2"]


def test_a_stream_of_urgent_writers_does_not_starve_a_batch(database: Path) -> None:
    stop, turns = threading.Event(), [0, 0, 0]

    def write_urgent(number: int) -> None:
        queue = WriteQueue(database)
        while not stop.is_set():
            with queue.turn(urgent=True, limit_seconds=30):
                turns[number] += 1

    threads = [threading.Thread(target=write_urgent, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: min(turns) > 0)
        with WriteQueue(database).turn(limit_seconds=60):
            pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def test_threads_of_one_queue_exclude_each_other(database: Path) -> None:
    queue, inside, most = WriteQueue(database), [0], [0]

    def write(urgent: bool) -> None:
        for _ in range(50):
            with queue.turn(urgent, limit_seconds=30):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                os.sched_yield()
                inside[0] -= 1

    threads = [threading.Thread(target=write, args=(urgent,)) for urgent in (False, False, True, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (most, inside) == ([1], [0])


def test_a_thread_that_waits_for_its_own_process_too_long_gets_an_error(database: Path) -> None:
    queue = WriteQueue(database)
    with queue.turn(), pytest.raises(LedgerBusy, match="by this process for"), queue_in_thread(queue):
        pass


@pytest.mark.parametrize("urgent", [False, True])
def test_a_turn_inside_a_turn_is_refused_at_once(database: Path, urgent: bool) -> None:
    again = WriteQueue(database).turn(urgent)
    with WriteQueue(database).turn(), pytest.raises(Conflict, match="already writing"), again:
        pass

    with WriteQueue(database).turn(urgent):
        pass


def test_an_error_in_the_block_gives_the_turn_back(database: Path) -> None:
    queue = WriteQueue(database)
    with pytest.raises(ZeroDivisionError), queue.turn():
        raise ZeroDivisionError

    with WriteQueue(database).turn(limit_seconds=60), WriteQueue(database.with_name("other.db")).turn():
        pass


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_is_no_span_is_refused(database: Path, limit: float) -> None:
    with pytest.raises(ValueError, match="above zero"), WriteQueue(database).turn(limit_seconds=limit):
        pass


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


@pytest.mark.slow
def test_of_four_processes_with_batches_none_starves_and_renewals_do_not_wait_behind_them(
    database: Path,
) -> None:
    seconds, waits = 2.0, []  # From the question to the turn.
    children = [start(BATCHES, str(database), str(seconds)) for _ in range(4)]
    try:
        for child in children:
            assert read_line(child) == "ready"
        for child in children:
            let_go(child)
        queue = WriteQueue(database)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asked = time.monotonic()
            with queue.turn(urgent=True, limit_seconds=60):
                waits.append((asked, time.monotonic()))
            time.sleep(0.01)
        batches = [json.loads(read_line(child)) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()

    connection = sqlite3.connect(database)
    turns = list(map(len, batches))
    assert connection.execute("SELECT count(*) FROM rows").fetchone() == (200 * sum(turns),)
    connection.close()
    assert min(turns) / sum(turns) >= 0.1, turns
    # One batch may be about to begin; all four would be in line.
    begun = sorted(at for each in batches for at in each)
    before = sorted(bisect(begun, got) - bisect(begun, asked) for asked, got in waits)
    assert before[int(len(before) * 0.9)] <= 2, before[-10:]
