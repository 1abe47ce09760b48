from __future__ import annotations

from pathlib import Path

import pytest

from jobs.database.sqlite import file
from jobs.database.sqlite.file import network_file_system, refuse_network_file_system
from jobs.errors import ConfigurationError


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder; what is written into ``mounts`` beside it is what the kernel seems to have mounted."""
    monkeypatch.setattr(file, "MOUNTS", tmp_path / "mounts")
    return tmp_path


def mount(place: Path, *rows: str) -> None:
    text = "".join(row.replace("HERE", str(place.resolve())) + " 0 0\n" for row in rows)
    (place / "mounts").write_text(text)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs", "ceph"])
def test_a_network_file_system_is_refused_with_its_name_and_the_way_out(mounted: Path, kind: str) -> None:
    mount(mounted, "/dev/sda / ext4 rw", f"server:/x HERE {kind} rw")

    with pytest.raises(ConfigurationError, match=rf"network file system \({kind}\), .*local disk.*PostgreSQL"):
        refuse_network_file_system(mounted / "not" / "there" / "yet.db")


def test_the_deepest_mount_decides_and_of_two_in_one_place_the_later(mounted: Path) -> None:
    mount(mounted, "s:/x / nfs rw", "/dev/sda HERE ext4 rw", "s:/x HERE/deep nfs rw", "none HERE/deep tmpfs rw")

    assert network_file_system(mounted / "jobs.db") is None
    assert network_file_system(mounted / "deep" / "jobs.db") is None
    assert network_file_system("/elsewhere/jobs.db") == "nfs"


def test_a_mount_whose_name_only_begins_alike_does_not_count(mounted: Path) -> None:
    mount(mounted, "/dev/sda / ext4 rw", "s:/x HERE/da nfs rw")

    assert network_file_system(mounted / "data" / "jobs.db") is None


def test_a_mount_point_with_a_space_is_read(mounted: Path) -> None:
    mount(mounted, "/dev/sda / ext4 rw", r"s:/x HERE/my\040files nfs rw")

    assert network_file_system(mounted / "my files" / "jobs.db") == "nfs"


def test_a_link_is_followed_to_where_the_file_really_is(mounted: Path) -> None:
    (mounted / "real").mkdir()
    (mounted / "link").symlink_to(mounted / "real")
    mount(mounted, "/dev/sda / ext4 rw", "s:/x HERE/real nfs rw")

    assert network_file_system(mounted / "link" / "jobs.db") == "nfs"


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("rw,aname=drvfs;path=C:\\,trans=fd", "9p"),
        ("rw,trans=virtio,version=9p2000.L", "9p"),
        ("rw,trans=fd,rfdno=4,wfdno=4", None),
    ],
)
def test_9p_is_refused_where_it_is_a_share_and_not_a_sandbox_of_its_own(
    mounted: Path, options: str, answer: str | None
) -> None:
    mount(mounted, f"none HERE 9p {options}")

    assert network_file_system(mounted / "jobs.db") == answer


def test_without_a_table_of_mounts_nothing_is_refused(mounted: Path) -> None:
    refuse_network_file_system(mounted / "jobs.db")
