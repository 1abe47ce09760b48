"""Copies stored values of runs into another ledger, whatever their store is: for bundles and shadow runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from jobs.app import App
from jobs.database.engine import Database
from jobs.database.models import JobBlob, JobBlobRef
from jobs.database.sql import Executor
from jobs.errors import JobsError
from jobs.ledger.blobs import content
from jobs.ledger.bundles import rows
from jobs.storage.stores import open_store


@dataclass(slots=True)
class Copies:
    """What has been copied: ``max_bytes`` of content at most.

    Attributes:
        copied: values with their content; ``bytes`` is its size.
        left_out: values without it: there was no room, or their store does not have it.
    """

    max_bytes: int
    copied: int = 0
    bytes: int = 0
    left_out: int = 0
    _seen: set[UUID] = field(default_factory=set)

    def add(self, app: App, source: Executor, target: Database, run_ids: Sequence[UUID]) -> None:
        """Copy the values that these runs refer to, those of the first runs first, and the references. The copy has the
        content in its own tables.

        Args:
            source: reads the ledger of ``app``; others may be read while it is open.
        """
        for start in range(0, len(run_ids), rows.PAGE):
            page = run_ids[start : start + rows.PAGE]
            found: dict[UUID, list[rows.Row]] = {run_id: [] for run_id in page}
            for row in rows.rows_of_runs(source, JobBlobRef, JobBlobRef.run_id, page):
                found[row["run_id"]].append(row)
            refs = [row for some in found.values() for row in some]
            with target.write() as connection:
                rows.write_rows(connection, JobBlobRef, refs)
            wanted = [one for one in dict.fromkeys(row["blob_id"] for row in refs) if one not in self._seen]
            self._seen.update(wanted)
            for row in rows.blob_rows(source, wanted):
                with target.write() as connection:
                    rows.write_rows(connection, JobBlob, [{**row, "store": content.LEDGER}])
                self._add_content(app, target, row)

    def _add_content(self, app: App, target: Database, row: rows.Row) -> None:
        size = row["size"]
        if size is None or row["removed_at"] is not None:
            return
        if self.bytes + size > self.max_bytes or not _copy(app, target, row):
            self.left_out += 1
            return
        self.copied, self.bytes = self.copied + 1, self.bytes + size


def _copy(app: App, target: Database, row: rows.Row) -> bool:
    """Copy the content of a value; False if its store does not give it. Whoever reads the copy checks it."""
    left: int = row["size"]
    try:
        for number, chunk in enumerate(open_store(app, row["store"]).read(row["id"])):
            left -= len(chunk)
            if left < 0:
                return False
            with target.write() as connection:
                content.add_chunk(connection, row["id"], number, chunk)
    except JobsError:
        return False
    return left == 0
