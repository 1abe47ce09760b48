"""An inventory of files: one run for each file below a folder, and a report once they are done.

In one terminal::

    jobledger dev --import inventory

In another, in the same folder::

    python enqueue.py /usr/share/doc
    jobledger status
    jobledger list -o name | python report.py
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs import Job, Retry


class InspectFile(
    Job, queue="files", timeout=timedelta(minutes=1), retry=Retry(max_attempts=3, give_up_on=(FileNotFoundError,))
):
    """Read one file and return what it is. A file that does not exist any more is not tried again."""

    path: str

    def perform(self) -> dict[str, Any]:
        digest, size, lines = hashlib.sha256(), 0, 0
        with Path(self.path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
                lines += block.count(b"\n")
        return {"size": size, "sha256": digest.hexdigest(), "lines": lines}
