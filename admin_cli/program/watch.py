"""Repeats a command's output until Ctrl-C (``--watch``)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from admin_cli.program.options import DURATION
from admin_cli.terminal import streams

if TYPE_CHECKING:
    from jobs.app import App

R = TypeVar("R")


def watch_option(command: Callable[..., R]) -> Callable[..., R]:
    return click.option(
        "-w", "--watch", type=DURATION, is_flag=False, flag_value="2s", metavar="[DURATION]",
        help="Repeat until Ctrl-C (every 2s, or the interval given).",
    )(command)  # fmt: skip


def repeat(app: App, every: timedelta | None, show: Callable[[], Any]) -> None:
    """Call ``show`` once, or repeatedly until Ctrl-C; clears a terminal before each call."""
    while True:
        if every is not None and streams.is_terminal(sys.stdout):
            streams.write("\x1b[H\x1b[2J")
        show()
        streams.flush()
        if every is None:
            return
        app.clock.sleep(every.total_seconds())
