"""``python -m django``, for the fork server."""

from __future__ import annotations

import sys

from django.core.management import execute_from_command_line


def main() -> None:
    execute_from_command_line(["django", *sys.argv[1:]])
