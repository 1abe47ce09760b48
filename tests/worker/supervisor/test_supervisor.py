"""Real processes, really killed. Each test says what is left standing."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.worker.conftest import StartTree, is_alive, wait_for
from tests.worker.supervisor.held_runs import RUNS

pytestmark = pytest.mark.slow


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
