"""One metrics page for all processes of a worker, dead ones included.

Needs neither the application nor the ledger: the supervisor serves it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

PREFIX = "jobs-metrics-"
LEFT_BEHIND_SECONDS = 60
"""An unlocked folder of this age was left by a supervisor that was killed."""


class CountsFolder(Collector):
    """A private folder of counts. The files of dead processes are added up and removed."""

    def __init__(self) -> None:
        _remove_left_behind()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))  # Only this user may enter it (0700).
        # Shows other supervisors, and programs that clean temporary folders, that it is in use.
        self._lock_fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        self._using = threading.Lock()
        registry = CollectorRegistry()
        registry.register(self)
        self._registry = registry

    def page(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return bytes(generate_latest(self._registry))

    def collect(self) -> Iterable[Metric]:
        with self._using:
            self._merge()
            # A file is empty for a moment while it is created.
            files = [str(file) for file in self.path.glob("*.db") if file.stat().st_size]
            return list(MultiProcessCollector.merge(files, accumulate=True))

    def describe(self) -> Iterable[Metric]:
        return []

    def merge_dead_files(self) -> None:
        """Add up the files of dead processes, so that they do not pile up between scrapes."""
        with self._using:
            self._merge()

    def close(self) -> None:
        """Remove the folder."""
        with self._using:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock_fd)

    def _merge(self) -> None:
        for file in self.path.glob("*_*-*.db"):
            kind, _, rest = file.name.partition("_")
            if not _is_alive(int(rest.partition("-")[0])):
                self._merge_into(kind, file)

    def _merge_into(self, kind: str, file: Path) -> None:
        sum_of_dead = MmapedDict(str(self.path / f"{kind}_folded.db"))
        try:
            if file.stat().st_size:
                for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                    sum_of_dead.write_value(key, sum_of_dead.read_value(key)[0] + value, 0.0)
            file.unlink()
        finally:
            sum_of_dead.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove_left_behind() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            facts = folder.lstat()
            if facts.st_uid != os.getuid() or _age_seconds(folder) < LEFT_BEHIND_SECONDS:
                continue
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(fd)


def _age_seconds(folder: Path) -> float:
    # By the clock that stamped the folder: that of its file system.
    with tempfile.TemporaryFile(dir=folder.parent) as now:
        return os.fstat(now.fileno()).st_mtime - folder.lstat().st_mtime
