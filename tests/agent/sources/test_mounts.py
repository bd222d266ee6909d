from __future__ import annotations

import pytest

from agent.sources.mounts import filesystem_of, misses_events

TABLE = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /proc rw,nosuid - proc proc rw
30 21 0:45 / /media rw,relatime shared:9 master:3 - tmpfs tmpfs rw
31 30 0:46 / /media/nas rw,relatime - nfs4 nas:/export rw,vers=4.2
32 30 0:47 / /media/my\040phone rw - fuse.jmtpfs jmtpfs rw
33 21 0:48 / /over rw - ext4 /dev/vdb rw
34 33 0:49 / /over rw - cifs //server/share rw
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind", "silent"),
    [
        ("/home/pictures", "ext4", False),
        ("/media/nas", "nfs4", True),
        ("/media/nas/2024/05", "nfs4", True),
        ("/media/nasty", "tmpfs", False),
        ("/media/my phone/DCIM", "fuse.jmtpfs", True),
        ("/over/there", "cifs", True),
    ],
)
def test_the_nearest_mount_decides(folder: str, kind: str, silent: bool) -> None:
    assert filesystem_of(folder, TABLE) == kind
    assert misses_events(kind) is silent


@pytest.mark.parametrize(
    "kind", ["nfs", "smb3", "9p", "virtiofs", "fuse", "fuse.sshfs", "fuse.grpcfuse", "vboxsf", "drvfs", "fakeowner"]
)
def test_file_systems_that_do_not_report_what_others_change(kind: str) -> None:
    assert misses_events(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk", None])
def test_file_systems_that_do(kind: str | None) -> None:
    assert not misses_events(kind)


def test_without_a_table_nothing_is_known() -> None:
    assert filesystem_of("/home", "") is None
