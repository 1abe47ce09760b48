"""The checks of `jobledger worker` before it starts, and the process that it becomes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from admin_cli.program.options import Globals
from admin_cli.serve.worker import _check_services
from tests.server_process import free_port
from tests.worker_process import ROOT, worker


@pytest.mark.parametrize("redis", ["redis://:s3cret@127.0.0.1:{port}/0", "rediss://app:s3cret@127.0.0.1:{port}/0"])
def test_an_unusable_redis_is_one_line_and_does_not_stop_the_worker(pg_database, capsys, redis):
    _check_services(Globals(database_url=pg_database, redis_url=redis.format(port=free_port())), {})

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("warning: Redis at ")
    assert "JOBS_REDIS_URL" in said[0]
    assert "s3cret" not in said[0]


def test_the_supervisor_keeps_its_process_id_and_command_line_and_drops_heavy_modules(tmp_path, pg_database):
    with worker(tmp_path, pg_database, program=[sys.executable, "-m", "admin_cli.main"]) as it:
        shown = Path(f"/proc/{it.process.pid}/cmdline").read_bytes().decode().split("\0")
        maps = Path(f"/proc/{it.process.pid}/maps").read_text()
        status, health = it.get("/healthz")

    assert " ".join(shown).rstrip().endswith("jobledger worker --import tests.seen_app --metrics-port 0")
    assert "pydantic" not in maps
    assert "sqlalchemy" not in maps
    assert status == 200, health
    assert it.process.returncode == 0


def test_a_worker_with_a_time_limit_ends_by_it(tmp_path, pg_database):
    ended = _worker(tmp_path, pg_database, "tests.seen_app", before=["--timeout", "3s"])

    assert ended.returncode == 124, ended.stderr


def test_a_port_that_is_taken_is_one_line_and_a_code_of_usage(tmp_path, pg_database):
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = _worker(tmp_path, pg_database, "tests.seen_app", "--metrics-port", str(other.getsockname()[1]))

    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: Cannot serve metrics and health on 127.0.0.1:")


def test_an_import_that_fails_shows_its_traceback_to_who_debugs(tmp_path, pg_database):
    (tmp_path / "broken.py").write_text("def of_mine(): raise KeyError('x')\nof_mine()\n")

    ended = _worker(tmp_path, pg_database, "broken", before=["--debug"])

    assert ended.returncode == 2
    assert "Traceback" in ended.stderr
    assert "in of_mine" in ended.stderr


def test_a_stop_during_the_exec_of_the_supervisor_stops_it(tmp_path, pg_database):
    # It sends itself the signal at the last moment before exec replaces the interpreter.
    script = tmp_path / "worker_that_is_stopped_early.py"
    script.write_text(
        "import os, signal, sys\n"
        "from admin_cli.main import main\n"
        "exec_, sys.argv[1:] = os.execv, ['worker', '--import', 'tests.seen_app']\n"
        "os.execv = lambda *given: (os.kill(os.getpid(), signal.SIGTERM), exec_(*given))\n"
        "main()\n"
    )

    ended = _run(tmp_path, pg_database, [str(script)])

    assert ended.returncode == 0, ended.stderr
    assert '"Stopping"' in ended.stderr


def _worker(tmp_path, url, imports, *more, before=()):
    return _run(tmp_path, url, ["-m", "admin_cli.main", *before, "worker", "--import", imports, *more])


def _run(tmp_path, url, arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JOBS_DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
