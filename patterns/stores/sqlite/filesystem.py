"""Which file systems keep their locks between machines, or not at all: nothing SQLite could rely on."""

from __future__ import annotations

from pathlib import Path

__all__ = ["network_type"]

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.davfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.grpcfuse",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "prl_fs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    ]
)


def network_type(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the network file system that *path*, resolved, is on; None if none is recognised."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None  # not Linux: nothing is recognised
    best, kind = 0, ""
    for line in lines:
        _device, point, each, *_rest = line.split(" ")
        mount = Path(_unescape(point))
        if path.is_relative_to(mount) and len(mount.parts) >= best:  # of two on one point the later one is seen
            best, kind = len(mount.parts), each
    return kind if kind in _NETWORK else None


def _unescape(point: str) -> str:
    """Undo the octal escapes of blanks and backslashes."""
    for character in " \t\n\\":
        point = point.replace(f"\\{ord(character):03o}", character)
    return point
