"""`anchored up`, `status` and `down`: the local stack in the background."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from anchored import __version__
from anchored.stack.processes import strays
from anchored.stack.record import FOLDER, read_stack
from anchored.system.own_folder import own_folder
from tests.keyed import asked
from tests.migrated import put_prefect_database
from tests.repos import SCRIPT, Repo, result_of
from tests.served import Served
from tests.services.git_http import PASSWORD, GitHttpServer
from tests.services.loopback import answers, free_port
from tests.services.process import is_gone, wait_for

ENDED = {"COMPLETED", "FAILED", "CRASHED"}
NAMES = ("prefect", "tracker", "worker")
KEY = "0123456789" * 4
OFFLINE = """\
[tracker]
kind = "wandb"
mode = "offline"

[train.params]
"""


@pytest.fixture
def stacked(repo: Repo) -> Iterator[Repo]:
    """A repo whose stack, whatever a test made of it, is gone after the test."""
    try:
        yield repo
    finally:
        for process in strays(repo.root / FOLDER):
            with suppress(psutil.Error):
                process.kill()


def pids(repo: Repo) -> dict[str, int]:
    return {name: started.pid for name, started in read_stack(repo.root).processes.items()}


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prefect(up: dict[str, Any], path: str, body: dict[str, Any] | None = None) -> Any:
    """What Prefect's API answers who has the key, to a GET or with a body to a POST."""
    return asked(up["api"], Path(up["key"]).read_text().strip(), path, body)


def flow_runs(up: dict[str, Any]) -> dict[str, str]:
    found = prefect(up, "flow_runs/filter", {})
    return {run["name"]: run["state_type"] for run in found if run["state_type"] != "SCHEDULED"}


def started_by_name(
    up: dict[str, Any], name: str, deployment: str = "experiment/on-demand"
) -> None:
    known = prefect(up, f"deployments/name/{deployment}")
    path = f"deployments/{known['id']}/create_flow_run"
    prefect(up, path, {"parameters": {"run_name": name}, "state": {"type": "SCHEDULED"}})


@pytest.mark.timeout(600)  # three starts of the stack: 90 s, more where others work as well
def test_the_stack_from_its_first_start_to_its_end(stacked: Repo) -> None:
    repo = stacked
    told = repo.anchored_started("status")
    assert (told.returncode, "was never up" in told.stderr) == (1, True)
    before = repo.git("status", "--porcelain")

    # What the user's own Prefect is set to is neither used nor changed.
    foreign = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_SERVER_API_PORT": "9"}
    up = result_of(repo.anchored_started("up", "--json", **foreign))
    assert set(up["deployments"]) >= {"experiment/on-demand", "reproduce/by-name", "audit/weekly"}
    for url in (up["prefect"], f"{up['api']}/health", up["tracker"]):
        assert answers(url), url
    assert up["schedules"] == {
        "audit/weekly": ["0 5 * * 1 Etc/UTC"], "retrain/nightly": ["0 3 * * * Etc/UTC"]
    }  # fmt: skip
    deployed = prefect(up, "deployments/filter", {})
    assert {one["version"] for one in deployed} == {f"anchored {__version__}"}
    assert not Path(os.environ["PREFECT_HOME"]).exists()
    assert repo.git("status", "--porcelain") == before
    first = pids(repo)
    assert set(first) == set(NAMES)

    up_again_changes_nothing(repo, first)
    runs_show_on_its_pages(repo, up)
    what_died_is_mended_and_nothing_else(repo, up, first)
    down_ends_what_runs_and_records_it(repo, up)
    moved = a_port_that_is_taken_is_left(repo, up)
    another_tracker_takes_its_place(repo, moved)


def up_again_changes_nothing(repo: Repo, first: dict[str, int]) -> None:
    again = repo.anchored("up")
    assert again.returncode == 0
    assert "retrain/nightly daily at 03:00 UTC" in " ".join(again.stdout.split())
    assert pids(repo) == first
    status = result_of(repo.anchored("status", "--json"))
    assert status["up"]
    assert {name: part["pid"] for name, part in status["processes"].items()} == first
    assert all(part["memory"] > 10**7 for part in status["processes"].values())


def runs_show_on_its_pages(repo: Repo, up: dict[str, Any]) -> None:
    # A command uses the server that is up, and its run has a page.
    run = result_of(repo.anchored("run", "by-hand", "--json"))
    assert run["tracker"]["url"].startswith(f"{up['tracker']}/#/experiments/")
    assert run["prefect"]["url"].startswith(up["prefect"])
    assert flow_runs(up) == {"by-hand": "COMPLETED"}
    place = {"path": "report-1.txt", "run_uuid": run["run_id"]}
    assert httpx.get(f"{up['tracker']}/get-artifact", params=place).text == "report\n"
    # So does one of the worker's, on the same repo.
    started_by_name(up, "by-worker")
    wait_for(lambda: flow_runs(up).get("by-worker") == "COMPLETED", timeout=90, interval=0.3)
    links = prefect(up, "artifacts/filter", {})
    pages = [link["data"] for link in links if link["key"] == "tracker-sums"]
    assert len(pages) == 2
    assert all(f"({up['tracker']}/#/experiments/" in page for page in pages)


def what_died_is_mended_and_nothing_else(
    repo: Repo, up: dict[str, Any], first: dict[str, int]
) -> None:
    psutil.Process(first["tracker"]).kill()
    assert repo.anchored("status").returncode == 1
    again = result_of(repo.anchored("up", "--json"))
    assert again["tracker"] == up["tracker"]
    assert {name for name in NAMES if pids(repo)[name] != first[name]} == {"tracker"}


def down_ends_what_runs_and_records_it(repo: Repo, up: dict[str, Any]) -> None:
    repo.script("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    started_by_name(up, "cut-off")
    log = repo.root / FOLDER / "logs" / "worker.log"
    wait_for(lambda: "begun" in log.read_text(), timeout=90, interval=0.2)
    leaders = [psutil.Process(pid) for pid in pids(repo).values()]
    below = [process for leader in leaders for process in leader.children(recursive=True)]
    assert len(below) >= 2
    done = repo.anchored("down")
    assert done.returncode == 0, done.stderr
    assert "ending the flow run that is under way" in done.stderr
    assert all(is_gone(process) for process in [*leaders, *below])
    assert not any(listening(port) for port in read_stack(repo.root).ports.values())
    assert result_of(repo.anchored("show", "cut-off", "--json"))["state"] == "failed"
    assert repo.git("worktree", "list").count("\n") == 0
    assert repo.git("status", "--porcelain") == ""
    assert "nothing was running" in repo.anchored("down").stderr
    assert repo.anchored("status").returncode == 1


def a_port_that_is_taken_is_left(repo: Repo, up: dict[str, Any]) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", read_stack(repo.root).ports["tracker"])):
        moved = result_of(repo.anchored("up", "--json"))
    assert moved["prefect"] == up["prefect"]
    assert moved["tracker"] != up["tracker"]
    assert flow_runs(moved)["cut-off"] == "CRASHED"
    url = result_of(repo.anchored("show", "by-worker", "--json"))["tracker"]["url"]
    assert url.startswith(moved["tracker"])
    return dict(moved)


def another_tracker_takes_its_place(repo: Repo, up: dict[str, Any]) -> None:
    before = pids(repo)
    repo.configure("[train.params]", OFFLINE)
    switched = repo.anchored("up", WANDB_API_KEY=KEY)
    assert switched.returncode == 0, switched.stderr
    folder = repo.root / "wandb"
    assert f"W&B {folder.as_uri()}" in " ".join(switched.stdout.split())
    assert f"wandb leet {folder}" in switched.stdout
    # What leads to another tracker may be the environment, which a worker has from its start.
    after = pids(repo)
    assert after.keys() == {"prefect", "worker"}
    assert [name for name in after if after[name] != before[name]] == ["worker"]
    assert not listening(read_stack(repo.root).ports["tracker"])
    status = result_of(repo.anchored("status", "--json"))
    assert (status["up"], status["tracker"]) == (True, folder.as_uri())

    # The worker's training may speak to W&B, and nobody else learns by what key.
    repo.script(f"import os\nprint('key', os.environ['WANDB_API_KEY'], flush=True)\n{SCRIPT}")
    started_by_name(up, "offline")
    wait_for(lambda: flow_runs(up).get("offline") in ENDED, timeout=90, interval=0.3)
    started_by_name(up, "offline", "reproduce/by-name")
    wait_for(lambda: len(repo.runs()) == 2 and repo.runs()[0].verdict, timeout=90, interval=0.3)
    again, run = repo.runs()
    assert (run.state, run.tracker.kind, again.verdict) == ("sealed", "wandb", "identical")
    assert b"key ***" in (repo.artifact(run.run_id, "anchored/train.log") or b"")
    told = [*(repo.root / FOLDER).rglob("*"), *folder.rglob("*")]
    assert [f for f in told if f.is_file() and KEY.encode() in f.read_bytes()] == []

    down = repo.anchored_started("down")
    assert "stopping worker, prefect" in down.stderr
    assert strays(repo.root / FOLDER) == []


@pytest.mark.timeout(300)
def test_the_worker_of_a_url_follows_the_branch(
    served: Served, git_http_server: GitHttpServer, isolated: Path
) -> None:
    named = {"ANCHORED_REPO": git_http_server.url_of(served.name) + "#main"}
    for command in ("status", "down"):
        done = served.anchored(command, **named)
        assert done.returncode == 2
        assert "there is no clone of http://127.0.0.1" in done.stderr
        assert PASSWORD not in done.stderr
    assert not (isolated / ".cache/anchored/clones").exists()

    up = result_of(served.anchored("up", "--json", **named))
    folder = Path(up["data"])
    try:
        told = served.anchored("status", "--repo", named["ANCHORED_REPO"])
        *_, ending = re.sub(r"\s+", " ", told.stdout).partition("to stop it ")
        assert PASSWORD not in ending
        theirs = served.push("notes.txt", "later\n")
        started_by_name(up, "tonight")
        wait_for(lambda: flow_runs(up).get("tonight") in ENDED, timeout=90, interval=0.3)
        assert flow_runs(up)["tonight"] == "COMPLETED"
        # Nobody asks the server for what is to be seen or ended here.
        served.git("update-ref", "-d", "refs/heads/main", cwd=served.origin)
        assert result_of(served.anchored("status", "--json", **named))["up"]
        assert served.anchored(*shlex.split(ending)[1:]).returncode == 0
        assert strays(folder) == []
    finally:
        for process in strays(folder):
            process.kill()
    (run,) = served.runs()
    assert theirs in served.git("rev-list", run.git.commit, cwd=served.origin).split()
    told = [file for file in folder.rglob("*") if file.is_file()]
    assert {"stack.json", "worker.log", "prefect.db"} <= {file.name for file in told}
    assert [file.name for file in told if PASSWORD.encode() in file.read_bytes()] == []


def test_a_number_that_is_another_process_by_now_is_left_alone(stacked: Repo) -> None:
    repo = stacked
    folder = repo.root / FOLDER
    folder.mkdir()
    with subprocess.Popen(["sleep", "600"]) as other:
        stale = {"pid": other.pid, "created": 1.0, "made_of": ""}
        (folder / "stack.json").write_text(
            json.dumps({"ports": {"prefect": free_port()}, "processes": {"prefect": stale}})
        )
        assert repo.anchored("status").returncode == 1
        done = repo.anchored("down")
        assert (done.returncode, other.poll()) == (0, None), done.stderr
        assert "nothing was running" in done.stderr
        other.kill()


def up_in_background(repo: Repo) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "anchored", "up"],
        cwd=repo.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_what_does_not_come_up_or_is_interrupted_leaves_nothing(
    stacked: Repo, request: pytest.FixtureRequest
) -> None:
    repo = stacked
    put_prefect_database(own_folder(repo.root) / "prefect", request.config)
    database = repo.root / "mlflow.db"
    database.write_bytes(b"no database" * 1000)
    done = repo.anchored("up")
    assert done.returncode == 3
    assert "MLflow ended instead of starting" in done.stderr
    assert "file is not a database" in done.stderr
    assert "logs/tracker.log" in done.stderr
    assert strays(repo.root / FOLDER) == []
    assert pids(repo) == {}

    database.unlink()
    for way in (signal.SIGINT, signal.SIGHUP):
        with up_in_background(repo) as starting:
            wait_for(lambda: len(pids(repo)) == 2, timeout=30)
            starting.send_signal(way)
            said = starting.communicate(timeout=60)[1]
        assert starting.returncode == 130, said
        assert strays(repo.root / FOLDER) == []
