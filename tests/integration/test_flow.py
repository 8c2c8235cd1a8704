"""The `experiment` flow on a real Prefect server: what its UI shows, what its retries do."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo, result_of
from tests.served import Served
from tests.services.git_http import PASSWORD, GitHttpServer
from tests.services.git_server import GitServer
from tests.services.mlflow_server import MlflowServer
from tests.services.prefect_server import PrefectServer
from tests.services.proxy import Proxy


def of_flow_run(flow_run_id: str) -> dict[str, Any]:
    return {"flow_runs": {"id": {"any_": [flow_run_id]}}}


def test_the_flow_run_carries_commit_and_hashes(
    repo: Repo, prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    name = "a name with 'quotes', {braces}, /slashes/ and é"
    done = repo.anchored("run", name, "-p", "power=2", "--json", **prefect_server.env)
    document = result_of(done)
    run = repo.runs()[0]
    assert_sealed(repo, run)
    assert document == run.with_(environment=document["environment"]).to_json()

    flow_run_id = document["prefect"]["flow_run_id"]
    (flow_run,) = api("flow_runs/filter", **of_flow_run(flow_run_id))
    assert flow_run["name"] == name
    assert flow_run["state_type"] == "COMPLETED"
    assert set(flow_run["tags"]) == {
        f"run:{name}",
        f"commit:{run.git.commit[:12]}",
        f"data:{run.data[0].md5[:12]}",
        f"model:{run.model[0].md5[:12]}",
    }
    labels = flow_run["labels"]
    assert labels["git_commit"] == run.git.commit
    assert labels[f"dvc_model_md5/{run.model[0].path}"] == run.model[0].md5

    steps = api("task_runs/filter", **of_flow_run(flow_run_id))
    names = {step["id"]: step["name"] for step in steps}
    arrows = {
        names[origin["id"]]: step["name"]
        for step in steps
        for origin in step["task_inputs"].get("run", ())
    }
    drawn = ["open run"]
    while drawn[-1] in arrows:
        drawn.append(arrows[drawn[-1]])
    assert drawn == [
        "open run", "version data", "dvc push data", "dvc fetch inputs", "train and log",
        "version model", "dvc push model", "git push run ref", "seal run",
    ]  # fmt: skip
    (table,) = api("artifacts/filter", **of_flow_run(flow_run_id))
    assert table["type"] == "table"
    assert run.git.commit in table["data"]
    assert run.model[0].md5 in table["data"]
    assert f"MLflow at {run.tracker.uri}" in table["data"]
    logs = api("logs/filter", logs={"flow_run_id": {"any_": [flow_run_id]}})
    assert any(f"total is {run.metrics['total']:.0f}" in entry["message"] for entry in logs)


def test_progress_goes_to_stderr_and_the_result_to_stdout(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    done = repo.anchored_started("run", "one", **prefect_server.env)
    assert done.returncode == 0, done.stderr
    assert "version data" in done.stderr
    assert "total is 4950" in done.stderr
    assert "total is" not in done.stdout
    assert repo.runs()[0].git.commit in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "Prefect" not in done.stderr


def test_wrong_use_starts_no_flow(
    repo: Repo, prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    before = api("flow_runs/count")
    done = repo.anchored("run", "one", "-p", "speed=3", **prefect_server.env)
    assert done.returncode == 2
    assert "unknown parameter 'speed'" in done.stderr
    assert done.stderr.count("\n") == 2
    assert api("flow_runs/count") == before


def test_without_an_answer_from_prefect_nothing_is_begun(repo: Repo) -> None:
    done = repo.anchored("run", "one", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 3, done.stderr
    assert "the Prefect server" in done.stderr
    assert "Traceback" not in done.stderr
    assert repo.runs() == []


BY_URL = """\
from flows.audit import audit
from flows.experiment import experiment
from flows.reproduce import reproduce

sealed = experiment(run_name="one")
print(sealed.branch.commit, reproduce(run_name="one").verdict, audit().is_clean)
"""


def test_flows_take_the_repo_by_its_url(
    served: Served,
    git_http_server: GitHttpServer,
    prefect_server: PrefectServer,
    api: Callable[..., Any],
    isolated: Path,
) -> None:
    (isolated / ".gitconfig").unlink()
    url = git_http_server.url_of(served.name)
    done = subprocess.run(
        [sys.executable, "-c", BY_URL],
        cwd=isolated, env={**os.environ, **prefect_server.env, "ANCHORED_REPO": url},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{served.served()} identical True"
    run = served.runs()[-1]
    assert run.git.commit == served.served() == served.served(run.git.ref)
    flow_runs = api("flow_runs/filter", flow_runs={"name": {"any_": [f"audit {served.name}"]}})
    assert len(flow_runs) == 1, "named without cloning"
    steps = api("task_runs/filter", **of_flow_run(run.prefect.flow_run_id))
    assert "git clone or fetch" in [step["name"] for step in steps]
    logs = api("logs/filter", logs={"flow_run_id": {"any_": [run.prefect.flow_run_id]}})
    assert any("cloning http://127.0.0.1" in entry["message"] for entry in logs)
    said = done.stdout + done.stderr + str(logs) + str(steps) + str(flow_runs)
    assert PASSWORD not in said


def test_a_server_that_is_away_for_a_moment_is_asked_again_for_its_clone(
    served: Served,
    proxy: Callable[[int], Proxy],
    git_server: GitServer,
    prefect_server: PrefectServer,
    tmp_path: Path,
) -> None:
    between = proxy(git_server.port)
    between.refuse()
    url = git_server.url_of(served.name, port=between.port)
    flow = f"from flows.audit import audit; print(audit(repo={url!r}).runs)"
    with subprocess.Popen(
        [sys.executable, "-c", flow], cwd=tmp_path, env={**os.environ, **prefect_server.env},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "cannot clone" in line:
                between.heal()
                break
        out, said = process.communicate(timeout=120)
    assert (process.returncode, out.strip()) == (0, "0"), said


# A picture of one pixel, and one that no page should carry.
PLOTTING = """\
import base64, pathlib
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
pathlib.Path("plots").mkdir()
pathlib.Path("plots/loss.png").write_bytes(base64.b64decode(PNG))
pathlib.Path("plots/large.png").write_bytes(base64.b64decode(PNG) + bytes(200_000))
"""


def plotting(repo: Repo) -> Repo:
    repo.configure('["report-*.txt"]', '["report-*.txt", "plots/*.png"]')
    repo.script(SCRIPT + PLOTTING)
    return repo


def pictures(api: Callable[..., Any], document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = api("artifacts/filter", **of_flow_run(document["prefect"]["flow_run_id"]))
    return {a["key"]: a for a in found if a["key"].startswith("plot-")}


def test_plots_are_links_to_the_tracker_server(
    repo: Repo, prefect_server: PrefectServer, mlflow_server: MlflowServer, api: Callable[..., Any]
) -> None:
    repo.configure("[train.params]", f'[tracker]\nuri = "{mlflow_server.url}"\n\n[train.params]')
    document = result_of(plotting(repo).anchored("run", "a_b", "--json", **prefect_server.env))
    shown = pictures(api, document)
    assert shown.keys() == {"plot-sums-plots-loss-png", "plot-sums-plots-large-png"}
    loss = shown["plot-sums-plots-loss-png"]
    assert loss["description"] == r"plots/loss\.png of run **a\_b**"
    answer = httpx.get(loss["data"])
    assert loss["type"] == "image"
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == repo.artifact(document["run_id"], "plots/loss.png")


def test_small_plots_are_embedded_and_what_cannot_be_shown_fails_no_run(
    repo: Repo, prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    document = result_of(plotting(repo).anchored("run", "one", "--json", **prefect_server.env))
    shown = pictures(api, document)
    assert shown.keys() == {"plot-sums-plots-loss-png"}
    head, _, content = shown["plot-sums-plots-loss-png"]["data"].partition(";base64,")
    assert head == r"![plots/loss\.png](data:image/png"
    assert base64.b64decode(content.removesuffix(")")) == repo.artifact(
        document["run_id"], "plots/loss.png"
    )

    with closing(sqlite3.connect(prefect_server.database, timeout=30)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON artifact "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        try:
            done = repo.anchored("run", "two", **prefect_server.env)
        finally:
            database.execute("DROP TRIGGER full")
    assert done.returncode == 0, done.stderr
    assert "warning: Prefect's page does not show all of this run" in done.stderr
    assert_sealed(repo, repo.runs()[0])
