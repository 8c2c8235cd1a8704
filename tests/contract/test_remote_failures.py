"""Remotes whose server is cut off, silent or killed: nothing hangs, nothing is lost or doubled."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from anchored.errors import RemoteFailed
from anchored.ports import PushOutcome
from tests.contract.remotes import QUIET, S3, Remote, children, filled_folder, made, port_of, store
from tests.proof import assert_sealed
from tests.repos import Repo
from tests.services.proxy import Proxy


@pytest.fixture(params=["s3", "ssh"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """A remote with a server, which can be unreachable."""
    return made(request.param, request, tmp_path)


@pytest.fixture
def folder(repo: Repo) -> Path:
    """Six files of 60 KB, one of them in a subfolder, and two alike."""
    return filled_folder(repo)


def fails_transiently(work: Callable[[], Any]) -> float:
    """Seconds until the work failed with an error that is worth a retry."""
    begun = time.monotonic()
    with pytest.raises(RemoteFailed) as raised:
        work()
    assert raised.value.transient, raised.value.message
    return time.monotonic() - begun


def test_what_had_arrived_before_a_cut_is_not_sent_again(
    served: Remote, repo: Repo, folder: Path, proxy: Callable[[int], Proxy]
) -> None:
    between = proxy(port_of(served))
    served.use(repo, port=between.port)
    pointer = store(repo).add(folder, "data/set", QUIET)
    store(repo).probe_remote()
    between.cut_after(190_000)
    fails_transiently(lambda: store(repo).push([pointer], QUIET))
    arrived = {m for m in served.objects() if hashlib.md5(served.read(m)).hexdigest() == m}
    assert pointer.md5 not in served.objects(), "a listing promises its files"
    between.heal()
    again = store(repo).push([pointer], QUIET)
    assert again.sent == 6 - len(arrived)
    assert arrived, "the cut came too early to show anything"
    assert served.objects() == {pointer.md5, *children(repo, pointer)}


@pytest.mark.parametrize("harm", ["refuse", "blackhole"])
def test_a_remote_that_cannot_be_reached_fails_soon(
    served: Remote, repo: Repo, proxy: Callable[[int], Proxy], harm: str
) -> None:
    between = proxy(port_of(served))
    served.use(repo, port=between.port)
    getattr(between, harm)()
    assert fails_transiently(lambda: store(repo).probe_remote()) < 30


def test_a_server_that_falls_silent_in_a_push_does_not_hang_it(
    served: Remote, repo: Repo, folder: Path, proxy: Callable[[int], Proxy]
) -> None:
    between = proxy(port_of(served))
    served.use(repo, port=between.port)
    one = store(repo)
    one.probe_remote()
    pointer = one.add(folder, "data/set", QUIET)
    between.blackhole()
    assert fails_transiently(lambda: one.push([pointer], QUIET)) < 60
    between.heal()
    store(repo).push([pointer], QUIET)
    assert pointer.md5 in served.objects()


def test_a_server_that_stops_reading_in_an_upload_does_not_hang_it(
    served: Remote, repo: Repo, proxy: Callable[[int], Proxy]
) -> None:
    between = proxy(port_of(served))
    served.use(repo, port=between.port)
    # More than the sockets' buffers take: an upload that fits into them waits for an answer only.
    large = repo.write("data/large.bin", os.urandom(30_000_000))
    one = store(repo)
    pointer = one.add(large, "data/large.bin", QUIET)
    between.stop_reading_after(1_000_000)
    assert fails_transiently(lambda: one.push([pointer], QUIET)) < 60
    assert between.bytes_up > 1_000_000
    assert pointer.md5 not in served.objects()
    between.heal()
    assert store(repo).push([pointer], QUIET).sent == 1
    assert hashlib.md5(served.read(pointer.md5)).hexdigest() == pointer.md5


def test_a_server_killed_in_a_push_and_started_again_gets_the_rest(
    served: Remote, repo: Repo, folder: Path
) -> None:
    served.use(repo)
    assert served.server is not None
    pointer = store(repo).add(folder, "data/set", QUIET)
    early = store(repo).add(repo.root / "data/numbers.csv", "data/numbers.csv", QUIET)
    workspace = store(repo)
    workspace.push([early], QUIET)
    with served.server.down():
        fails_transiently(lambda: workspace.push([pointer], QUIET))
    again = succeeds_in_the_end(lambda: workspace.push([pointer], QUIET))
    assert again.objects == 6, "by the very store that has seen the server die"
    assert served.objects() == {early.md5, pointer.md5, *children(repo, pointer)}
    assert served.read(early.md5) == (repo.root / "data/numbers.csv").read_bytes()


def succeeds_in_the_end(work: Callable[[], PushOutcome]) -> PushOutcome:
    """What the work returns, tried again as a task tries it: after transient failures only."""
    for pause in (0.5, 1, 2, 4):
        with suppress(RemoteFailed):
            return work()
        time.sleep(pause)
    return work()


def test_a_whole_run_is_sealed(served: Remote, repo: Repo) -> None:
    served.use(repo)
    repo.git("commit", "--quiet", "--all", "--message", "Use another remote")
    if isinstance(served, S3):
        assert served.s3.secret_key not in repo.git("show", "HEAD:.dvc/config")
    run = repo.run("far", params={"power": 3})
    local = repo.root.parent / "mirror"
    for md5 in served.objects():
        file = local / "files/md5" / md5[:2] / md5[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(served.read(md5))
    repo.store = local
    assert_sealed(repo, run)
    assert len(served.objects()) == 2
