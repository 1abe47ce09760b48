"""`jobs demo`: runs jobs over real files without any service, and checks the ledger against the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from admin_cli.demo import file_hashes
from admin_cli.program import collector
from admin_cli.program.exits import CommandFailed, Exit
from admin_cli.program.names import command_line
from admin_cli.program.options import Globals, pass_globals
from admin_cli.serve.local_pages import need_web
from admin_cli.terminal import streams
from jobs.formats.escaping import one_line

if TYPE_CHECKING:
    from jobs.app import App

PROCESSES = 2
DRAIN_LIMIT_SECONDS = 300.0
"""Seconds without a finished run before the demo gives up. Source: the slowest machine tried takes 20."""
INVENTORY = "demo.InspectFile"


@click.command("demo")
@click.argument("folder", required=False)
@click.option(
    "--keep", type=click.Path(dir_okay=False), help="Keep the ledger in this file; a second demo continues with it."
)
@click.option("--serve", is_flag=True, help="Then serve the pages for it, until Ctrl-C.")
@pass_globals
def demo(options: Globals, folder: str | None, keep: str | None, serve: bool) -> None:
    """Run a job for each file of a folder, then check the ledger.

    FOLDER defaults to Python's own library. The demo starts two worker processes on SQLite. It also enqueues a job
    that fails twice, one that always fails and one that is due in two seconds. After Ctrl-C, run the demo with the
    same --keep to continue.

    \b
    Examples:
      jobledger demo --keep demo.db
      jobledger demo --serve
    """
    collector.resume()
    if serve:
        need_web()
    root = os.path.realpath(folder or sysconfig.get_path("stdlib"))
    if not os.path.isdir(root):
        raise CommandFailed(f"{one_line(root)} is not a folder.", exit_code=Exit.USAGE)
    with _ledger_file(keep) as path:
        app = _open(path)
        expected = _enqueue(app, root)
        streams.write_message(f"{expected:,} files below {one_line(root)}, {PROCESSES} worker processes, ledger {path}")
        try:
            with _worker(path) as worker:
                _watch(app, expected + 3, worker, log=_log_of(path))
        except KeyboardInterrupt:
            if keep:
                streams.write_message(f"stopped; continue with: {command_line(f'demo --keep {keep}')}")
            raise
        _summarise(app)
        mistakes = _mistakes(app, root)
        for mistake in mistakes[:10]:
            streams.write_message(f"mismatch: {one_line(mistake)}")
        if mistakes:
            raise CommandFailed(f"the ledger and the files differ in {len(mistakes)} places.")
        streams.write("the ledger adds up: one succeeded run for each file, and the same size, hash and lines\n")
        if serve:
            _serve(app, path)
        else:
            _suggest(app, path if keep else None)
        app.close()


@contextmanager
def _ledger_file(keep: str | None) -> Iterator[Path]:
    if keep:
        yield Path(keep).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="jobledger-demo-") as folder:
        yield Path(folder) / "demo.db"


def _open(path: Path) -> App:
    from jobs import boot
    from jobs.migration import schema
    from jobs.settings import Settings

    # The demo is its own application: it ignores a ledger that the environment names.
    settings = Settings.read(database_url=f"sqlite:///{path}", log_level="error")
    app = boot.configure(boot.build(settings))
    schema.upgrade(app.database)
    return app


def _enqueue(app: App, root: str) -> int:
    """Enqueue every file in one transaction, unless an earlier demo did; returns the number of files."""
    from admin_cli.demo.inventory import AlwaysFail, DueLater, FailTwice, InspectFile, name_of
    from jobs import enqueue_many
    from jobs.ledger.queries.reports import count_by_state

    with app.database.read() as connection:
        earlier = sum(count_by_state(connection, kind=INVENTORY).values())
    if earlier:
        streams.write_message(f"continuing with a ledger of {earlier:,} files")
        return earlier
    paths = file_hashes.files_below(root)
    FailTwice().enqueue()
    AlwaysFail().enqueue()
    DueLater().enqueue(delay=timedelta(seconds=2))
    enqueue_many([InspectFile(path=name_of(path)) for path in paths])
    return len(paths)


@contextmanager
def _worker(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a real `jobs worker`, and stops it at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    environment |= {
        "JOBS_DATABASE_URL": f"sqlite:///{path}",
        "JOBS_LOG_LEVEL": "error",
        "JOBS_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "admin_cli.main", "worker", "--import", "admin_cli.demo.inventory"]
    with _log_of(path).open("ab") as file:
        worker = subprocess.Popen(
            [*command, "--processes", str(PROCESSES)],
            env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield worker
    finally:
        worker.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            worker.wait(40)
        if worker.poll() is None:
            worker.kill()


def _log_of(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".log")


def _watch(app: App, total: int, worker: subprocess.Popen[bytes], *, log: Path) -> None:
    """Wait until every run has ended. Shows a progress line on a terminal, and nothing in a pipe.

    Raises:
        CommandFailed: the worker died, or takes too long.
    """
    from jobs.ledger.queries.reports import count_by_state
    from jobs.states import FINAL

    is_live = streams.is_terminal(sys.stderr)
    began = app.clock.monotonic()
    while True:
        with app.database.read() as connection:
            counts = count_by_state(connection)
        done = sum(number for state, number in counts.items() if state in FINAL)
        took = app.clock.monotonic() - began
        if is_live:
            said = "  ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))
            sys.stderr.write(f"\r\x1b[K{100 * done // max(1, total):3d} %  {said}  {took:.1f} s")
            sys.stderr.flush()
        if done >= sum(counts.values()):
            break
        if worker.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise CommandFailed(f"the worker ended with {worker.returncode}: {one_line(''.join(last))}")
        if took > DRAIN_LIMIT_SECONDS:
            raise CommandFailed(f"{sum(counts.values()) - done} runs have not ended after {DRAIN_LIMIT_SECONDS:.0f} s.")
        app.clock.sleep(0.1)
    if is_live:
        sys.stderr.write("\r\x1b[K")


def _serve(app: App, path: Path) -> None:
    """Serve the pages until Ctrl-C, with a worker that performs replayed runs."""
    from admin_cli.serve.local_pages import serve_here

    with _worker(path):
        serve_here(app)


def _summarise(app: App) -> None:
    from jobs.ledger.queries.reports import attempt_statistics, count_by_state

    with app.database.read() as connection:
        counts = count_by_state(connection)
        figures = attempt_statistics(connection)
    lines = [
        f"runs       {sum(counts.values()):,}: "
        + ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items())),
        f"attempts   {figures.attempts:,}, of which {figures.retries:,} retries",
        f"speed      {figures.runs_per_second:,.0f} runs/s over {figures.span_seconds:.1f} s",
        f"duration   p50 {figures.p50_ms:.1f} ms, p95 {figures.p95_ms:.1f} ms",
    ]
    streams.write("\n".join(lines) + "\n")


def _mistakes(app: App, root: str) -> list[str]:
    """Lists where the ledger and the files differ; another process reads the files again."""
    from admin_cli.demo.inventory import name_of
    from jobs.ledger.queries.find import list_runs
    from jobs.states import RunState

    counted = subprocess.run(
        [sys.executable, "-I", file_hashes.__file__, root],
        capture_output=True,
        text=True,
        timeout=DRAIN_LIMIT_SECONDS,
        check=True,
    )
    files: dict[str, list[Any]] = {name_of(path): found for path, found in json.loads(counted.stdout).items()}
    mistakes, before = [], None
    while True:
        with app.database.read() as connection:
            page = list_runs(connection, kind=INVENTORY, before=before, limit=500)
        if not page:
            break
        for run in page:
            path = run.arguments["path"]
            wanted = files.pop(path, None)
            said = run.result or {}
            found = [said.get("size"), said.get("sha256"), said.get("lines")]
            if run.state is not RunState.SUCCEEDED:
                mistakes.append(f"{path}: its run is in state {run.state}")
            elif wanted is None:
                mistakes.append(f"{path}: has more than one run, or no longer exists")
            elif found != wanted:
                mistakes.append(f"{path}: the ledger says {found}, the file is {wanted}")
        before = page[-1].id
    return mistakes + [f"{path}: has no run" for path in files] + _wrong_ends(app)


def _wrong_ends(app: App) -> list[str]:
    from jobs.ledger.queries.find import list_attempts, list_runs
    from jobs.states import RunState

    wanted = {
        "demo.FailTwice": (RunState.SUCCEEDED, 3),
        "demo.AlwaysFail": (RunState.DEAD, 3),
        "demo.DueLater": (RunState.SUCCEEDED, 1),
    }
    wrong = []
    with app.database.read() as connection:
        for kind, (state, tries) in wanted.items():
            for run in list_runs(connection, kind=kind):
                # Attempts of a killed worker count too: the job decides by the attempt number.
                tried = len(list_attempts(connection, run.id))
                if run.state is not state or tried < tries:
                    wrong.append(f"{kind}: {run.state} after {tried} attempts, not {state} after {tries}")
    return wrong


def _suggest(app: App, path: Path | None) -> None:
    from jobs.ledger.queries.find import list_runs
    from jobs.states import RunState

    if path is None:
        streams.write("try next:\n")
        for line, why in (
            ("--serve", "serves the pages for it"),
            ("--keep demo.db", "keeps the ledger file"),
        ):
            streams.write(f"  {command_line(f'demo {line}'):32} {why}\n")
        return
    with app.database.read() as connection:
        dead = list_runs(connection, states=[RunState.DEAD], limit=1)
    url = f"--database-url sqlite:///{path}"
    streams.write("try next:\n")
    for line in ("status", "list -n 5", *(f"show {str(run.id)[-8:]}" for run in dead), "api serve --link"):
        streams.write(f"  {command_line(f'{url} {line}')}\n")
