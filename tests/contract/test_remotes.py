"""What every DVC remote promises to a run: a local folder, S3 and SSH, each the real thing."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from anchored.errors import NotReady, RemoteFailed
from anchored.records import Pointer
from tests.contract.remotes import QUIET, Remote, children, filled_folder, forget, made, store
from tests.repos import Repo


@pytest.fixture(params=["local", "s3", "ssh"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    return made(request.param, request, tmp_path)


@pytest.fixture
def folder(repo: Repo) -> Path:
    """Six files of 60 KB, one of them in a subfolder, and two alike."""
    return filled_folder(repo)


def test_what_was_pushed_is_there_and_what_was_lost_is_sent_again(
    remote: Remote, repo: Repo, folder: Path
) -> None:
    remote.use(repo)
    one = store(repo)
    one.probe_remote()
    assert remote.objects() == set(), "a probe leaves nothing behind"
    pointer = one.add(folder, "data/set", QUIET)
    nothing_is_sent_twice(remote, repo, pointer)
    an_object_deleted_behind_the_back_of_dvc_is_sent_again(remote, repo, pointer)
    an_object_cut_short_in_the_remote_is_sent_again(remote, repo, pointer)


def nothing_is_sent_twice(remote: Remote, repo: Repo, pointer: Pointer) -> None:
    outcome = store(repo).push([pointer], QUIET)
    assert (outcome.objects, outcome.sent) == (6, 6)
    assert remote.objects() == {pointer.md5, *children(repo, pointer)}
    for md5 in remote.objects():
        assert hashlib.md5(remote.read(md5)).hexdigest() == md5.removesuffix(".dir")
    again = store(repo).push([pointer], QUIET)
    assert (again.objects, again.sent) == (6, 0)


def an_object_deleted_behind_the_back_of_dvc_is_sent_again(
    remote: Remote, repo: Repo, pointer: Pointer
) -> None:
    one = store(repo)
    assert one.push([pointer], QUIET).sent == 0
    gone = children(repo, pointer)[2]
    remote.delete(gone)
    assert one.push([pointer], QUIET).sent == 1, "by the same store, which has asked before"
    remote.delete(pointer.md5)
    assert store(repo).push([pointer], QUIET).sent == 1
    assert {gone, pointer.md5} <= remote.objects()


def an_object_cut_short_in_the_remote_is_sent_again(
    remote: Remote, repo: Repo, pointer: Pointer
) -> None:
    torn = children(repo, pointer)[0]
    whole = remote.read(torn)
    remote.write(torn, whole[:100])
    assert store(repo).push([pointer], QUIET).sent == 1
    assert remote.read(torn) == whole


def test_a_cold_cache_is_filled_with_the_same_bytes_and_never_with_corrupt_ones(
    remote: Remote, repo: Repo, folder: Path, tmp_path: Path
) -> None:
    remote.use(repo)
    file = store(repo).add(repo.root / "data/numbers.csv", "data/numbers.csv", QUIET)
    pointer = store(repo).add(folder, "data/set", QUIET)
    store(repo).push([pointer, file], QUIET)
    forget(repo)
    fresh = store(repo)
    assert fresh.fetch([pointer, file], QUIET) == 7
    assert fresh.fetch([pointer, file], QUIET) == 0
    fresh.checkout([pointer, file], tmp_path / "tree", QUIET)
    for source in (*folder.rglob("*.bin"), repo.root / "data/numbers.csv"):
        copy = tmp_path / "tree" / source.relative_to(repo.root)
        assert copy.read_bytes() == source.read_bytes()
    a_corrupt_object_is_named_and_never_used(remote, repo, pointer)


def a_corrupt_object_is_named_and_never_used(remote: Remote, repo: Repo, pointer: Pointer) -> None:
    rotten = children(repo, pointer)[1]
    content = remote.read(rotten)
    remote.write(rotten, bytes(len(content)))
    forget(repo)
    for _ in range(2):  # the second try finds what the first has left
        with pytest.raises(RemoteFailed, match=f"corrupt, object {rotten}") as raised:
            store(repo).fetch([pointer], QUIET)
        assert not raised.value.transient
    remote.delete(rotten)
    with pytest.raises(RemoteFailed, match=f"lacks object {rotten}"):
        store(repo).fetch([pointer], QUIET)


def test_a_remote_that_refuses_is_not_ready(remote: Remote, repo: Repo, folder: Path) -> None:
    remote.refuse(repo)
    begun = time.monotonic()
    with pytest.raises(NotReady) as raised:
        store(repo).probe_remote()
    assert raised.value.hint
    pointer = store(repo).add(folder, "data/set", QUIET)
    with pytest.raises((NotReady, RemoteFailed)) as raised:
        store(repo).push([pointer], QUIET)
    assert not getattr(raised.value, "transient", False)
    assert time.monotonic() - begun < 20


def test_a_long_question_is_answered_by_one_listing(
    remote: Remote, repo: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchored.adapters.dvc.object_database.LISTED_FROM", 1)
    remote.use(repo)
    one = store(repo)
    pointer = one.add(folder, "data/set", QUIET)
    assert one.push([pointer], QUIET).sent == 6
    assert one.push([pointer], QUIET).sent == 0
    remote.delete(children(repo, pointer)[0])
    assert one.push([pointer], QUIET).sent == 1
