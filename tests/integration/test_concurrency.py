"""Two runs at once, and a user who goes on working while one trains."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from anchored.errors import BadInput
from anchored.ports import Advance, Silent
from tests.forked import started
from tests.killed import (
    assert_cache_is_whole,
    assert_nothing_is_left,
    assert_published_is_whole,
    running,
    sealed_runs,
)
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo


class Meanwhile(Silent):
    """Does something as soon as training says so, in the middle of it."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        self._deed = deed

    def output(self, line: str) -> None:
        if line == "now":
            self._deed()


@pytest.fixture
def slow(repo: Repo) -> Repo:
    """A repo whose training says `now`, and goes on."""
    repo.script("print('now', flush=True)\nimport time; time.sleep(0.3)\n" + SCRIPT)
    return repo


def test_the_remote_is_probed_by_many_at_once(repo: Repo) -> None:
    stores = [repo.open().store for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(20):
            for done in [pool.submit(store.probe_remote) for store in stores]:
                done.result()
    assert list(repo.store.iterdir()) == []


def both(repo: Repo, other: Repo, **params: int) -> None:
    """Two runs at the same time, each in a process of its own."""
    requests = [{"params": {"power": power}} for power in params.values()] or [{}, {}]
    pair = zip((repo, other), ("one", "two"), requests, strict=True)
    runs = [started(running, where, name, request) for where, name, request in pair]
    for process in runs:
        process.join(180)
        assert process.exitcode == 0


@pytest.mark.parametrize("params", [{}, {"first": 1, "second": 2}], ids=["equal", "different"])
def test_two_first_runs_at_once_both_seal(slow: Repo, params: dict[str, int]) -> None:
    (slow.root / "mlflow.db").unlink()
    both(slow, slow, **params)
    runs = list(sealed_runs(slow))
    assert sorted(run.name for run in runs) == ["one", "two"]
    for run in runs:
        assert_sealed(slow, run)
    contained = [run for run in runs if not slow.git("rev-list", "-1", run.git.commit, "^HEAD")]
    assert len(contained) == (1 if params else 2)  # two models cannot both be on the branch
    assert slow.git("status", "--porcelain") == ""
    assert_published_is_whole(slow)
    assert_nothing_is_left(slow)


def test_two_runs_in_two_clones_both_seal(slow: Repo) -> None:
    slow.git("push", "--quiet", "origin", "main")
    slow.git("clone", "--quiet", str(slow.origin), str(slow.root.parent / "clone"))
    other = Repo(slow.root.parent / "clone")
    shutil.copytree(slow.root / "data", other.root / "data")
    shutil.copyfile(slow.root / "mlflow.db", other.root / "mlflow.db")
    both(slow, other)
    for where in (slow, other):
        (run,) = sealed_runs(where)
        assert_sealed(where, run)
        assert where.head == run.git.commit
    assert len(slow.git("ls-remote", "origin", "refs/anchored/*").splitlines()) == 2


class Changing(Silent):
    """Changes a file between its hashing and its caching."""

    def __init__(self, file: Path, moment: str) -> None:
        self._file, self._moment, self._times = file, moment, 0

    def progress(self, what: str, *_: Any, **__: Any) -> None:
        if what == self._moment and not self._times:
            self._times = 1
            self._file.write_text("other\n")


@pytest.mark.parametrize("name", ["numbers.csv", "folder"])
def test_data_that_changes_while_being_read_is_refused(repo: Repo, name: str) -> None:
    repo.write("data/folder/a.csv", "1\n")
    repo.configure('["data/numbers.csv"]', '["data/numbers.csv", "data/folder"]')
    file = repo.root / "data" / (f"{name}/a.csv" if name == "folder" else name)
    content = file.read_bytes()
    with pytest.raises(BadInput, match="changed while") as refused:
        repo.run(report=Changing(file, f"caching data/{name}"))
    assert refused.value.exit_code == 2
    assert_cache_is_whole(repo)
    file.write_bytes(content)
    assert_sealed(repo, repo.run("again"))


# --- a user at work -------------------------------------------------------------------------------


def test_a_commit_made_meanwhile_is_merged(slow: Repo) -> None:
    def commit() -> None:
        slow.write("notes.txt", "mine\n")
        slow.commit("Mine")

    sealed = slow.sealed(report=Meanwhile(commit))
    assert sealed.branch.advance == Advance.MERGED
    assert slow.git("log", "-1", "--format=%s", "HEAD^1") == "Mine"
    assert slow.git("rev-parse", "HEAD^2") == sealed.run.git.commit
    assert slow.git("status", "--porcelain") == ""
    assert_sealed(slow, sealed.run)


def test_a_commit_made_meanwhile_that_conflicts_is_left_alone(slow: Repo) -> None:
    def commit() -> None:
        slow.write("models/model.bin.dvc", "mine\n")
        slow.git("add", "--force", "models/model.bin.dvc")
        slow.git("commit", "--quiet", "--message", "Mine")

    sealed = slow.sealed(report=Meanwhile(commit))
    assert sealed.branch.advance == Advance.LEFT
    assert "not clean" in sealed.branch.reason
    assert slow.git("log", "-1", "--format=%s") == "Mine"
    assert_sealed(slow, sealed.run)


def test_a_file_changed_meanwhile_is_never_lost(slow: Repo) -> None:
    def edit() -> None:
        slow.write("train.py", "edited\n")
        slow.write(".gitignore", "staged\n")
        slow.git("add", ".gitignore")

    sealed = slow.sealed(report=Meanwhile(edit))
    assert (slow.root / "train.py").read_text() == "edited\n"
    assert slow.git("show", ":.gitignore") == "staged"
    assert sealed.branch.advance == Advance.FORWARDED
    assert_sealed(slow, sealed.run)


def test_a_pointer_changed_meanwhile_is_never_lost(slow: Repo) -> None:
    sealed = slow.sealed(
        report=Meanwhile(lambda: slow.write("data/numbers.csv.dvc", "mine\n")),
    )
    assert sealed.branch.advance == Advance.LEFT
    assert (slow.root / "data/numbers.csv.dvc").read_text() == "mine\n"
    assert_sealed(slow, sealed.run)


def test_data_changed_meanwhile_is_neither_trained_on_nor_lost(slow: Repo) -> None:
    run = slow.run(report=Meanwhile(lambda: slow.write("data/numbers.csv", "7\n")))
    assert run.metrics == {"total": sum(range(100))}
    assert (slow.root / "data/numbers.csv").read_text() == "7\n"
    assert_sealed(slow, run)
    assert slow.run("next").metrics == {"total": 7}


def test_a_branch_left_meanwhile_is_moved_and_the_new_one_is_not(slow: Repo) -> None:
    head = slow.head
    sealed = slow.sealed(
        report=Meanwhile(lambda: slow.git("switch", "--quiet", "--create", "other"))
    )
    assert slow.git("rev-parse", "--abbrev-ref", "HEAD") == "other"
    assert slow.head == head
    assert slow.git("rev-parse", "main") == sealed.run.git.commit
    assert slow.git("status", "--porcelain") == "?? data/"
    assert_sealed(slow, sealed.run)


@pytest.mark.parametrize("again", [True, False])
def test_a_branch_moved_back_meanwhile_stays_there(slow: Repo, *, again: bool) -> None:
    def move_back() -> None:
        slow.git("reset", "--quiet", "--hard", "HEAD~1")
        if again:
            slow.write("other.txt", "other\n")
            slow.commit("Other")

    sealed = slow.sealed(report=Meanwhile(move_back))
    assert sealed.branch.advance == Advance.LEFT
    assert slow.git("log", "-1", "--format=%s") == ("Other" if again else "Begin")
    assert_sealed(slow, sealed.run)


def test_a_rebase_under_way_finds_its_branch_as_it_left_it(slow: Repo) -> None:
    slow.git("switch", "--quiet", "--create", "onto", "HEAD~1")
    slow.write("train.py", "theirs\n")
    slow.commit("Theirs")
    slow.git("switch", "--quiet", "main")

    def rebase() -> None:
        with pytest.raises(Exception, match="rebase"):
            slow.git("rebase", "onto")

    sealed = slow.sealed(report=Meanwhile(rebase))
    assert sealed.branch.advance == Advance.LEFT
    slow.git("checkout", "--theirs", "train.py")
    slow.git("add", "train.py")
    slow.git("-c", "core.editor=true", "rebase", "--continue")
    assert slow.git("log", "-2", "--format=%s").splitlines() == ["Change training", "Theirs"]
    assert_sealed(slow, sealed.run)
