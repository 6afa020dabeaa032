"""URLs and options: what is opened, and what is refused with which words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from patterns.errors import Misuse
from patterns.stores import open_store
from patterns.stores.sqlite.filesystem import network_type
from patterns.testing import ManualClock

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/export /mnt/nfs nfs4 rw 0 0
/dev/vdb /mnt/nfs/scratch xfs rw 0 0
//host/share /mnt/with\\040blank cifs rw 0 0
tmpfs /both tmpfs rw 0 0
host /both 9p rw 0 0
me@host: /ssh fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres", "known are memory://, sqlite://"),
        ("mysql://host/db", "known are memory://, sqlite://"),
        ("agent.db", 'right: open_store("sqlite:///agent.db")'),
        ("memory://name", "share the object"),
        ("sqlite://", 'right: open_store("sqlite:///agent.db")'),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://agent.db", 'right: open_store("sqlite:///agent.db")'),
    ],
)
def test_a_wrong_url_is_told_apart(url: str, words: str):
    """The error shows the right line."""
    with pytest.raises(Misuse) as caught:
        open_store(url)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": 3}, "it takes clock, busy_timeout, allow_network_file_system"),
        ({"busy_timeout": -1}, "busy_timeout must be seconds"),
        ({"busy_timeout": 0}, "busy_timeout must be longer than zero"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_made(options: dict, words: str, tmp_path: Path):
    """Unknown options are named with the known ones, and no file appears."""
    with pytest.raises(Misuse) as caught:
        open_store(f"sqlite:///{tmp_path}/a.db", **options)
    assert words in str(caught.value)
    assert [] == list(tmp_path.iterdir())


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Changing the directory afterwards does not change the file."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    store = open_store("sqlite:///a.db", busy_timeout=timedelta(seconds=1))
    monkeypatch.chdir(tmp_path / "two")
    assert store.cells.read("a") is None
    assert ("sqlite:///a.db", True, []) == (store.url, (tmp_path / "one/a.db").exists(), list(Path().iterdir()))
    store.close()


@pytest.mark.parametrize("name", ["with blank.db", "ünï.db", "100%.db", "a?mode=ro&x#y.db"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path):
    """The path is taken literally, without escapes."""
    store = open_store(f"sqlite:///{tmp_path}/{name}")
    store.close()
    assert [name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/a.db"])
def test_the_clock_is_handed_in(url: str, tmp_path: Path):
    """`now` is the wall clock given."""
    clock = ManualClock(wall=5.0)
    store = open_store(url.format(tmp_path), clock=clock)
    clock.advance(2.5)
    assert 7.5 == store.cells.now()
    store.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/agent.db", None),
        ("/mnt/nfs/agent.db", "nfs4"),
        ("/mnt/nfsother/agent.db", None),
        ("/mnt/nfs/scratch/agent.db", None),
        ("/mnt/with blank/agent.db", "cifs"),
        ("/both/agent.db", "9p"),
        ("/ssh/deep/agent.db", "fuse.sshfs"),
    ],
)
def test_network_file_systems_are_recognised(path: str, kind: str | None, tmp_path: Path):
    """By the innermost mount, and of two on one point the later."""
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert kind == network_type(Path(path), mounts)


def test_without_a_list_of_mounts_nothing_is_recognised(tmp_path: Path):
    """On other systems the user has to know."""
    assert network_type(tmp_path, tmp_path / "absent") is None


def test_a_network_file_system_is_refused_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error names its type and the option."""
    monkeypatch.setattr("patterns.stores.sqlite.network_type", lambda _path: "nfs4")
    with pytest.raises(Misuse, match=r"\(nfs4\).*(\n.*)*allow_network_file_system=True"):
        open_store(f"sqlite:///{tmp_path}/a.db")
    assert [] == list(tmp_path.iterdir())
    open_store(f"sqlite:///{tmp_path}/a.db", allow_network_file_system=True).close()
