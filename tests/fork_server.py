"""Runs `jobledger`, and workers, in forks of one process that has imported what they import.

A command imports for most of a second of processor time, a worker for two, and tests run hundreds of them.
``[*jobledger(), "status"]`` takes the place of ``[sys.executable, "-m", "admin_cli.main", "status"]``: a small program
hands its arguments, environment, folder and standard streams to the server, forwards signals, and ends with the exit
code of the fork. ``tests/forked_zygote.py`` does the same for the interpreters that a worker starts.

The server has compiled the statements of a worker too: on SQLite, and on PostgreSQL once a test has used it.

The forks are no children of the test. Use the real program in a test of its start, its process tree or its speed.
"""

from __future__ import annotations

import atexit
import gc
import os
import random
import select
import shutil
import signal
import socket
import subprocess as sp
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import templates

ROOT = Path(__file__).parents[1]
CLIENT = Path(__file__).with_name("fork_client.py")
IMPORTED = (
    "admin_cli.main",
    "jobs.app",
    "jobs.boot",
    "jobs.migration.schema",
    "jobs.client.job",
    "jobs.operations.runs.inspect",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "jobs.observe.metrics",
    "jobs.ready.guard",
    "jobs.ready.redis",
    "encodings.idna",
    "worker.main",
    "worker.process.main_loop",
    "worker.process.thread_broker",
    "worker.startup.statement_warmup",
    "worker.supervisor.zygote",
    "admin_cli.serve.supervisor",
    "scheduler.main",
    "rich.table",
    "django.core.management",
    "pytest",
    "pytest_timeout",
    "tests.forked_zygote",
)
MESSAGE_BYTES = 1 << 16
START_WITHIN_SECONDS = 30
_servers: list[sp.Popen[bytes]] = []
"""Kept, because a Popen that is forgotten while its process runs warns."""
_ledgers: list[str] = []
"""The URLs of the ledgers on which the server compiles statements."""
COMPILE = b"\0compile\0"
"""What a message begins with that is no command: the URL of a ledger follows."""


def jobledger() -> list[str]:
    """What a command line begins with to run `jobledger` in a fork."""
    return forked("admin_cli.main")


def forked(module: str) -> list[str]:
    """What a command line begins with to run ``main()`` of a module in a fork."""
    return [sys.executable, "-I", "-S", str(CLIENT), str(_server(os.getpid())), module]


def pids() -> list[int]:
    """The started servers of this process."""
    return [server.pid for server in _servers]


def compile_statements(url: str) -> None:
    """Let the server compile statements on the ledger at ``url``, which has tables and nobody else uses."""
    _ledgers.append(url)
    if _servers:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.connect(str(_server(os.getpid())))
            socket.send_fds(server, [COMPILE + url.encode()], [0, 1, 2])
            server.recv(16)


@cache
def _server(pid: int) -> Path:
    """The socket of the started server of this process. It ends with the process, whose pipe it reads."""
    folder = Path(tempfile.mkdtemp(prefix="jobs-fork-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "fork.sock"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    ledgers = [templates.sqlite_ledger(folder / "jobs.db"), *_ledgers]
    server = sp.Popen(
        [sys.executable, "-m", "tests.fork_server", str(path), *ledgers],
        cwd=ROOT, stdin=sp.PIPE, start_new_session=True, env={**environment, "PYTHONUTF8": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + START_WITHIN_SECONDS
    while not path.exists() and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists(), "the fork server did not start"
    _servers.append(server)
    return path


def serve(path: str, ledgers: Sequence[str]) -> None:
    """Answer until standard input is closed. Returns in each fork, which then runs the command."""
    for name in IMPORTED:
        __import__(name)
    from admin_cli.commands import COMMANDS

    for entry in COMMANDS.values():
        __import__(entry.target.partition(":")[0])
    from tests import compiled_statements

    compiled_statements.share()
    for ledger in ledgers:
        _compile(ledger)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    clients: dict[socket.socket, int] = {}
    while True:
        ready, _, _ = select.select([0, listener, *clients], [], [], 0.02 if clients else None)
        if 0 in ready:
            for pid in clients.values():
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        for client in (one for one in ready if one in clients):
            _forward(client, clients[client])
        _reap(clients)
        if listener in ready:
            client, _ = listener.accept()
            message, streams, _, _ = socket.recv_fds(client, MESSAGE_BYTES, 3)
            if message.startswith(COMPILE):
                _compile(message.removeprefix(COMPILE).decode())
                client.send(b"0")
                client.close()
                for stream in streams:
                    os.close(stream)
                continue
            pid = os.fork()
            if pid == 0:
                for other in (listener, client, *clients):
                    other.close()
                _become(message, streams)
                return
            for stream in streams:
                os.close(stream)
            clients[client] = pid


def _compile(url: str) -> None:
    """Run the statements of a worker on a ledger, and undo them; forks inherit what was compiled."""
    from jobs import boot
    from jobs.clock import SystemClock
    from jobs.errors import JobsError
    from jobs.settings import Settings
    from worker.exchange.heartbeat import own_database
    from worker.startup import statement_warmup as warmup

    settings = Settings(database_url=url)
    database = boot.open_database(settings, SystemClock())
    # A test may have stopped the database server.
    with suppress(JobsError):
        with warmup._undone(database) as connection:
            warmup._perform(connection, settings)
        warmup._perform_directly(database, settings)
        with warmup._undone(own_database(database, settings)) as connection:
            warmup._beat(connection, settings.lease)
    database.close()
    own_database(database, settings).close()
    assert threading.active_count() == 1, "a thread does not survive a fork"
    gc.collect()
    gc.freeze()


def _forward(client: socket.socket, pid: int) -> None:
    said = client.recv(16)
    os.kill(pid, int(said) if said else signal.SIGKILL)
    if not said:
        # It was killed: select would report its end again and again.
        client.setblocking(False)
        time.sleep(0.01)


def _reap(clients: dict[socket.socket, int]) -> None:
    for client, pid in list(clients.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del clients[client]
            try:
                client.send(str(os.waitstatus_to_exitcode(status)).encode())
            except OSError:
                pass  # It was killed.
            client.close()


def _become(message: bytes, streams: list[int]) -> None:
    """Take over the folder, the environment, the arguments and the streams of a client."""
    os.setsid()
    folder, count, *texts = message.decode("utf-8", "surrogateescape").split("\0")
    arguments, variables = texts[: int(count)], texts[int(count) :]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(one.split("=", 1) for one in variables)
    time.tzset()
    random.seed()
    sys.path[:] = ["", *os.environ.get("PYTHONPATH", "").split(os.pathsep), *(one for one in sys.path[1:] if one)]
    sys.path[0] = folder
    sys.stdin = sys.__stdin__ = _opened(0, mode="r")
    sys.stdout = sys.__stdout__ = _opened(1, buffering=1 if os.isatty(1) else -1)
    sys.stderr = sys.__stderr__ = _opened(2, buffering=1, errors="backslashreplace")
    sys.argv = arguments


def _opened(number: int, *, mode: str = "w", **options: Any) -> Any:
    return open(number, mode, encoding="utf-8", closefd=False, **options)


def _run() -> int:
    """Run the command to its end, without the half second in which Python takes the imported modules apart."""
    from tests.forked_zygote import fork_zygotes

    fork_zygotes()
    main = import_module(sys.argv[0]).main
    sys.argv[0] = "jobledger"
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
    os._exit(_run())
