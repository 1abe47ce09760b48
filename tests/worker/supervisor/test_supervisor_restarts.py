"""New code is taken over by rolling restarts, and code that cannot be loaded changes nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.worker.conftest import StartTree, is_alive, wait_for

pytestmark = pytest.mark.slow


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
