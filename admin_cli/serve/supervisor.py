"""The supervisor process of `jobledger worker`: a fresh interpreter that imports little.

It runs as long as the worker. The command line's imports (click, pydantic) take a third of a worker's memory goal.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from admin_cli.terminal import streams


def main(payload: dict[str, Any]) -> NoReturn:
    """Supervise, and exit with the exit code. ``payload`` has ``log``, the log format, and ``work``."""
    from jobs.observe.log_format import direct_logging
    from worker.main import main as supervise

    streams.hold_standard_streams()
    with suppress(OSError):
        Path("/proc/self/comm").write_text("jobs supervisor")  # The name in `ps` and `top`, on Linux.
    work = payload["work"]
    try:
        direct_logging(**payload["log"], stream=sys.stderr)
        code = supervise(**{**work, "imports": tuple(work["imports"])})
    except BaseException as error:
        from admin_cli.program.failure import report

        code = report(error, debug=work["debug"])
    sys.exit(code)
