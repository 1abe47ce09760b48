"""The program that ``live.py`` starts: a worker whose options are the environment's, and JSON for what has none."""

from __future__ import annotations

import json
import sys

from jobs.observe.log import configure_logging
from jobs.settings import Settings
from worker.main import main as supervise


def main() -> None:
    settings = Settings.read()
    configure_logging(settings)
    code = supervise(
        imports=settings.imports,
        settings_json=settings.model_dump_json(),
        processes=settings.processes,
        shutdown_seconds=settings.shutdown.total_seconds(),
        **json.loads(sys.argv[1]),
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
