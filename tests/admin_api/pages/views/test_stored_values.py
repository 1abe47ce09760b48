"""The pages of stored values: what an operator needs to know of each, and never its content."""

from __future__ import annotations

import pytest
from sqlalchemy import update

import jobs
from jobs import boot
from jobs.app import App
from jobs.database.models import JobBlobChunk
from jobs.operations.audit.operator import Operator
from jobs.operations.stored.inspect import verify_stored
from tests.admin_api.pages.conftest import Browse


class PagedScan(jobs.Job, kind="pages.PagedScan"):
    document: jobs.Stored[bytes]

    def perform(self) -> None: ...


def test_a_viewer_sees_each_value_with_its_runs_and_what_was_wrong_with_it(
    app: App, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin_api.pages.stored_values.A_PAGE", 1)
    client = browse("viewer")
    with boot.used(app):
        document = jobs.Stored(b"secret content", name="invoice.pdf")
        run = PagedScan(document=document).enqueue(on_success=[PagedScan(document=document)])
    assert document.reference is not None
    with app.database.write() as connection:
        connection.execute(update(JobBlobChunk).values(data=b"other  content"))
    (wrong,) = verify_stored(app, Operator("ada"))
    assert wrong.code == "stored_altered"
    jobs.Stored(b"x", name="later.pdf").write_to(app)

    first = client.get("/stored").text
    rest = client.get("/stored?before=" + first.partition("/stored?before=")[2].partition('"')[0]).text
    short = client.get(f"/stored/{str(document.reference.id)[-8:]}", follow_redirects=False)
    assert (short.status_code, short.headers["location"]) == (303, f"/stored/{document.reference.id}")
    shown = client.get(short.headers["location"]).text

    assert ("later.pdf" in first, "invoice.pdf" in first) == (True, False)
    assert ("invoice.pdf" in rest, "stored_altered" in rest, "14 B" in rest) == (True, True, True)
    assert f"/runs/{run.id}" in shown
    assert "1 follow-up waits that refers to it." in shown
    assert document.reference.sha256 in shown
    assert not any("secret content" in page or "other  content" in page for page in (first, rest, shown))
    assert client.get("/stored/0000000a").status_code == 404
    assert client.get("/stored?before=none").status_code == 404
