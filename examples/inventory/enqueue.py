"""Enqueue one run for each file below a folder, all in one transaction: ``python enqueue.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from inventory import InspectFile

from jobs import enqueue_many


def main(folder: str) -> int:
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
    done = enqueue_many([InspectFile(path=str(path.resolve())) for path in files], tags=["inventory"])
    print(f"{len(done)} runs enqueued")
    return len(done)


if __name__ == "__main__":
    main(sys.argv[1])
