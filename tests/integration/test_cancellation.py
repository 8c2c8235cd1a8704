"""A flow run that is cancelled or dies: the tracker says so, and nothing of it stays behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anchored.steps.close_run import close_dead, close_flow_runs
from tests.killed import assert_cache_is_whole, assert_nothing_is_left, kill, trainings
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


def tracked(repo: Repo, name: str):
    (found,) = repo.open().tracker.runs_named(name)
    return found


def test_cancelled_and_crashed_flow_runs(repo: Repo, prefect_server: PrefectServer) -> None:
    repo.script(SLOW)
    deploy(prefect_server)
    flows, data = Flows(prefect_server), (repo.root / "data/numbers.csv").read_bytes()
    with worker(prefect_server, repo.root.parent, ANCHORED_REPO=str(repo.root)):
        # Cancelled in mid-training.
        one = flows.start("experiment/on-demand", run_name="cancelled", params={"power": 2})
        wait_for(lambda: "sleeping" in flows.log(one), 90)
        assert len(trainings(repo)) >= 2
        flows.cancel(one)
        ended = flows.ended(one)
        print(ended["state"], json.dumps(flows.log(one), indent=1))
        assert ended["state_type"] == "CANCELLED", ended["state"]
        assert_nothing_is_left(repo)
        run = tracked(repo, "cancelled")
        assert run.ending == "killed"
        assert run.tags["anchored.state"] == "failed"
        assert run.tags["anchored.error"] == "cancelled in Prefect"

        # Its process is killed in mid-training: the worker is there to call the hook.
        two = flows.start("experiment/on-demand", run_name="crashed", params={"power": 2})
        wait_for(lambda: "sleeping" in flows.log(two), 90)
        process_of(two).kill()
        assert flows.ended(two)["state_type"] == "CRASHED"
        wait_for(lambda: tracked(repo, "crashed").ending is not None, 60, interval=0.3)
        print(json.dumps(flows.log(two), indent=1))
        wait_for(lambda: not trainings(repo), 30)
        assert_nothing_is_left(repo)
