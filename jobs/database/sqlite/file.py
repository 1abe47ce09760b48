"""Checks that a SQLite file is on a local disk of this host, and creates it with private permissions.

Over a network the locks and the shared memory that WAL needs do not reach the other hosts, and a ledger is silently
damaged. File systems are known on Linux only, from the mount table; elsewhere nothing is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from jobs.errors import ConfigurationError

MOUNTS = Path("/proc/self/mounts")

NETWORK = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "davfs"),
        *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2"),
        *("vboxsf", "prl_fs", "vmhgfs", "fuse.vmhgfs-fuse", "fuse.grpcfuse"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.juicefs", "fuse.davfs2"),
        *("fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.mount-s3"),
    }
)
"""File systems that more than one kernel may write. Source: sqlite.org/wal.html, *not over a network*."""

_SHARED_9P = re.compile(r"\b(drvfs|trans=(tcp|virtio|rdma|xen))\b")
"""9p is a share of another kernel (WSL's drives, QEMU), but also how some sandboxes mount their own root."""


def refuse_network_file_system(path: str | os.PathLike[str]) -> None:
    """Refuse to place a SQLite ledger at ``path`` on a network file system; the file need not exist yet.

    Raises:
        ConfigurationError: it would be on a network file system.
    """
    kind = network_file_system(path)
    if kind is not None:
        raise ConfigurationError(
            f"The ledger {os.fspath(path)} is on a network file system ({kind}), where it would be damaged.",
            hint="Put it on a local disk, or use PostgreSQL: JOBS_DATABASE_URL=postgresql://…",
        )


def network_file_system(path: str | os.PathLike[str]) -> str | None:
    """The type of the network file system of ``path``; None if it is not on a known one."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = Path(os.path.realpath(path))
    found, depth = None, -1
    for line in lines:
        _, mount_point, kind, options, *_ = line.split(" ")
        mount = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), mount_point))
        # The deepest mount above the file is its own; of two at the same place the later hides the earlier.
        if len(mount.parts) >= depth and place.is_relative_to(mount):
            depth = len(mount.parts)
            found = kind if kind in NETWORK or (kind == "9p" and _SHARED_9P.search(options)) else None
    return found


def make_private(path: str | os.PathLike[str], *, for_group: bool) -> None:
    """Make an empty file at ``path`` that only this user may open, if there is none; SQLite fills it.

    SQLite itself would let every user read it, and its side files take the mode of the file. ``for_group``: the group
    of the folder may read and write too. An existing file stays unchanged: opening and closing it would drop the locks
    that this process has on it.
    """
    place = Path(path)
    try:
        file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return  # It exists; or it cannot be made, and SQLite will report why.
    try:
        with contextlib.suppress(AttributeError):  # Windows has neither.
            os.fchmod(file, 0o660 if for_group else 0o600)
            if for_group:
                os.fchown(file, -1, place.parent.stat().st_gid)
    except OSError as error:
        place.unlink()
        raise ConfigurationError(
            f"The ledger {place} cannot be given to the group of its folder: {error.strerror}.",
            hint="Be a member of that group, or unset JOBS_SQLITE_GROUP.",
        ) from error
    finally:
        os.close(file)
