"""A full disk stops a run, and costs it nothing that it had: freed, `resume` seals it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dvc_objects.fs import generic
from git.exc import GitCommandError

from anchored.adapters.dvc.failure import remote_failure
from anchored.errors import DiskFull, RemoteFailed, ServiceFailed
from anchored.journal import Step
from anchored.records import FlowLink
from anchored.run.open import RunRequest, open_run
from anchored.system.disk_room import disk_full
from anchored.system.process import RUN_ID, run_command
from tests.killed import assert_nothing_is_left, resume
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo

# A model of 3 MB, random and so of new content at every run.
LARGE = SCRIPT.replace('.write_text(f"{total}\\n")', ".write_bytes(os.urandom(3_000_000))")
FILL = """
with open("{0}/ballast", "wb", 0) as ballast:
    try:
        while ballast.write(bytes(1 << 12)):
            pass
    except OSError:
        pass
"""


def said_by_the_system() -> OSError:
    """What Linux itself answers, of the one file that is always full."""
    with (
        pytest.raises(OSError, match="No space") as raised,
        Path("/dev/full").open("wb", 0) as full,
    ):
        full.write(b"x")
    return raised.value


def waiting(repo: Repo) -> Step:
    """The step that the one unfinished run has come to."""
    (journal,) = repo.open().journals.all()
    return Step(journal.step)


def assert_resumed(repo: Repo) -> None:
    (run,) = resume(repo)
    assert_sealed(repo, run)
    assert_nothing_is_left(repo)


# --- on any machine -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_the_system_says_of_a_full_disk_is_known(number: int) -> None:
    found = disk_full(OSError(number, os.strerror(number)))
    assert found is not None
    assert (found.transient, found.exit_code) == (False, 3)
    assert "free some space" in (found.hint or "")
    assert disk_full(OSError(errno.EIO, os.strerror(errno.EIO))) is None


def test_what_git_says_of_a_full_disk_is_known() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(["git", "version"], stdout=full, stderr=subprocess.PIPE, check=False)
    found = disk_full(GitCommandError(["git", "version"], done.returncode, done.stderr.decode()))
    assert found is not None
    assert "No space left on device" in found.message


def test_the_disk_that_is_full_is_the_one_that_was_written_to() -> None:
    error = said_by_the_system()
    assert isinstance(remote_failure(error, "fetch from", "store"), DiskFull)
    assert isinstance(remote_failure(error, "push to", "store"), RemoteFailed)


def test_a_model_that_the_cache_has_no_room_for_is_kept(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache's own writes of the model fail, as the system fails those to /dev/full."""
    error, transfer = said_by_the_system(), generic.transfer

    def full(fs: Any, sources: Sequence[str], to: Any, targets: Sequence[str], **more: Any) -> None:
        if not any("/outputs/model/" in source for source in sources):
            transfer(fs, sources, to, targets, **more)
        elif (on_error := more["on_error"]) is None:
            raise error
        else:
            for source, target in zip(sources, targets, strict=True):
                on_error(source, target, error)

    with monkeypatch.context() as patched:
        patched.setattr(generic, "transfer", full)
        with pytest.raises(DiskFull):
            repo.run("one")
    assert waiting(repo) == Step.LOGGED
    assert_resumed(repo)


def test_a_log_without_room_costs_lines_and_not_the_training(tmp_path: Path) -> None:
    ending = run_command(
        "echo one; echo two",
        cwd=tmp_path,
        variables={**os.environ, RUN_ID: tmp_path.name},
        log=Path("/dev/full"),
        timeout=None,
        on_line=str,
        on_start=lambda: None,
    )
    assert (ending.status, ending.tail) == (0, ("one", "two"))


# --- on a file system that is full ----------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB; needs the right to mount, which CI's containers may not give."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "anchored-tests", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {getattr(error, 'stderr', error)}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def cramped(repo: Repo, small: Path) -> Repo:
    """The repo on the small file system; its remotes and its tracker are elsewhere."""
    tracker = f'[tracker]\nuri = "sqlite:///{repo.root}/mlflow.db"\n'
    repo.configure('experiment = "sums"\n', f'experiment = "sums"\n{tracker}')
    shutil.copytree(repo.root, small / "work", symlinks=True)
    moved = Repo(small / "work")
    moved.origin, moved.store = repo.origin, repo.store
    moved.git("remote", "set-url", "origin", str(repo.origin))
    moved.dvc("remote", "modify", "--local", "store", "url", str(repo.store))
    return moved


def fill(folder: Path) -> None:
    """Takes every byte that is left."""
    with (folder / "ballast").open("wb", 0) as stream, suppress(OSError):
        while stream.write(bytes(1 << 12)):
            pass


def test_a_cache_on_a_full_disk_keeps_the_trained_run(repo: Repo, small: Path) -> None:
    repo.dvc("cache", "dir", "--local", str(small / "cache"))
    repo.script(LARGE + FILL.format(small))
    with pytest.raises(DiskFull):
        repo.run("one")
    assert waiting(repo) == Step.LOGGED
    with pytest.raises(DiskFull):
        resume(repo)
    (small / "ballast").unlink()
    assert_resumed(repo)


def test_a_training_that_fills_the_disk_is_sealed_once_there_is_room(
    cramped: Repo, small: Path
) -> None:
    report = '\npathlib.Path("report-2.txt").write_bytes(os.urandom(2_000_000))\n'
    links = 'pathlib.Path("models/again.bin").symlink_to("model.bin")\n'
    cramped.configure('model = "models/model.bin"', 'model = "models"')
    cramped.script(LARGE + report + links + FILL.format(small))
    with pytest.raises(
        ServiceFailed, match="No space left"
    ):  # for the tracker's copy of the report
        cramped.run("one")
    assert waiting(cramped) == Step.TRAINED
    (small / "ballast").unlink()
    assert_resumed(cramped)


@pytest.mark.parametrize("size", [10, 4_000_000])
def test_a_disk_full_before_training_leaves_a_run_to_resume(
    cramped: Repo, small: Path, size: int
) -> None:
    cramped.write("extra.bin", os.urandom(size))
    cramped.commit()
    key = open_run(cramped.open(), RunRequest(name="one"), FlowLink()).key
    fill(small)
    with pytest.raises(DiskFull):
        cramped.finish(key)
    assert waiting(cramped) < Step.TRAINING
    (small / "ballast").unlink()
    assert_resumed(cramped)
