"""What the supervisor imports, and what it says of an application that cannot be imported or forked."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.worker.conftest import StartTree, Tree, is_alive, wait_for
from tests.worker.supervisor.held_runs import RUNS

pytestmark = pytest.mark.slow


def test_a_stop_while_the_application_is_being_imported_ends_with_0(start_tree: StartTree) -> None:
    tree = start_tree(app="import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(60)\n")
    wait_for((tree.log.parent / "importing").exists, "the import")

    tree.signal(signal.SIGTERM)

    assert tree.exit_code(30) == 0


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
