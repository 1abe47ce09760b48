"""One server process in a folder of its own, which does not outlive its maker. Linux and macOS.

It belongs to the process that made it: that process may stop, kill, freeze and restart it. A small shell
waits for its maker's end, whatever the end (``kill -9`` too), then ends the server and removes the folder.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess as sp
import tempfile
import time
from pathlib import Path
from typing import Any
from weakref import WeakSet

# TMPDIR may be closed to the user PostgreSQL runs as, and too long for the name of a socket.
SHORT_TMP = "/tmp" if os.access("/tmp", os.W_OK) else None
START_WITHIN_SECONDS = 30.0

# The server's own shell writes the pid: there is no moment at which it runs and its reaper does not know it.
_LAUNCH = 'echo $$ >pid && exec "$@"'
# A killed PostgreSQL's own children write into the folder until they see that it is dead, so it is removed
# until it is gone.
_REAP = """cat >/dev/null; read pid <pid
if [ -n "$pid" ]; then
  kill -CONT "$pid"; kill -INT "$pid"; n=0
  while kill -0 "$pid" && [ $n -lt 20 ]; do sleep 0.1; n=$((n+1)); done; kill -KILL "$pid"
fi; cd /; n=0
while [ -e "$1" ] && [ $n -lt 100 ]; do rm -rf "$1" || sleep 0.1; n=$((n+1)); done"""


_made: WeakSet[Server] = WeakSet()


def pids() -> list[int]:
    """The processes of the servers of this process, and the shells that wait to end them."""
    return [one.pid for server in _made for one in (server.process, server._reaper) if one is not None]


class Server:
    """Made stopped; ``start`` it. ``url`` never changes."""

    is_ours = True

    def __init__(self, name: str, **popen: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"jobs-{name}-", dir=SHORT_TMP))
        self.popen = popen
        self.process: sp.Popen[bytes] | None = None
        self.port = free_port()
        self.url = ""
        self._is_up = False
        """It answered, and nobody has sent it a signal since."""
        self._maker = os.getpid()
        self._reaper = sp.Popen(
            ["sh", "-c", _REAP, "sh", self.folder],
            cwd=self.folder, stdin=sp.PIPE, stderr=sp.DEVNULL, bufsize=0, start_new_session=True,
        )  # fmt: skip
        _made.add(self)
        # The pipe closes when this process ends; a forked child must not keep it open.
        os.register_at_fork(after_in_child=self._close_pipe)

    def argv(self) -> list[str | Path]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether our own server answers, not a stranger on the same port."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, or thaw it, and wait until it answers.

        Raises:
            RuntimeError: it did not, with the end of its log.
        """
        if self._is_up and self.process is not None and self.process.poll() is None:
            return
        deadline = time.monotonic() + START_WITHIN_SECONDS
        while time.monotonic() < deadline:
            # Again when it died: after a crash the old shared memory may still be held.
            if self.process is None or self.process.poll() is not None:
                with open(self.folder / "log", "ab") as log:
                    self.process = sp.Popen(
                        ["sh", "-c", _LAUNCH, "sh", *self.argv()],
                        cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self.popen,
                    )  # fmt: skip
            self.process.send_signal(signal.SIGCONT)
            time.sleep(0.02)
            if self.answers() and self.process.poll() is None:
                self._is_up = True
                return
        raise RuntimeError(f"{self.argv()[0]} did not start: {self.log()[-2000:]}")

    def send(self, sig: signal.Signals) -> None:
        """SIGSTOP freezes it, SIGCONT thaws it."""
        if self.process is None:
            raise RuntimeError("the server was never started")
        self._is_up = False
        self.process.send_signal(sig)

    def stop(self, sig: signal.Signals = signal.SIGINT) -> None:
        """End it and wait; SIGKILL is a crash, SIGQUIT PostgreSQL's immediate stop. ``start`` undoes it."""
        self._is_up = False
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(20)

    def close(self) -> None:
        """End it and remove its folder. Does nothing in a forked child."""
        if os.getpid() == self._maker and self._reaper.poll() is None:
            self.stop()
            (self.folder / "pid").unlink(missing_ok=True)  # the number may be another's by now
            self._close_pipe()
            self._reaper.wait(20)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _close_pipe(self) -> None:
        if self._reaper.stdin is not None:
            self._reaper.stdin.close()


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
