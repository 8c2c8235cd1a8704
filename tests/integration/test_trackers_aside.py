"""Several repos at once in one process: each tracker in a process of its own, none in the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

import anchored
from anchored.adapters.mlflow.tracker import MlflowTracker
from anchored.adapters.wandb.offline import OfflineRuns
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.ports import LoggedFiles, Tracker
from anchored.records import Ended, TrackedRun
from anchored.workspace.open import open_repo
from anchored.workspace.tracker_process import TrackerProxy
from anchored.workspace.trackers_aside import load_tracker_aside, trackers_aside
from tests.repos import Repo

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROUNDS = 5


def mlflow(repo: Repo) -> Repo:
    return repo


def wandb(repo: Repo) -> Repo:
    repo.use_wandb()
    return repo


Kinds = tuple[Callable[[Repo], Repo], Callable[[Repo], Repo]]


@pytest.fixture(params=[(mlflow, mlflow), (mlflow, wandb)], ids=["mlflow-mlflow", "mlflow-wandb"])
def two(request: pytest.FixtureRequest, new_repo: Callable[[str], Repo]) -> list[Repo]:
    """Two repos, each with its own database or folder of runs."""
    return [of_kind(new_repo(name)) for name, of_kind in zip("ab", request.param, strict=True)]


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the variables that are set or removed in this process."""
    names: list[str] = []
    set_variable, remove_variable = os.putenv, os.unsetenv

    def putenv(name: str | bytes, value: str | bytes) -> None:
        names.append(os.fsdecode(name))
        set_variable(name, value)

    def unsetenv(name: str | bytes) -> None:
        names.append(os.fsdecode(name))
        remove_variable(name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "putenv", putenv)
        patch.setattr(os, "unsetenv", unsetenv)
        yield names


def steering(names: list[str]) -> list[str]:
    """Those of the names that a tracker's library reads."""
    return [name for name in names if name.startswith(("MLFLOW", "WANDB"))]


def logged(tracker: Tracker, name: str) -> str:
    """The id of a run that the tracker has from its opening to its end."""
    run_id = tracker.open_run(name=name, tags={"git_commit": name}, started=NOW).run_id
    for number in range(ROUNDS):
        files = LoggedFiles(texts={f"{number}.txt": name.encode()})
        tracker.log(run_id, params={f"p{number}": name}, metrics={f"m{number}": 1.0}, files=files)
    tracker.end_run(run_id, Ended.FINISHED, name=name, ended=NOW)
    assert [run.run_id for run in tracker.runs_tagged("git_commit", name)] == [run_id]
    assert tracker.artifact(run_id, "0.txt") == name.encode()
    return run_id


def recorded(root: Path, kind: str) -> list[TrackedRun]:
    """The runs that are in a repo's own place, by a tracker of this process."""
    if kind == "wandb":
        return list(WandbTracker(OfflineRuns(root, project="sums")).runs())
    uri = f"sqlite:///{root}/mlflow.db"
    return list(MlflowTracker(uri, experiment="sums", root=root, lock=root / "lock").runs())


def test_two_repos_in_two_threads_do_not_meet(two: list[Repo], changes: list[str]) -> None:
    before, children = dict(os.environ), psutil.Process().children()
    together = threading.Barrier(2)

    def recorded_by_thread(repo: Repo) -> tuple[str, str]:
        with trackers_aside():
            together.wait()
            tracker = open_repo(repo.root).tracker
            assert isinstance(tracker, TrackerProxy)
            together.wait()
            run_id = logged(tracker, repo.root.parent.name)
            together.wait()  # a block that ends takes nothing from another
            assert len(list(tracker.runs())) == 1
            return tracker.kind, run_id

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(recorded_by_thread, two))
    assert steering(changes) == []
    assert dict(os.environ) == before
    assert psutil.Process().children() == children, "the processes end with the block"
    for repo, (kind, run_id) in zip(two, done, strict=True):
        (run,) = recorded(repo.root, kind)
        assert (run.run_id, run.name) == (run_id, repo.root.parent.name)
        assert run.params == {f"p{number}": run.name for number in range(ROUNDS)}


def test_trackers_of_before_are_aside_too(repo: Repo, changes: list[str]) -> None:
    run_id = logged(open_repo(repo.root).tracker, "old")
    repo.use_wandb()
    assert steering(changes), "a tracker of this process changes them"
    changes.clear()
    with trackers_aside():
        (other,) = open_repo(repo.root).elsewhere()
        assert isinstance(other.tracker, TrackerProxy)
        assert other.tracker.run(run_id).name == "old"
    assert steering(changes) == []


def test_a_process_that_was_killed_is_replaced_at_the_next_opening(repo: Repo) -> None:
    with trackers_aside():
        first = open_repo(repo.root).tracker
        assert open_repo(repo.root).tracker is first
        run_id = logged(first, "one")
        assert isinstance(first, TrackerProxy)
        killed = first.process._process
        killed.kill()
        killed.wait()
        assert open_repo(repo.root).tracker.run(run_id).name == "one"


def test_what_loads_is_taken_for_its_own_kind_alone(repo: Repo) -> None:
    with trackers_aside():
        load_tracker_aside(repo.root, "wandb")
        mine = open_repo(repo.root).tracker
        theirs = open_repo(repo.root, tracker="wandb").tracker
        assert isinstance(mine, TrackerProxy)
        assert isinstance(theirs, TrackerProxy)
        commands = [psutil.Process(t.process._process.pid).cmdline() for t in (mine, theirs)]
    assert ["mlflow" in command[3] for command in commands] == [True, False]


def trackers_of_this_process() -> list[int]:
    children = psutil.Process().children()
    return [child.pid for child in children if "tracker_server" in " ".join(child.cmdline())]


def test_a_repo_opened_again_shares_its_process_which_the_last_to_close_ends(repo: Repo) -> None:
    assert trackers_of_this_process() == []
    first = anchored.open(repo.root, prefect=False)
    (process,) = trackers_of_this_process()
    with anchored.open(repo.root, prefect=False) as second:
        assert trackers_of_this_process() == [process]
        assert list(second.runs()) == []
        first.close()
        first.close()
        assert trackers_of_this_process() == [process]
    assert trackers_of_this_process() == []
