"""Runs in a process of their own that is killed at a named point: no handler, no clean-up.

A point is a method of a port or of the journals, or what writes W&B's entries, reached for the nth
time:

    "after tracker.open_run", "before journals.write TRAINED", "after code.commit 2"
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psutil

from anchored.adapters.dvc.store import DvcStore
from anchored.adapters.git.repo import GitRepo
from anchored.adapters.mlflow.tracker import MlflowTracker
from anchored.adapters.wandb import offline as wandb_offline
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.journal import FOLDER, Journals
from anchored.ports import Silent
from anchored.records import FlowLink, RunRecord
from anchored.resume.close import claim_unfinished, continue_run, fail_interrupted
from tests.forked import in_process
from tests.proof import assert_sealed, assert_stored
from tests.repos import Repo, TreeState, pointers_at

PORTS = {"tracker": MlflowTracker, "wandb": WandbTracker, "writing": wandb_offline,
         "store": DvcStore, "code": GitRepo, "journals": Journals, "report": Silent}  # fmt: skip


def kill(repo: Repo, point: str, **request: Any) -> None:
    """A run called "one" that is killed at this point; returns when its process is gone."""
    done = in_process(killing, repo, point, request)
    assert done.exitcode == -signal.SIGKILL, f"never came to the point {point!r}"


def killing(repo: Repo, point: str, request: dict[str, Any]) -> None:
    """Runs the steps in this process, which ends at the point."""
    moment, method, *rest = point.split()
    port, name = method.split(".")
    step = next((word for word in rest if word.isupper()), None)
    left = next((int(word) for word in rest if word.isdigit()), 1)
    original = getattr(PORTS[port], name)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        meant = step is None or args[0].step.name == step
        left -= meant
        if meant and not left and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(self, *args, **kwargs)
        if meant and not left and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(PORTS[port], name, wrapped)
    repo.run("one", **request)


def running(repo: Repo, name: str, request: dict[str, Any]) -> None:
    """A run from beginning to end, in this process."""
    repo.run(name, **request)


def resume(repo: Repo) -> list[RunRecord]:
    """What `anchored resume` does, without Prefect: the runs that it finished."""
    workspace = repo.open()
    finished = []
    for unfinished in claim_unfinished(workspace):
        if unfinished.resumable:
            continue_run(workspace, unfinished.key, FlowLink())
            finished.append(repo.finish(unfinished.key).run)
        else:
            fail_interrupted(workspace, unfinished.key)
    return finished


def theirs(repo: Repo) -> TreeState:
    """The user's tree, index, HEAD and stash; what Git ignores may be caches and is left out."""
    state = repo.state()
    seen = [line for line in state.status.splitlines() if not line.startswith("!!")]
    return replace(state, status="\n".join(seen))


def sealed_runs(repo: Repo) -> Iterator[RunRecord]:
    """The runs that the tracker calls sealed, as their own document tells of them."""
    for run in repo.runs():
        if run.state == "sealed":
            yield RunRecord.from_json(
                json.loads(repo.artifact(run.run_id, "anchored/run.json") or b"")
            )


def assert_published_is_whole(repo: Repo) -> None:
    """Every commit on the Git remote has its objects; every run called sealed is."""
    for commit in repo.git("rev-list", "--all", cwd=repo.origin).split():
        for pointer in pointers_at(repo, commit).values():
            assert_stored(repo.store, pointer["outs"][0]["md5"])
    for run in sealed_runs(repo):
        assert_sealed(repo, run)


def assert_sealed_once(repo: Repo, commits: int = 3) -> None:
    """One run, sealed, and as many commits; nothing is left of what it was killed in."""
    (run,) = repo.runs()
    (sealed,) = sealed_runs(repo)
    assert_sealed(repo, sealed)
    assert run.run_id == sealed.run_id
    assert repo.git("for-each-ref", "--format=%(refname)", "refs/anchored") == sealed.git.ref
    assert repo.git("for-each-ref", "refs/anchored", cwd=repo.origin).count("\n") == 0
    assert repo.git("rev-list", "--all", "--count") == str(commits)
    assert repo.head == sealed.git.commit
    assert repo.git("status", "--porcelain") == ""
    assert_nothing_is_left(repo)


def assert_nothing_is_left(repo: Repo) -> None:
    """No journal, no folder, no worktree, no ref, no process of any open run."""
    folder = repo.root / FOLDER
    assert [place.name for place in folder.iterdir() if place.is_dir()] == []
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert repo.git("for-each-ref", "refs/anchored/open") == ""
    assert not trainings(repo)


def trainings(repo: Repo) -> list[int]:
    """Processes that were started as a training of this repository."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ANCHORED_PARAMS", "").startswith(f"{repo.root}/"):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
            continue
    return found


def end_trainings(repo: Repo) -> None:
    """Ends what a test has left of them."""
    for pid in trainings(repo):
        os.kill(pid, signal.SIGKILL)


def assert_cache_is_whole(repo: Repo) -> None:
    """Every object of the DVC cache has the bytes that its name says."""
    objects = [file for file in (repo.root / ".dvc/cache/files/md5").rglob("*") if file.is_file()]
    for file in objects:
        named = (file.parent.name + file.name).removesuffix(".dir")
        assert hashlib.md5(file.read_bytes()).hexdigest() == named, f"{file} is corrupt"


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Returns when the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
