"""Stored values in bundles: their contents with ``--arguments full``, up to a size; nothing of them otherwise."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import Job, Stored, boot
from jobs.app import App
from jobs.definition.published import published_kinds
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs.move import arguments_text
from jobs.operations.audit.operator import Operator
from jobs.operations.bundles.read import open_bundle
from jobs.operations.bundles.write import make_bundle
from jobs.operations.runs.inspect import find_run
from jobs.operations.stored.inspect import list_stored, verify_stored

ROWS = [f"canary-{n}" for n in range(100)]


class BundledScan(Job, kind="bundled.Scan"):
    document: Stored[bytes]
    readings: list[str]

    def perform(self) -> None: ...


@pytest.mark.parametrize("mode", ["full", "redacted"])
def test_a_full_bundle_has_contents_up_to_a_size_and_any_other_has_none(
    app: App, ada: Operator, tmp_path: Path, mode: str
) -> None:
    storing = replace(app, settings=app.settings.model_copy(update={"store_above": 1024}))
    with boot.used(storing), app.database.write() as connection:
        publish_kinds(connection, published_kinds(1000))
    with boot.used(storing):
        BundledScan(document=b"larger" * 1500, readings=[]).enqueue()  # type: ignore[arg-type]
        run = BundledScan(document=b"first" * 1000, readings=ROWS).enqueue()  # type: ignore[arg-type]
    with app.database.read() as connection:
        packed = json.loads(arguments_text(connection, [run.id])[run.id])["readings"]["$stored"]
    path = tmp_path / "incident.jlb"

    make_bundle(app, ada, Selector(is_all=True), path, limit=200, is_full=mode == "full", max_stored=10_000)
    there, manifest = open_bundle(path, tmp_path)
    try:
        found = find_run(there, ada, str(run.id))[0].arguments["readings"]
        if mode == "full":
            assert manifest.stored == {"values": 2, "bytes": 5000 + packed["size"], "left_out": 1}
            assert found == ROWS
            wrong = [(one.blob.size, one.code) for one in verify_stored(there, ada) if one.code]
            assert wrong == [(9000, "stored_missing")]
        else:
            assert (manifest.stored, list_stored(there, ada)) == ({}, [])
            assert found["$stored"]["size"] == packed["size"]
            with zipfile.ZipFile(path) as bundle:
                whole = b"".join(bundle.read(name) for name in bundle.namelist())
            assert b"canary" not in whole
            assert packed["sha256"].encode() not in whole
    finally:
        there.close()
