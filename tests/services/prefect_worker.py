"""A work pool of processes, with our flows deployed to it, and a worker that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.services.prefect_server import PrefectServer
from tests.services.process import Server, wait_for

PROJECT = Path(__file__).parents[2]
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def prefect(server: PrefectServer, *arguments: str) -> str:
    """What a `prefect` command prints, run from the project's root."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        cwd=PROJECT, env={**os.environ, **server.env}, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def deploy(server: PrefectServer) -> None:
    """All deployments of `prefect.yaml`, to a pool of processes."""
    prefect(server, "work-pool", "create", "anchored", "--type", "process", "--overwrite")
    prefect(server, "deploy", "--all")


@contextmanager
def worker(server: PrefectServer, home: Path, **env: str) -> Iterator[Server]:
    """A worker of the pool; `kill()` ends it and the flow runs' processes without a word."""
    process = Server(
        argv=[sys.executable, "-m", "prefect", "worker", "start", "--pool", "anchored"],
        cwd=home,
        env={**os.environ, **server.env, "PREFECT_WORKER_QUERY_SECONDS": "1", **env},
        log=home / "worker.log",
        ready=lambda: True,
        timeout=60,
    )
    process.start()
    try:
        yield process
    finally:
        process.stop()


def asked(url: str, body: Any = None) -> Any:
    """What Prefect's API answers to a GET, or with a body to a POST.

    Its database, SQLite on a busy disk, may be locked for a moment: it then answers 503, where
    clients ask again, or 500, where a question may be asked again. On a busy machine an answer has
    been seen to take more than 30 s.
    """
    method = "GET" if body is None else "POST"
    repeatable = body is None or url.endswith("/filter")
    answer = _answered(method, url, body, repeatable=repeatable)
    answer.raise_for_status()
    return answer.json()


def deleted(url: str) -> None:
    """Has Prefect's API delete something, as often as it takes."""
    answer = _answered("DELETE", url, None, repeatable=True)
    if answer.status_code != httpx.codes.NOT_FOUND:  # by the request before, whose answer was 500
        answer.raise_for_status()


def _answered(method: str, url: str, body: Any, *, repeatable: bool) -> httpx.Response:
    again = {httpx.codes.SERVICE_UNAVAILABLE}
    if repeatable:
        again.add(httpx.codes.INTERNAL_SERVER_ERROR)
    for _ in range(40):
        answer = httpx.request(method, url, json=body, timeout=120)
        if answer.status_code not in again:
            break
        time.sleep(0.5)
    return answer


class Flows:
    """Flow runs of one server, by its API."""

    def __init__(self, server: PrefectServer) -> None:
        self.url = server.api_url

    def start(self, deployment: str, state: str = "SCHEDULED", **parameters: Any) -> str:
        """The id of a new run of a deployment (`flow/name`); a scheduled one waits for a worker."""
        known = asked(f"{self.url}/deployments/name/{deployment}")
        body = {"parameters": parameters, "state": {"type": state}}
        return str(asked(f"{self.url}/deployments/{known['id']}/create_flow_run", body)["id"])

    def schedule(self, deployment: str, seconds: int | None) -> None:
        """Gives a deployment (`flow/name`) this one schedule, or none."""
        known = asked(f"{self.url}/deployments/name/{deployment}")
        url = f"{self.url}/deployments/{known['id']}/schedules"
        for schedule in known["schedules"]:
            deleted(f"{url}/{schedule['id']}")
        if seconds:
            asked(url, [{"active": True, "schedule": {"interval": seconds}}])

    def cancel(self, run_id: str) -> None:
        """What the UI's button does."""
        self.set_state(run_id, "CANCELLING")

    def set_state(self, run_id: str, kind: str, **state: str) -> None:
        """Puts a flow run into a state, without anybody running it."""
        body = {"state": {"type": kind, **state}, "force": True}
        asked(f"{self.url}/flow_runs/{run_id}/set_state", body)

    def forget_waiting(self, deployment: str) -> None:
        """Takes away what is scheduled or waits for a slot: the next worker would begin with it."""
        query = {"deployments": {"name": {"any_": [deployment]}}}
        for run in asked(f"{self.url}/flow_runs/filter", query):
            if run["state_type"] not in FINAL:
                httpx.delete(f"{self.url}/flow_runs/{run['id']}", timeout=30)

    def get(self, run_id: str) -> dict[str, Any]:
        return dict(asked(f"{self.url}/flow_runs/{run_id}"))

    def ended(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        """The flow run, when it has come to its end."""
        wait_for(lambda: self.get(run_id)["state_type"] in FINAL, seconds, interval=0.3)
        return self.get(run_id)

    def log(self, run_id: str) -> list[str]:
        """The lines of its log, in their order."""
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC"}
        return [entry["message"] for entry in asked(f"{self.url}/logs/filter", body)]


def process_of(run_id: str) -> psutil.Process:
    """The process in which a flow run is executed."""
    for process in psutil.process_iter():
        try:
            own = process.environ().get("PREFECT__FLOW_RUN_ID", "")
            engine = any(word in ("engine", "prefect.engine", "prefect.flow_engine")
                         for word in process.cmdline())  # fmt: skip
            if own.replace("-", "") == run_id.replace("-", "") and engine:
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no process runs the flow run {run_id}")
