"""A TCP proxy for a server: it drops, delays, repeats and truncates replies, or loses connections silently."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from random import Random
from urllib.parse import urlsplit, urlunsplit

DELAY_SECONDS = 3.0
SILENT_SECONDS = 5.0
"""How long a connection whose reply was dropped stays silent before it is closed. TCP loses no bytes: lost packets
make a connection silent, and then end it."""
FAULTS = ("drop", "delay", "duplicate", "cut")


class FaultyProxy:
    """Forwards bytes; while ``is_faulty``, one reply in ``1 / chance`` gets one of the four faults.

    A further one, ``at once twice``, repeats a reply so that the client reads both together.
    """

    def __init__(self, url: str, rng: Random, *, chance: float = 0.01, faults: Sequence[str] = FAULTS) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._rng, self._chance, self._faults = rng, chance, faults
        self.is_faulty = False
        self.made: Counter[str] = Counter()
        self._forgotten = 0
        """Connections that began before the so-many-th time are open, and nothing passes."""
        # Kept here, since the loop has only weak references: tasks that wait for something of their own are collected.
        self._never = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(self._listen())
        port = self._server.sockets[0].getsockname()[1]
        user = f"{parts.username}@" if parts.username else ""
        self.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))

    def forget(self) -> None:
        """Act like a firewall that has lost its state: open connections receive nothing any more, without an error.

        Bytes that were just sent do not arrive either. The server notices after a while, since it probes its peers.
        """
        self._forgotten += 1

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _end(self) -> None:
        self._server.close()
        # Repeat, since a connection accepted just before may not have started yet.
        while others := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        since = self._forgotten
        ways = [
            asyncio.ensure_future(self._pass(reader, server_writer, since, is_reply=False)),
            asyncio.ensure_future(self._pass(server_reader, writer, since, is_reply=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # The proxy is closed, so asyncio's message for each connection is noise.
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, server_writer):
                end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, since: int, *, is_reply: bool
    ) -> None:
        while data := await reader.read(65536):
            if self._forgotten != since:
                break
            fault = None
            if is_reply and self.is_faulty and self._rng.random() < self._chance:
                fault = self._rng.choice(self._faults)
                self.made[fault] += 1
            if fault == "drop":
                await asyncio.sleep(SILENT_SECONDS)
                return
            if fault == "delay":
                await asyncio.sleep(DELAY_SECONDS)
            if fault == "at once twice":
                data *= 2
            writer.write(data[: len(data) // 2] if fault == "cut" else data)
            if fault == "duplicate":
                writer.write(data)
            await writer.drain()
            if fault == "cut":
                return
        if self._forgotten != since:
            if not is_reply:
                # The server sends keepalives to its peer, and gets no answer.
                await asyncio.sleep(SILENT_SECONDS)
                writer.close()
            await self._never.wait()
