"""What every DVC remote promises to who restores: local folder, S3 and SSH, each the real thing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.errors import ObjectLost, RemoteFailed
from anchored.ports import Silent
from anchored.records import Pointer
from tests.contract.remotes import (
    QUIET,
    S3,
    Remote,
    children,
    filled_folder,
    forget,
    made,
    port_of,
    store,
)
from tests.repos import Repo
from tests.services.proxy import Proxy

OBJECTS = 6  # in the remote, without the folder's listing


@pytest.fixture(params=["local", "s3", "ssh"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    return made(request.param, request, tmp_path)


@pytest.fixture
def pushed(remote: Remote, repo: Repo) -> tuple[Pointer, Pointer]:
    """A folder of six files, two of them alike, and a file of 40 MB; the cache is cold."""
    remote.use(repo)
    repo.write("data/large.bin", os.urandom(40_000_000))
    folder = store(repo).add(filled_folder(repo), "data/set", QUIET)
    file = store(repo).add(repo.root / "data/large.bin", "data/large.bin", QUIET)
    store(repo).push([folder, file], QUIET)
    names = children(repo, folder)
    forget(repo)
    assert len(names) == 5
    return folder, file


def assert_same(repo: Repo, to: Path) -> None:
    for source in (*(repo.root / "data/set").rglob("*.bin"), repo.root / "data/large.bin"):
        copy = to / source.relative_to(repo.root)
        assert copy.read_bytes() == source.read_bytes()
        assert copy.stat().st_nlink == 1
        assert copy.stat().st_mode & 0o200


class Cutting(Silent):
    """Cuts the connections once the first object has come from the remote."""

    def __init__(self, between: Proxy) -> None:
        self._between, self._is_cut = between, False

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None:
        if not self._is_cut and not unit and (what, total) == ("restoring", OBJECTS) and done:
            self._is_cut = True
            self._between.refuse()


def test_what_is_pushed_is_handed_out_whole(
    pushed: tuple[Pointer, Pointer],
    remote: Remote,
    repo: Repo,
    tmp_path: Path,
    proxy: Callable[[int], Proxy],
) -> None:
    from_a_cold_cache_it_comes_straight_from_the_remote(pushed, repo, tmp_path / "first")
    if remote.server is not None:  # a folder has no connection
        forget(repo)
        between = proxy(port_of(remote))
        what_a_lost_connection_left_is_completed(pushed, remote, repo, tmp_path / "cut", between)
    forget(repo)
    an_object_that_is_lost_is_named_and_all_else_is_there(pushed, remote, repo, tmp_path / "lost")


def from_a_cold_cache_it_comes_straight_from_the_remote(
    pushed: tuple[Pointer, Pointer], repo: Repo, to: Path
) -> None:
    files = store(repo).export(pushed, to, QUIET)
    assert_same(repo, to)
    for file in files:
        content = (to / file.path).read_bytes()
        assert (hashlib.md5(content).hexdigest(), len(content)) == (file.md5, file.size)
    cached = [f for f in (repo.root / ".dvc/cache/files").rglob("*") if f.is_file()]
    assert [f.suffix for f in cached] == [".dir"], "the cache holds the listing, and no more"


def what_a_lost_connection_left_is_completed(
    pushed: tuple[Pointer, Pointer], remote: Remote, repo: Repo, to: Path, between: Proxy
) -> None:
    if isinstance(remote, S3):
        remote.s3.configure(repo.root, remote.bucket, port=between.port)  # its bucket is there
    else:
        remote.use(repo, port=between.port)
    one = store(repo)
    with pytest.raises(RemoteFailed) as raised:
        one.export(pushed, to, Cutting(between))
    assert raised.value.transient, raised.value.message
    assert not (to / "data").exists(), "nothing has its name before all is whole"
    between.heal()
    one.export(pushed, to, QUIET)
    assert_same(repo, to)
    assert not list(to.glob(".anchored-*"))


def an_object_that_is_lost_is_named_and_all_else_is_there(
    pushed: tuple[Pointer, Pointer], remote: Remote, repo: Repo, to: Path
) -> None:
    folder, file = pushed
    store(repo).fetch([folder], QUIET)
    rotten = children(repo, folder)[1]
    forget(repo)
    whole = remote.read(rotten)
    remote.write(rotten, bytes(len(whole)))
    remote.delete(file.md5)
    with pytest.raises(ObjectLost) as raised:
        store(repo).export(pushed, to, QUIET)
    assert f"lacks object {file.md5} of data/large.bin" in raised.value.message
    assert f"holds, corrupt, object {rotten} of data/set/" in raised.value.message
    there = [f for f in (to).rglob("*") if f.is_file()]
    for name in there:
        assert name.read_bytes() == (repo.root / name.relative_to(to)).read_bytes()
    assert len(there) in (4, 5), "one file, or two alike, are corrupt"
    remote.write(rotten, whole)
    store(repo).export([folder], to, QUIET)
    again = store(repo).add(repo.root / "data/large.bin", "data/large.bin", QUIET)
    store(repo).push([again], QUIET)
    store(repo).export(pushed, to, QUIET)
    assert_same(repo, to)
