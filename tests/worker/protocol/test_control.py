from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from worker.protocol.control import MAX_BYTES, Control


@pytest.fixture
def ends() -> Iterator[tuple[Control, Control]]:
    one, other = map(Control, socket.socketpair())
    yield one, other
    one.close()
    other.close()


def test_messages_arrive_whole_and_in_order(ends: tuple[Control, Control]) -> None:
    one, other = ends

    one.send(do="stop", seconds=2.5)
    one.send(do="clean_up", dead_processes=[{"name": "ä\n"}])

    assert other.receive() == [{"do": "stop", "seconds": 2.5}, {"do": "clean_up", "dead_processes": [{"name": "ä\n"}]}]
    assert other.receive() == []


def test_a_message_larger_than_the_socket_arrives_without_blocking_the_sender(
    ends: tuple[Control, Control],
) -> None:
    one, other = ends
    text = "x" * (MAX_BYTES // 2)

    assert one.send(say=text)

    assert one.has_unsent
    received = []
    while not received:
        received = other.receive()
        one.flush()
    assert received == [{"say": text}]


def test_a_peer_that_reads_nothing_is_refused_more_at_the_limit(ends: tuple[Control, Control]) -> None:
    one, _ = ends
    text = "x" * (MAX_BYTES // 4)

    taken = [one.send(say=text) for _ in range(6)]

    assert taken[0]
    assert not taken[-1]
    assert not one.closed


def test_the_last_messages_of_a_dead_peer_are_read_before_its_end(ends: tuple[Control, Control]) -> None:
    one, other = ends
    one.send(say="cleaned_up", name="p")
    one.close()

    assert other.send(do="ping") in (True, False)
    assert other.receive() == [{"say": "cleaned_up", "name": "p"}]
    assert other.closed
    assert not other.send(do="ping")


def test_half_a_line_and_a_line_that_is_no_message_are_ignored() -> None:
    raw, line = socket.socketpair()
    control = Control(line)
    raw.sendall(b'garbage\n[1]\n{"say": "pong"}\n{"say": "po')
    raw.close()

    assert control.receive() == [{"say": "pong"}]
    assert control.closed
    control.close()


def test_a_message_ends_the_wait(ends: tuple[Control, Control]) -> None:
    one, other = ends
    threading.Timer(0.05, one.send, kwargs={"do": "ping"}).start()

    assert other.receive(wait_seconds=10) == [{"do": "ping"}]


def test_threads_may_send_at_once(ends: tuple[Control, Control]) -> None:
    one, other = ends
    threads = [
        threading.Thread(target=lambda n=number: [one.send(say="progress", n=n) for _ in range(200)])
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    heard = []
    while len(heard) < 800:
        heard += other.receive(wait_seconds=1)
        one.flush()
    for thread in threads:
        thread.join()

    assert [sum(said["n"] == number for said in heard) for number in range(4)] == [200] * 4
