"""A real RabbitMQ of Debian's package, in a folder of its own; tests that need it are skipped without it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.server_process import Server, free_port

BINARY = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

needs_rabbit = pytest.mark.skipif(
    not BINARY.exists() or shutil.which("erl") is None, reason="RabbitMQ is missing: apt-get install rabbitmq-server"
)


class _Names(Server):
    """Erlang's daemon that tells the ports of nodes: a node would start one that outlives the test."""

    def argv(self) -> list[str | Path]:
        return ["epmd", "-port", str(self.port), "-address", "127.0.0.1"]

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class RabbitServer(Server):
    """One node without plugins."""

    def __init__(self) -> None:
        # Its scripts find their settings in the environment.
        super().__init__("rabbit")
        self._names = _Names("epmd")
        name = f"jobs-{self.port}@localhost"
        (self.folder / "enabled_plugins").write_text("[].")
        self.popen["env"] = {
            **os.environ,
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(self._names.port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "rabbit.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_DEFAULT_USER": "guest",
            "RABBITMQ_DEFAULT_PASS": "guest",
        }
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def argv(self) -> list[str | Path]:
        return [BINARY]

    def start(self) -> None:
        self._names.start()
        super().start()

    def send(self, sig: signal.Signals) -> None:
        super().send(sig)
        assert self.process is not None
        os.killpg(self.process.pid, sig)  # The node is a child of the script.

    def close(self) -> None:
        super().close()
        self._names.close()

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.settimeout(2)
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) == b"\x01"
        except OSError:
            return False
