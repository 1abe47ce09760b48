"""K.10: log lines never wait for whoever reads them; what is dropped is counted and told."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.observe import log_format
from jobs.observe.line_writer import ATOMIC_BYTES, MAX_BYTES, LineWriter, pieces

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            pass


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def _tell(lines: int) -> str:
    return f"dropped {lines}\n"


def _read_to_end(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 65536), b""))


def test_a_stalled_reader_blocks_no_writer_and_gets_the_number_of_dropped_lines(pipe: Pipe) -> None:
    reading, writing = pipe
    writer = LineWriter(writing, _tell)
    line = "x" * 999 + "\n"
    sent = 3 * MAX_BYTES // len(line)

    for _ in range(sent):
        writer.put(line)

    assert writer.dropped > 0
    assert not writer.flush(0.05)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(_read_to_end(reading)))
    reader.start()
    assert writer.flush(60)
    writer.put("after\n")
    assert writer.flush(60)
    os.close(writing)
    reader.join(60)
    lines = read[0].decode().splitlines()
    told = [int(one.split()[1]) for one in lines if one.startswith("dropped")]
    assert sum(told) == writer.dropped
    assert lines.count(line.strip()) == sent - writer.dropped
    assert lines[-1] == "after"


def test_lines_of_many_threads_are_whole_and_each_threads_in_order(pipe: Pipe) -> None:
    reading, writing = pipe
    with os.fdopen(writing, "w", closefd=False) as stream:
        log_format.direct_logging(log_level="info", log_format="json", stream=stream)

    def say(name: str) -> None:
        for n in range(500):
            logging.getLogger(name).info("said", extra={"n": n, "padding": "x" * 300})

    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(_read_to_end(reading)))
    reader.start()
    threads = [threading.Thread(target=say, args=(f"shop.{n}",)) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    logging.getLogger().handlers[0].flush()
    os.close(writing)
    reader.join(60)

    found = [json.loads(one)["n"] for one in read[0].splitlines()]
    assert sorted(found) == sorted([*range(500)] * 4)


def test_a_closed_reader_fails_no_writer(pipe: Pipe) -> None:
    reading, writing = pipe
    writer = LineWriter(writing, _tell)
    os.close(reading)

    writer.put("one\n")

    assert writer.flush(60)


@pytest.mark.parametrize("sizes", [[10], [ATOMIC_BYTES], [ATOMIC_BYTES + 1], [100] * 200, [3 * ATOMIC_BYTES, 5], []])
def test_pieces_are_whole_lines_and_no_larger_than_a_pipe_keeps_whole(sizes: list[int]) -> None:
    data = b"".join(b"x" * (size - 1) + b"\n" for size in sizes)

    found = pieces(data)

    assert b"".join(found) == data
    assert all(one.endswith(b"\n") and (len(one) <= ATOMIC_BYTES or one.count(b"\n") == 1) for one in found)


CHILD = """
import logging, os, sys
from jobs.observe import log_format as form
form.direct_logging(log_level="info", log_format="json", stream=sys.stderr)
logging.info("before")
child = os.fork()
if child == 0:
    logging.info("from a forked child")
    os._exit(0)
os.waitpid(child, 0)
logging.info("at the end")
"""


def test_a_forked_child_and_the_last_line_before_the_end_are_written() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=60)

    assert sorted(json.loads(one)["event"] for one in done.stderr.splitlines()) == [
        "at the end",
        "before",
        "from a forked child",
    ]


STALLED = """
import logging, sys
from jobs.observe import log_format as form
form.direct_logging(log_level="info", log_format="json", stream=sys.stderr)
for _ in range(500):
    logging.info("x" * 1000)
print("done", flush=True)
"""


def test_a_process_whose_log_nobody_reads_ends_all_the_same(pipe: Pipe) -> None:
    _, writing = pipe

    done = subprocess.run([sys.executable, "-c", STALLED], stdout=subprocess.PIPE, stderr=writing, timeout=60)

    assert (done.stdout, done.returncode) == (b"done\n", 0)


def test_a_file_gets_a_batch_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    real = os.write

    def write(fd: int, data: memoryview) -> int:
        writes.append(len(data))
        return real(fd, data)

    with open(tmp_path / "log", "wb") as file:
        writer = LineWriter(file.fileno(), _tell)
        monkeypatch.setattr(os, "write", write)
        writer.put("line\n" * 10_000)
        assert writer.flush(60)

    assert writes == [50_000]
    assert (tmp_path / "log").read_text() == "line\n" * 10_000


def test_a_closed_stream_accepts_lines_and_drops_them() -> None:
    log_format.direct_logging(log_level="info", log_format="auto", stream=None)

    logging.getLogger("shop").info("to nobody")
