"""`prefect deploy --all` on a fresh server, and a worker that reproduces a run by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.repos import Repo
from tests.services.prefect_server import PrefectServer

PROJECT = Path(__file__).parents[1]


def prefect(server: PrefectServer, *arguments: str) -> str:
    """What a `prefect` command prints, run from the project's root."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        cwd=PROJECT, env={**os.environ, **server.env}, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def worker(server: PrefectServer, repo: Repo) -> Iterator[None]:
    """A worker of the pool, on whose machine the training repo is."""
    own = {"ANCHORED_REPO": str(repo.root), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "anchored"],
        cwd=repo.root.parent, env={**os.environ, **server.env, **own},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def ended(server: PrefectServer, name: str) -> dict[str, Any]:
    """The flow run of a deployment, when it has come to its end."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        query = {"deployments": {"name": {"any_": [name]}}, "sort": "START_TIME_DESC"}
        runs = httpx.post(f"{server.api_url}/flow_runs/filter", json=query, timeout=30).json()
        if runs and runs[0]["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return dict(runs[0])
        time.sleep(0.5)
    raise AssertionError(f"no run of {name} ended")


def test_a_worker_reproduces_a_run_by_its_name(repo: Repo, prefect_server: PrefectServer) -> None:
    run = repo.run("experiment_v1")
    prefect(prefect_server, "work-pool", "create", "anchored", "--type", "process", "--overwrite")
    prefect(prefect_server, "deploy", "--all")
    listed = json.loads(prefect(prefect_server, "deployment", "ls", "--output", "json"))
    assert {d["name"] for d in listed} >= {"on-demand", "by-name", "weekly"}
    form = next(d for d in listed if d["name"] == "by-name")["parameter_openapi_schema"]
    assert form["required"] == ["run_name"]
    assert "name of the run" in form["properties"]["run_name"]["description"].lower()
    with worker(prefect_server, repo):
        prefect(prefect_server, "deployment", "run", "reproduce/by-name", "-p",
                f"run_name={run.name}")  # fmt: skip
        flow_run = ended(prefect_server, "by-name")
    assert flow_run["state_type"] == "COMPLETED", flow_run["state"]
    assert flow_run["name"] == run.name
    assert f"commit:{run.git.commit[:12]}" in flow_run["tags"]
    assert flow_run["labels"]["git_commit"] == run.git.commit
    assert repo.tags(run.run_id)["anchored.verdict"] == "identical"
