"""``manage.py jobs worker``, ``manage.py jobs status``, …: the command line of the ledger, with Django's settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections

from jobs.django.config import WORKER

_WITH_VALUE = ("--settings", "--pythonpath")
_FLAGS = ("--no-color", "--force-color", "--traceback")
"""Options of every command of Django, which Django itself has read."""
IMPORTS = "JOBS_IMPORTS"


class Command(BaseCommand):
    """Passes everything that follows ``jobs`` to the command line of the ledger."""

    help = "The ledger's command line: jobs worker, jobs status, jobs dlq list, … (jobs --help lists them)."
    requires_system_checks: Sequence[str] = ()

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("words", nargs="*", help="A command of the ledger and its arguments.")

    def run_from_argv(self, argv: Sequence[str]) -> None:
        """For ``manage.py``: Django's parser would take our options for its own."""
        sys.exit(run(own_words(argv[2:])))

    def handle(self, *args: Any, **options: Any) -> None:
        """For ``call_command("jobs", "status")``.

        Raises:
            SystemExit: the command failed, with its exit code.
        """
        code = run([*args, *options["words"]])
        if code:
            sys.exit(code)


def own_words(words: Sequence[str]) -> list[str]:
    """The words without the options that Django has read, which may stand anywhere."""
    left, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        if word in _WITH_VALUE:
            del rest[:1]
        elif word not in _FLAGS and not word.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            left.append(word)
    return left


def run(words: Sequence[str]) -> int:
    """Run one command line in this process; returns its exit code."""
    from admin_cli.main import run as run_command
    from admin_cli.terminal import streams

    # A worker sets Django up, whatever else it imports.
    if given := os.environ.get(IMPORTS):
        os.environ[IMPORTS] = ",".join([WORKER, *(one for one in given.split(",") if one != WORKER)])
    streams.hold_standard_streams()
    # Processes that the command forks must not share them.
    connections.close_all()
    return run_command(with_imports(words))


def with_imports(words: Sequence[str]) -> list[str]:
    """``--import`` replaces the modules of the settings, so Django's module goes first."""
    for place, word in enumerate(words):
        if word == "--import" or word.startswith("--import="):
            return [*words[:place], "--import", WORKER, *words[place:]]
    return list(words)
