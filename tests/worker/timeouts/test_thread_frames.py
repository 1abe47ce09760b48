"""Looking at other threads never stops the process."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from worker.timeouts.thread_frames import Uncollected, frame_of

ROOT = Path(__file__).parents[3]

LOOKS_WHILE_COLLECTING = """
import gc, sys, threading, time
from worker.timeouts.thread_frames import frame_of
from worker.timeouts.interrupt import clear

gc.callbacks.append(lambda phase, info: time.sleep(0))  # gives the global lock away in the middle of a collection
gc.set_threshold(1, 1, 1)
done = threading.Event()

def touch_the_list():
    while not done.is_set():
        clear(threading.get_ident())

def deep(n):
    return deep(n - 1) if n else touch_the_list()

threads = [threading.Thread(target=deep, args=[20], daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(30):
    look(threads[0].ident)
done.set()
print("came to its end")
"""


def come_to_an_end(look: str, seconds: float) -> bool:
    child = subprocess.Popen(
        [sys.executable, "-c", LOOKS_WHILE_COLLECTING.replace("look(", look + "(")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        out, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    finally:
        child.kill()
        child.communicate()
    return out == b"came to its end\n"


def test_a_garbage_collection_while_frames_are_read_does_not_hang_the_process() -> None:
    assert come_to_an_end("frame_of", seconds=90)


def test_garbage_collection_is_restored_after_frames_are_read() -> None:
    assert gc.isenabled()

    frame_of(threading.get_ident())

    assert gc.isenabled()


def test_garbage_collection_that_the_application_disabled_stays_disabled() -> None:
    gc.disable()
    try:
        frame_of(threading.get_ident())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_garbage_collection_is_restored_when_reading_frames_fails() -> None:
    with pytest.raises(ZeroDivisionError), Uncollected():
        _ = 1 / 0

    assert gc.isenabled()


def test_the_frame_is_the_one_in_which_the_thread_stands() -> None:
    assert frame_of(threading.get_ident()) is not None
    assert frame_of(-1 % 2**32) is None
