"""docs/stored.md: its job performs, its result is read, and its commands do as the page says."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import update

import jobs
from admin_cli.main import cli
from jobs.database.models import JobBlobChunk
from jobs.definition import registry
from jobs.ledger.blobs import blob_errors
from jobs.ledger.blobs.references import release
from jobs.states import RunState
from jobs.testing import Ledger

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "stored.md").read_text()


def test_the_job_of_the_page_reads_its_document_and_returns_a_page(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    monkeypatch.chdir(tmp_path)
    Path("invoice.pdf").write_bytes(b"%PDF-1.7")
    declares, enqueues = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "stored_page"}

    with Ledger(sqlite_url) as ledger:
        for code in (declares, enqueues):
            exec(compile(code, "docs/stored.md", "exec", dont_inherit=True), names)
        ledger.drain()

        found = jobs.find(names["run"].id)
        assert found.state is RunState.SUCCEEDED
        assert found.arguments["document"]["name"] == "invoice.pdf"
        assert found.result["digest"] == hashlib.sha256(b"%PDF-1.7").hexdigest()
        assert eval("jobs.Stored.from_reference(jobs.find(run.id).result['page'])", names).read() == b"a picture"


def test_the_commands_of_the_page_list_check_and_collect(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_DATABASE_URL", sqlite_url)
    (block,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    lists, verifies, collects = (shlex.split(line)[2:] for line in block.splitlines())

    with Ledger(sqlite_url) as ledger:

        class Paged(jobs.Job):
            document: jobs.Stored[bytes]

            def perform(self) -> None: ...

        run = Paged(document=jobs.Stored(b"12345", name="one.pdf")).enqueue()
        jobs.Stored(b"for nobody").upload()

        (unused, used) = json.loads(said(*lists, "-o", "json"))["data"]
        assert (used["name"], used["size"], used["state"], used["runs"]) == ("one.pdf", 5, "used", 1)
        assert (unused["state"], unused["runs"], "12345" in str(used)) == ("unused", 0, False)
        assert "well" in said(*verifies)
        with ledger.app.database.write() as connection:
            connection.execute(update(JobBlobChunk).values(data=b"54321"))
        verified = said(*verifies, used["id"][-8:], "-o", "json", code=1)
        (wrong,) = json.loads(verified.partition("\n}")[0] + "\n}")["data"]
        assert (wrong["code"], wrong["runs"]) == ("stored_altered", [str(run.id)])
        with ledger.app.database.write() as connection:
            release(connection, [UUID(unused["id"])])
        assert "1 stored values deleted" in said(*collects)


def said(*command: str, code: int = 0) -> str:
    done: Any = CliRunner().invoke(cli, list(command))
    assert done.exit_code == code, f"{command}: {done.output} {done.exception}"
    return str(done.output)


def test_the_page_names_the_code_of_each_error() -> None:
    codes = {one.code for one in (blob_errors.StoreDown, blob_errors.StoredMissing, blob_errors.StoredAltered)}

    assert codes <= set(re.findall(r"`(\w+)`", PAGE))
