"""Jobs with fields of many types."""

from __future__ import annotations

from typing import Any

import jobs
from jobs.definition.arguments import write_arguments


class Free(jobs.Job, kind="arguments.Free"):
    """Takes anything."""

    value: Any

    def perform(self) -> None: ...


def write(job: jobs.Job, *, max_bytes: int = 262_144) -> str:
    return write_arguments(job, kind=job.options.kind, max_bytes=max_bytes)
