"""A flow run that is cancelled or dies: the tracker says so, and nothing of it stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from anchored.journal import FOLDER, Step, new_key
from anchored.records import FlowLink, TrackedRun
from anchored.reproduce import reproduce
from anchored.resume.flow_runs import close_dead, close_flow_runs
from anchored.retrain.refresh import refresh
from anchored.run import open as open_run
from tests.forked import started
from tests.killed import (
    assert_cache_is_whole,
    assert_nothing_is_left,
    kill,
    resume,
    running,
    trainings,
)
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo
from tests.services.prefect_server import PrefectServer
from tests.services.prefect_worker import Flows, deploy, process_of, worker
from tests.services.process import wait_for

# power 2 is a training that does not end, with a child that has left its group and session.
SLOW = (
    SCRIPT
    + """\
import subprocess, time
if params["power"] == 2:
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    print("sleeping", flush=True)
    time.sleep(600)
"""
)


def tracked(repo: Repo, name: str) -> TrackedRun:
    (found,) = repo.open().tracker.runs_named(name)
    return found


def assert_closed(repo: Repo, name: str, said: str) -> None:
    """The run is over, and nothing of it is left: no process, worktree, journal or ref."""
    run = tracked(repo, name)
    assert run.ending == "killed"
    assert run.tags["anchored.state"] == "failed"
    assert run.tags["anchored.error"].startswith(said)
    assert_nothing_is_left(repo)
    assert_cache_is_whole(repo)


def assert_waits(repo: Repo, name: str) -> None:
    """The run can be resumed; meanwhile the tracker does not call it running."""
    run = tracked(repo, name)
    assert run.ending == "killed"
    assert run.tags["anchored.state"] == "failed"
    assert run.tags["anchored.error"] == "cancelled in Prefect; `anchored resume` finishes the run"
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert not trainings(repo)


def assert_sealed_in_the_end(repo: Repo, name: str) -> None:
    run = tracked(repo, name)
    assert (run.ending, run.tags["anchored.state"]) == ("finished", "sealed")
    assert "anchored.error" not in run.tags
    assert_nothing_is_left(repo)


@contextmanager
def held_up(origin: Path) -> Iterator[None]:
    """The Git remote takes no push to its end."""
    hook = origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\nwhile [ -e "$0" ]; do sleep 0.1; done\nexit 1\n')
    hook.chmod(0o755)
    try:
        yield
    finally:
        hook.unlink()


@pytest.mark.timeout(600)  # 140 s beside other tests
def test_a_worker_closes_what_is_cancelled_or_killed(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    repo.script(SLOW)
    deploy(prefect_server)
    flows, data = Flows(prefect_server), (repo.root / "data/numbers.csv").read_bytes()
    with worker(prefect_server, repo.root.parent, ANCHORED_REPO=str(repo.root)) as process:
        # Cancelled in mid-training; its output is in the log while it goes on.
        flow_run = flows.start("experiment/on-demand", run_name="cancelled", params={"power": 2})
        wait_for(lambda: "sleeping" in flows.log(flow_run), 90, interval=0.3)
        assert len(trainings(repo)) >= 2
        flows.cancel(flow_run)
        assert flows.ended(flow_run)["state_type"] == "CANCELLED"
        assert_closed(repo, "cancelled", "cancelled in Prefect")

        # Its process is killed in mid-training: its children outlive it.
        flow_run = flows.start("experiment/on-demand", run_name="killed", params={"power": 2})
        wait_for(lambda: "sleeping" in flows.log(flow_run), 90, interval=0.3)
        process_of(flow_run).kill()
        assert flows.ended(flow_run)["state_type"] == "CRASHED"
        wait_for(lambda: any("closed as failed" in line for line in flows.log(flow_run)), 60)
        assert_closed(repo, "killed", "the flow run crashed: Process exited with status code: -9")

        # The machine loses its power: nobody is left to tell, until the next run begins.
        flow_run = flows.start("experiment/on-demand", run_name="orphaned", params={"power": 2})
        wait_for(lambda: "sleeping" in flows.log(flow_run), 90, interval=0.3)
        process.kill()
    assert flows.get(flow_run)["state_type"] == "RUNNING"
    assert repo.anchored("run", "next", **prefect_server.env).returncode == 0
    assert flows.get(flow_run)["state_type"] == "CRASHED"
    assert_closed(repo, "orphaned", "training was interrupted")

    # Cancelled after training: nothing is lost with it.
    here = worker(prefect_server, repo.root.parent, ANCHORED_REPO=str(repo.root))
    with here, held_up(repo.origin):
        flow_run = flows.start("experiment/on-demand", run_name="pushing")
        wait_for(lambda: any(step == Step.COMMITTED for step in steps(repo)), 90)
        flows.cancel(flow_run)
        assert flows.ended(flow_run)["state_type"] == "CANCELLED"
    assert_waits(repo, "pushing")
    assert (repo.root / "data/numbers.csv").read_bytes() == data
    done = repo.anchored("resume", **prefect_server.env)
    assert "pushing: finished, sealed" in done.stderr
    assert_sealed(repo, repo.runs()[0])
    assert_sealed_in_the_end(repo, "pushing")
    # It belongs to the flow run that finished it.
    assert tracked(repo, "pushing").tags["prefect.flow_run_id"] != flow_run


def steps(repo: Repo) -> list[Step]:
    return [journal.step for journal in repo.open().journals.all()]


# --- the same, one by one and without Prefect -----------------------------------------------------


@pytest.mark.parametrize(
    "point",
    ["after tracker.open_run", "after store.push", "after store.checkout",
     "after journals.write TRAINED", "after code.publish"],
)  # fmt: skip
def test_cut_off_outside_of_training_waits_for_resume(repo: Repo, point: str) -> None:
    kill(repo, point)
    assert close_flow_runs(repo.open(), {"another flow run"}, "cancelled in Prefect") == []
    assert tracked(repo, "one").ending is None
    for _ in range(2):
        (said,) = close_flow_runs(repo.open(), {""}, "cancelled in Prefect")
        assert said == "one is left for `anchored resume`: cancelled in Prefect"
        assert_waits(repo, "one")
    assert close_dead(repo.open()) == []
    assert len(resume(repo)) == 1
    assert_sealed_in_the_end(repo, "one")


def test_a_run_that_was_sealed_before_its_end_stays_sealed(repo: Repo) -> None:
    kill(repo, "after tracker.end_run")
    close_flow_runs(repo.open(), {""}, "cancelled in Prefect")
    assert tracked(repo, "one").tags["anchored.state"] == "sealed"
    assert len(resume(repo)) == 1
    assert_sealed_in_the_end(repo, "one")


def test_what_nobody_owns_and_was_cut_off_in_training_is_closed(repo: Repo) -> None:
    repo.script(SLOW)
    alive = started(running, repo, "alive", {"params": {"power": 2}})
    try:
        wait_for(lambda: len(trainings(repo)) >= 2, 60)
        kill(repo, "after report.output", params={"power": 2})
        (said,) = close_dead(repo.open())
        assert said == "one was interrupted in training, and is closed as failed"
        assert close_dead(repo.open()) == []
        assert len(trainings(repo)) >= 2
        assert tracked(repo, "alive").ending is None
    finally:
        alive.kill()
        alive.join()
    close_dead(repo.open())
    assert_closed(repo, "one", "training was interrupted")
    assert_closed(repo, "alive", "training was interrupted")


def test_a_run_of_this_very_process_is_not_taken_for_dead(repo: Repo) -> None:
    workspace = repo.open()
    key = open_run.open_run(workspace, open_run.RunRequest(name="one"), FlowLink()).key
    workspace.journals.write(workspace.journal(key).at(Step.TRAINING))
    assert close_dead(workspace) == []
    assert tracked(repo, "one").ending is None
    workspace.journals.release(key)
    assert len(close_dead(workspace)) == 1


def test_a_reproduction_that_was_cut_off_is_over_wherever_that_was(repo: Repo) -> None:
    repo.run("one")
    workspace = repo.open()
    original = reproduce.locate(workspace, "one", reproduce.Request())
    key = reproduce.open_reproduction(
        workspace, original, reproduce.Request(), FlowLink("flow", ""), key=new_key()
    ).key
    workspace.journals.release(key)
    close_flow_runs(workspace, {"flow"}, "cancelled in Prefect")
    assert_closed(repo, "reproduction of one", "cancelled in Prefect")


def refreshing(repo: Repo) -> None:
    refresh(repo.open(), open_run.RunRequest())


def test_a_refresh_whose_process_is_dead_ends_too(repo: Repo) -> None:
    begun = repo.root.parent / "begun"
    repo.run("one")
    repo.write("fetch.py", f"import time\nopen({str(begun)!r}, 'w')\ntime.sleep(600)\n")
    inputs = 'inputs = ["data/numbers.csv"]'
    repo.configure(inputs, f'{inputs}\nrefresh = "python fetch.py"')
    process = started(refreshing, repo)
    wait_for(begun.exists, 60)
    running_there = processes_in(repo.root / FOLDER)
    assert running_there
    close_flow_runs(repo.open(), {"a flow run"}, "cancelled in Prefect")
    assert processes_in(repo.root / FOLDER) == running_there  # its owner lives
    process.kill()
    process.join()
    close_flow_runs(repo.open(), {"a flow run"}, "cancelled in Prefect")
    assert processes_in(repo.root / FOLDER) == []
    assert_nothing_is_left(repo)


def processes_in(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd().startswith(str(folder)):
                found.append(process.pid)
    return sorted(found)
