"""Real processes, really killed. Each test says what is left standing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.worker.conftest import StartTree, Tree, is_alive, wait_for

pytestmark = pytest.mark.slow

RUNS = [str(UUID(int=number)) for number in (11, 12, 13)]


def test_a_killed_process_is_replaced_alone_and_another_ends_exactly_its_attempts(
    start_tree: StartTree,
) -> None:
    tree = start_tree(processes=3, does={"perform": RUNS[:2], "ended": RUNS[2:]})
    victim, *others = tree.wait_for_notes("ready", 3)

    os.kill(victim["pid"], signal.SIGKILL)

    (cleaned_up, *more) = tree.wait_for_notes("clean_up")
    assert not more
    assert cleaned_up["how"] == "told"
    assert cleaned_up["name"] in {other["name"] for other in others}
    assert cleaned_up["dead_process"]["name"] == victim["name"]
    assert sorted(cleaned_up["dead_process"]["performing"]) == RUNS[:2]
    assert cleaned_up["dead_process"]["ended"] == RUNS[2:]
    assert cleaned_up["dead_process"]["cause"] == "signal 9"
    tree.wait_for_notes("ready", 4)
    assert len(tree.notes("forked")) == 4
    assert all(is_alive(other["pid"]) for other in others)


def test_with_no_other_process_the_replacement_gets_the_cleanup_first(start_tree: StartTree) -> None:
    tree = start_tree(processes=1, does={"perform": RUNS})
    (victim,) = tree.wait_for_notes("ready")

    os.kill(victim["pid"], signal.SIGKILL)

    (cleaned_up,) = tree.wait_for_notes("clean_up")
    assert cleaned_up["how"] == "assignment"
    assert cleaned_up["dead_process"]["name"] == victim["name"]
    assert sorted(cleaned_up["dead_process"]["performing"]) == RUNS
    assert tree.notes("ready", name=cleaned_up["name"]) == [] or cleaned_up["at"] < tree.notes("ready")[1]["at"]


def test_a_cleanup_outlives_the_process_that_it_was_assigned_to(start_tree: StartTree) -> None:
    tree = start_tree(processes=2, does={"clean_up": False})
    victim, _ = tree.wait_for_notes("ready", 2)
    os.kill(victim["pid"], signal.SIGKILL)
    (first,) = tree.wait_for_notes("clean_up")

    os.kill(first["pid"], signal.SIGKILL)

    again = wait_for(
        lambda: [note for note in tree.notes("clean_up") if note["pid"] != first["pid"]], "another that buries it"
    )
    assert {note["dead_process"]["name"] for note in again} >= {victim["name"]}


def test_nothing_is_left_running_when_the_supervisor_is_killed(start_tree: StartTree) -> None:
    tree = start_tree(processes=3)
    tree.wait_for_notes("ready", 3)

    tree.signal(signal.SIGKILL)

    wait_for(lambda: not any(map(is_alive, tree.pids())), "the end of all")
    assert len(tree.pids()) == 4


def test_a_killed_zygote_is_replaced_and_the_cleanups_of_its_processes_are_assigned(start_tree: StartTree) -> None:
    tree = start_tree(processes=2, does={"perform": RUNS[:1]})
    before = tree.wait_for_notes("ready", 2)
    zygote = tree.notes("forked")[0]["parent"]

    os.kill(zygote, signal.SIGKILL)

    after = tree.wait_for_notes("ready", 4)[2:]
    assert {note["generation"] for note in after} == {2}
    cleaned_up = tree.wait_for_notes("clean_up", 2)
    assert {note["dead_process"]["name"] for note in cleaned_up} == {note["name"] for note in before}
    assert all(note["dead_process"]["performing"] == RUNS[:1] for note in cleaned_up)
    assert {note["dead_process"]["cause"] for note in cleaned_up} == {"its zygote died"}
    wait_for(lambda: not any(is_alive(note["pid"]) for note in before), "the end of those before")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_tells_each_process_its_limit_and_ends_with_0(start_tree: StartTree, number: signal.Signals) -> None:
    tree = start_tree(processes=2, shutdown_seconds=20, does={"finish": 0.3})
    tree.wait_for_notes("ready", 2)

    tree.signal(number)

    assert tree.exit_code() == 0
    assert [note["seconds"] for note in tree.notes("stop")] == [20, 20]
    assert len(tree.notes("left")) == 2
    wait_for(lambda: not any(map(is_alive, tree.pids())), "the end of all")
    assert not tree.logged("Process died")


def test_a_second_signal_stops_at_once_and_kills_processes_that_do_not_end(start_tree: StartTree) -> None:
    tree = start_tree(processes=2, shutdown_seconds=60, does={"finish": 60})
    frozen, _ = tree.wait_for_notes("ready", 2)
    os.kill(frozen["pid"], signal.SIGSTOP)
    tree.signal(signal.SIGTERM)
    wait_for(lambda: tree.notes("stop"), "the first signal's stop")

    tree.signal(signal.SIGTERM)

    assert tree.exit_code(30) == 0
    assert len(tree.notes("stop_now")) == 1
    assert [line["worker"] for line in tree.logged("Process died")] == [frozen["name"]]
    wait_for(lambda: not any(map(is_alive, tree.pids())), "the end of all")


def test_a_process_that_does_not_answer_is_killed_and_cleaned_up_after(start_tree: StartTree) -> None:
    tree = start_tree(processes=2, answer_limit_seconds=1.5, does={"perform": RUNS[:1]})
    frozen, _ = tree.wait_for_notes("ready", 2)

    os.kill(frozen["pid"], signal.SIGSTOP)

    def notes() -> list[dict[str, Any]]:
        # On a machine that stands still the other may be too late with an answer, too.
        return [note for note in tree.notes("clean_up") if note["dead_process"]["name"] == frozen["name"]]

    (cleaned_up, *_) = wait_for(notes, "the cleanup after the frozen one")
    assert cleaned_up["dead_process"]["cause"] == "killed: did not answer"
    tree.wait_for_notes("ready", 3)


def test_a_rolling_restart_brings_new_code_and_never_fewer_ready_than_all_but_one(
    start_tree: StartTree,
) -> None:
    tree = start_tree(processes=3, does={"slow": 0.1, "finish": 0.2})
    tree.wait_for_notes("ready", 3)
    (tree.log.parent / "app.py").write_text("VERSION = 'two, of another length'\n")

    tree.signal(signal.SIGHUP)

    wait_for(lambda: tree.logged("Rolling restart done"), "the end of the rolling restart")
    wait_for(lambda: len(tree.notes("left")) == 3, "the leaving of the old")
    moves = sorted(
        [(note["at"], 1) for note in tree.notes("ready")] + [(note["at"], -1) for note in tree.notes("stop")]
    )
    ready = [sum(move for _, move in moves[: end + 1]) for end in range(2, len(moves))]
    assert min(ready) >= 3 - 1
    assert max(ready) == 4
    new = [note for note in tree.notes("forked") if note["generation"] == 2]
    assert [note["modules"] for note in new] == [["app=two, of another length"]] * 3
    assert not tree.logged("Process died")
    tree.signal(signal.SIGTERM)
    assert tree.exit_code() == 0


def test_a_request_in_the_ledger_is_a_rolling_restart_once_however_many_processes_read_it(
    start_tree: StartTree, tmp_path: Path
) -> None:
    tree = start_tree(processes=3, does={"roll": str(tmp_path / "roll"), "finish": 0.5})
    tree.wait_for_notes("ready", 3)

    (tmp_path / "roll").touch()

    wait_for(lambda: tree.logged("Rolling restart done"), "the end of the rolling restart")
    wait_for(lambda: len(tree.notes("left")) == 3, "the leaving of the old")
    tree.signal(signal.SIGTERM)
    assert tree.exit_code() == 0
    assert len(tree.logged("Rolling restart started")) == 1
    assert [note["generation"] for note in tree.notes("forked")] == [1, 1, 1, 2, 2, 2]


def test_new_code_that_cannot_be_imported_leaves_the_old_running(start_tree: StartTree) -> None:
    tree = start_tree(processes=2)
    tree.wait_for_notes("ready", 2)
    (tree.log.parent / "app.py").write_text("VERSION = 1\ndef broken(:\n")

    tree.signal(signal.SIGHUP)

    wait_for(lambda: tree.logged("Rolling restart given up, the old code stays"), "the refusal")
    assert "line 2" in tree.stderr
    assert "Traceback" not in tree.stderr
    assert not tree.notes("stop")
    assert all(is_alive(note["pid"]) for note in tree.notes("ready"))
    os.kill(tree.notes("ready")[0]["pid"], signal.SIGKILL)
    assert tree.wait_for_notes("ready", 3)[2]["generation"] == 1


def test_new_code_whose_processes_do_not_become_ready_is_given_up(start_tree: StartTree) -> None:
    tree = start_tree(processes=2)
    tree.wait_for_notes("ready", 2)
    (tree.log.parent / "app.py").write_text("VERSION = 'crash'\n")

    tree.signal(signal.SIGHUP)

    (line,) = wait_for(lambda: tree.logged("Rolling restart given up, the old code stays"), "the refusal")
    assert line["why"] == "its first processes do not become ready"
    assert len(tree.notes("forked", generation=2)) == 3
    assert not tree.notes("stop")
    os.kill(tree.notes("ready")[0]["pid"], signal.SIGKILL)
    assert tree.wait_for_notes("ready", 3)[2]["generation"] == 1


def test_new_code_ends_a_crash_loop(start_tree: StartTree) -> None:
    tree = start_tree(processes=1, app="VERSION = 'crash'\n")
    tree.wait_for_notes("forked", 3)
    (tree.log.parent / "app.py").write_text("VERSION = 'mended, at last'\n")

    tree.signal(signal.SIGHUP)

    (ready,) = tree.wait_for_notes("ready")
    assert ready["generation"] == 2
    wait_for(lambda: tree.logged("Rolling restart done"), "the end of the rolling restart")


def test_a_stop_while_the_application_is_being_imported_ends_with_0(start_tree: StartTree) -> None:
    tree = start_tree(app="import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(60)\n")
    wait_for((tree.log.parent / "importing").exists, "the import")

    tree.signal(signal.SIGTERM)

    assert tree.exit_code(30) == 0


def test_a_process_that_drains_is_replaced_before_it_leaves(start_tree: StartTree, tmp_path: Path) -> None:
    tree = start_tree(processes=1, does={"drain": str(tmp_path / "drain"), "leave": str(tmp_path / "leave")})
    tree.wait_for_notes("ready")
    wait_for(lambda: tree.logged("Process ready"), "that the supervisor heard it")

    (tmp_path / "drain").touch()

    first, _ = tree.wait_for_notes("ready", 2)
    assert not tree.notes("left")
    (tmp_path / "leave").touch()
    (left,) = tree.wait_for_notes("left")
    assert left["name"] == first["name"]
    assert not tree.logged("Process died")


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("VERSION = 1\n\ndef broken(:\n", ("syntax error", "app.py, line 3")),
        ("import no_such_thing_at_all\n", ("it needs the module 'no_such_thing_at_all'", "app.py, line 1")),
        ("x = 1\nraise ValueError('bad\\nnews')\n", ("ValueError: bad news", "app.py, line 2")),
        ("import sys\nsys.exit(0)\n", ("sys.exit(0)", "app.py, line 2")),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", ("'app'", "signal 11")),
    ],
)
def test_an_import_that_fails_is_one_clear_line_and_exit_code_2(
    start_tree: StartTree, app: str, words: tuple[str, ...]
) -> None:
    tree = start_tree(app=app)

    assert tree.exit_code() == 2

    (line,) = [line for line in tree.stderr.splitlines() if line.startswith("error: ")]
    assert "Cannot import 'app'" in line
    assert all(word in line for word in words), line
    assert "Traceback" not in tree.stderr
    assert not tree.log.exists()


def test_debug_shows_the_traceback_of_an_import(start_tree: StartTree) -> None:
    tree = start_tree(app="1 / 0\n", debug=True)

    assert tree.exit_code() == 2

    assert "Traceback" in tree.stderr


def test_a_module_that_is_not_there_is_named_with_what_to_do(start_tree: StartTree) -> None:
    tree = start_tree(imports=("no.such",))

    assert tree.exit_code() == 2

    assert "Cannot import 'no.such': there is no module 'no'" in tree.stderr
    assert "--import" in tree.stderr


@pytest.mark.parametrize(
    ("app", "named"),
    [
        (
            "from threading import Event, Thread\nThread(target=Event().wait, name='poller', daemon=True).start()\n",
            "app left the thread 'poller' running",
        ),
        ("import socket\nleft = socket.socket()\n", "app left 1 connection open"),
    ],
)
def test_an_application_that_cannot_be_forked_is_named_and_spawned(start_tree: StartTree, app: str, named: str) -> None:
    tree = start_tree(app=app, processes=2, does={"perform": RUNS[:1]})
    victim, _ = tree.wait_for_notes("ready", 2)

    assert {note["parent"] for note in tree.notes("forked")} == {tree.process.pid}
    (line,) = tree.logged("Application cannot be forked, each process imports it")
    assert line["because"] == [named]
    os.kill(victim["pid"], signal.SIGKILL)
    (cleaned_up, *_) = tree.wait_for_notes("clean_up")
    assert cleaned_up["dead_process"]["performing"] == RUNS[:1]
    tree.wait_for_notes("ready", 3)
    tree.signal(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, tree.pids())), "the end of all")


def test_a_crash_loop_backs_off_and_is_logged_once_for_each_slot(start_tree: StartTree) -> None:
    tree = start_tree(processes=1, does={"crash": 3})

    wait_for(lambda: tree.logged("Process is crash-looping"), "that it says so")
    tree.wait_for_notes("forked", 5)

    waits = [line["restart_in_seconds"] for line in tree.logged("Process died")]
    assert waits[:4] == sorted(waits[:4])
    assert waits[3] >= 0.8
    assert {line["cause"] for line in tree.logged("Process died")} == {"exit 3"}
    assert len(tree.logged("Process is crash-looping")) == 1
    assert tree.process.poll() is None
    assert not tree.notes("clean_up"), "a process that was never ready needs no cleanup"
    tree.signal(signal.SIGTERM)
    assert tree.exit_code() == 0


def test_the_supervisor_imports_neither_the_application_nor_heavy_libraries(start_tree: StartTree) -> None:
    tree = start_tree(processes=1)
    tree.wait_for_notes("ready")

    tree.signal(signal.SIGTERM)

    assert tree.exit_code() == 0
    (line,) = [line for line in tree.stderr.splitlines() if line.startswith("MODULES ")]
    imported = {name.partition(".")[0] for name in json.loads(line.removeprefix("MODULES "))}
    assert "worker" in imported
    assert imported.isdisjoint({"app", "tests", "sqlalchemy", "dramatiq", "pydantic", "redis", "psycopg"})


def test_an_applications_worker_module_does_not_stand_before_ours(start_tree: StartTree, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("raise SystemExit('the application\\'s')\n")

    def stops(tree: Tree) -> int:
        tree.wait_for_notes("ready")
        tree.signal(signal.SIGTERM)
        return tree.exit_code()

    # The test's own script stands in for the installed command, whose folder is not the application's.
    assert stops(start_tree(processes=1)) == 0
