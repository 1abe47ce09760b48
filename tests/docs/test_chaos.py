"""docs/chaos.md: its commands run, in their order, on a ledger whose worker was started for chaos."""

from __future__ import annotations

import json
import platform
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App
from jobs.ledger import workers
from jobs.operations.chaos.plan import Fault
from tests.admin_cli import world
from tests.admin_cli.conftest import Program
from tests.admin_cli.conftest import in_shop as in_shop
from tests.conftest import MakeApp
from worker.protocol.process_identity import identity_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "chaos.md").read_text()
ALLOW, SHOW, RUN, REPEAT = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S)).splitlines()


@pytest.fixture
def program(
    in_shop: Callable[[App], Program], make_app: MakeApp, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Program:
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    made = in_shop(app)
    with app.database.write() as connection:
        workers.sign_off(connection, world.WORKER)
    return made


def test_the_commands_of_the_page_run(program: Program, tmp_path: Path) -> None:
    app = boot._app
    assert app is not None
    with subprocess.Popen(["sleep", "600"]) as victim:
        with app.database.write() as connection:
            workers.register(
                connection, "here/1/0", host=platform.node(), pid=victim.pid, version="1", queues=["mail", "payments"],
                kinds=["Report"], threads=1, chaos="staging", process=identity_of(victim.pid),
            )  # fmt: skip
        short = RUN.replace("--for 2m", "--for 4s --every 500ms --only kill")
        allowed, shown, ran, again = (program(*shlex.split(line)[1:]) for line in (ALLOW, SHOW, short, REPEAT))

        assert victim.wait(60) == -9
    assert (allowed.code, allowed.err[:24]) == (0, "This ledger is staging: "), allowed.err
    assert "game day" in shown.out
    assert ran.code == 0, ran.err + ran.out
    assert "killed here/1/0" in ran.err
    lines = [json.loads(line) for line in (tmp_path / "chaos.jsonl").read_text().splitlines()]
    assert (lines[0]["target"], lines[0]["seed"], lines[0]["for_seconds"]) == ("staging", 7, 4.0)
    assert lines[1]["planned"]["fault"] == "kill"
    assert lines[-1]["report"]["holds"] is True
    assert again.code == 0, again.err
    assert "no worker was there" in again.err
    assert re.findall(r"^\| ([a-z]+) \|", PAGE, re.M)[1:5] == [one.value for one in Fault]
    promises = [one["name"] for one in lines[-1]["report"]["promises"]]
    assert re.findall(r"^\| ([a-z]+) \|", PAGE, re.M)[6:] == promises
