"""The program of a fleet's supervisor: ``supervise.py SETTINGS PROCESSES ANSWER_LIMIT PID_FILE``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from worker.main import main as supervise


def main() -> None:
    settings, processes, limit, path = sys.argv[1:]
    fresh = Path(path).with_suffix(".new")
    fresh.write_text(str(os.getpid()))
    fresh.rename(path)
    sys.exit(
        supervise(
            imports=("tests.faults.work", "tests.faults.flows"),
            settings_json=settings,
            processes=int(processes),
            answer_limit_seconds=float(limit) or None,
        )
    )


if __name__ == "__main__":
    main()
