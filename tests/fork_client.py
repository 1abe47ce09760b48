"""Passes a command to ``tests/fork_server.py`` and ends as it ends: ``fork_client.py SOCKET MODULE ARGUMENT…``."""

from __future__ import annotations

import os
import signal
import socket
import sys

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(sys.argv[1])
    for number in FORWARDED:
        signal.signal(number, lambda number, frame: server.send(str(int(number)).encode()))
    parts = [os.getcwd(), str(len(sys.argv) - 2), *sys.argv[2:], *(f"{k}={v}" for k, v in os.environ.items())]
    socket.send_fds(server, ["\0".join(parts).encode("utf-8", "surrogateescape")], [0, 1, 2])
    code = int(server.recv(16) or -signal.SIGKILL)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
