"""--timeout interrupts a command wherever it is."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta

import pytest

from admin_cli.program.options import OutOfTime, time_limit


class Slow:
    """Its cleanup runs when the time is over."""

    def __del__(self) -> None:
        threading.Event().wait(20)


def test_a_block_that_swallows_the_timeout_is_interrupted_again() -> None:
    hook = sys.unraisablehook
    cleared = []

    def command() -> None:
        with time_limit(timedelta(milliseconds=50)):
            held = Slow()
            del held
            cleared.append(True)
            threading.Event().wait(20)

    with pytest.raises(OutOfTime):
        command()

    assert cleared
    assert sys.unraisablehook is hook


def test_a_block_that_is_in_time_is_left_alone() -> None:
    with time_limit(timedelta(seconds=60)):
        pass
