"""`prefect deploy --all` on a fresh server, and a worker that does what its deployments say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anchored.history.aliases import run_of_alias
from anchored.records import RunRecord
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo
from tests.services.git_server import GitServer
from tests.services.mlflow_server import MlflowServer
from tests.services.prefect_server import PrefectServer
from tests.services.prefect_worker import Flows, deploy, worker
from tests.services.process import wait_for

Api = Callable[..., Any]

FETCH = """\
import os, pathlib
here = pathlib.Path("data/numbers.csv")
archive = pathlib.Path(os.environ["ARCHIVE"]).read_text().split()
here.parent.mkdir(exist_ok=True)
here.write_text("".join(f"{n}\\n" for n in archive))
"""
RETRAIN = """
[retrain]
metric = "total"
goal = "max"
minimum_improvement = 10
registered_model = "by_url_model"
"""


def set_up_retraining(repo: Repo) -> None:
    repo.write("fetch.py", FETCH)
    inputs = 'inputs = ["data/numbers.csv"]'
    repo.configure(inputs, f'{inputs}\nrefresh = "python fetch.py"')
    repo.write("anchored.toml", (repo.root / "anchored.toml").read_text() + RETRAIN)
    repo.commit("Set up retraining")


def behind_a_url(repo: Repo, git_server: GitServer, tracker: str) -> Path:
    """Leads a repo's remotes and its tracker to where others reach them; its folder on the server."""
    repo.configure("[train.params]", f'[tracker]\nuri = "{tracker}"\n\n[train.params]')
    repo.configure('"sums"', '"by_url"')
    repo.dvc("remote", "modify", "store", "url", str(repo.store))
    origin = git_server.create("by-url")
    repo.git("remote", "set-url", "origin", git_server.url_of("by-url"))
    repo.commit("Move")
    repo.git("push", "--quiet", "origin", "main")
    shutil.rmtree(repo.origin)
    return origin


def artifacts_of(api: Api, flow_run: dict[str, Any]) -> dict[str, Any]:
    """The flow run's artifacts, by the first word of their keys."""
    found = api("artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run["id"]]}})
    return {artifact["key"].split("-")[0]: artifact for artifact in found}


def as_rows(artifact: dict[str, Any]) -> dict[str, str]:
    return {
        row["what"]: row.get("value", row.get("reproduced")) for row in json.loads(artifact["data"])
    }


@pytest.mark.timeout(900)  # a process for each flow run: 180 s beside other tests
def test_a_worker_with_nothing_but_a_url_retrains_and_reproduces_by_name(  # noqa: PLR0917 - fixtures
    repo: Repo,
    prefect_server: PrefectServer,
    mlflow_server: MlflowServer,
    git_server: GitServer,
    api: Api,
    tmp_path: Path,
) -> None:
    go, home, archive = tmp_path / "go", tmp_path / "home", tmp_path / "archive"
    go.touch()
    archive.write_text("".join(f"{n}\n" for n in range(100)))
    set_up_retraining(repo)
    repo.script(
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.1)\n{SCRIPT}"
    )
    origin = behind_a_url(repo, git_server, mlflow_server.url)
    deploy(prefect_server)
    assert_deployed(api)
    home.mkdir()
    own = {"HOME": str(home), "ANCHORED_REPO": git_server.url_of("by-url"), "ARCHIVE": str(archive)}
    flows = Flows(prefect_server)
    with worker(prefect_server, home, **own):
        tonight = flows.ended(flows.start("retrain/nightly", run_name="tonight"))
        assert tonight["state_name"] == "Promoted", flows.log(tonight["id"])
        (run,) = repo.runs()
        assert run.name == "tonight"
        a_run_is_reproduced_by_name(api, flows, run)
        flows.schedule("retrain/nightly", seconds=20)
        skipped = told(api, prefect_server, "Skipped")
        assert skipped["name"] == run.name  # the run that it would have repeated
        go.unlink()
        archive.write_text("".join(f"{n}\n" for n in range(101)))
        wait_for(lambda: is_in_training(api, flows), 240, interval=0.5)
        # What the next one will find; and somebody else has not gone home yet.
        archive.write_text("".join(f"{n}\n" for n in (*range(101), 9)))
        repo.git("pull", "--quiet", "origin", "main")
        repo.write("notes.md", "late\n")
        theirs = repo.commit("Take notes")
        repo.git("push", "--quiet", "origin", "main")
        go.touch()
        promoted = told(api, prefect_server, "Promoted")
        refused = told(api, prefect_server, "Refused")
        flows.schedule("retrain/nightly", None)
    flows.forget_waiting("nightly")
    assert refused["state_type"] == "COMPLETED"
    assert "better by 9, 10 are asked for" in refused["state"]["message"]
    gate = as_rows(artifacts_of(api, refused)["gate"])
    assert (gate["decision"], gate["improvement"]) == ("refused", "9")
    gate = as_rows(artifacts_of(api, promoted)["gate"])
    assert (gate["decision"], gate["improvement"], gate["model version"]) == (
        "passed",
        "100",
        "by_url_model 2",
    )
    last, better, *_ = [r for r in repo.runs() if not r.reproduces]
    assert (last.name, better.name) == (refused["name"], promoted["name"])
    assert run_of_alias(repo.open().tracker, "by_url_model", "champion") == better.run_id
    repo.git("fetch", "--quiet", "origin", "refs/anchored/runs/*:refs/anchored/runs/*")
    assert_sealed(repo, better)
    assert repo.git("rev-parse", better.git.ref, cwd=origin) == better.git.commit
    on_branch = repo.git("rev-list", "main", cwd=origin).split()
    assert {theirs, better.git.commit, better.git.source_commit} <= set(on_branch)
    assert repo.git("show", "main:notes.md", cwd=origin) == "late"


def is_in_training(api: Api, flows: Flows) -> bool:
    """Whether a scheduled retrain has its inputs, and trains until it may go on."""
    query = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
    }
    running = [run["id"] for run in api("flow_runs/filter", **query)]
    return any("inputs are complete" in line for run in running for line in flows.log(run))


def a_run_is_reproduced_by_name(api: Api, flows: Flows, run: RunRecord) -> None:
    flow_run = flows.start("reproduce/by-name", run_name=run.name)
    reproduction = flows.ended(flow_run)
    assert (reproduction["state_name"], reproduction["name"]) == ("Completed", run.name)
    assert {f"commit:{run.git.commit[:12]}", f"data:{run.data[0].md5[:12]}",
            f"model:{run.model[0].md5[:12]}", f"run:{run.name}"} <= set(reproduction["tags"])  # fmt: skip
    assert reproduction["labels"]["git_commit"] == run.git.commit
    assert reproduction["labels"]["dvc_data_md5/data/numbers.csv"] == run.data[0].md5
    shown = artifacts_of(api, reproduction)
    assert as_rows(shown["verdict"])["verdict"] == "identical"
    assert as_rows(shown["lineage"])["commit"] == run.git.commit


def assert_deployed(api: Api) -> None:
    """Every deployment is there, and its form explains itself."""
    listed = api("deployments/filter")
    by_name = {deployment["name"]: deployment for deployment in listed}
    assert {"on-demand", "nightly", "by-name", "weekly"} <= by_name.keys()
    for deployment in by_name.values():
        assert deployment["description"]
        assert deployment["version"]
        assert "anchored" in deployment["tags"]
        form = deployment["parameter_openapi_schema"]["properties"]
        assert all(field["description"] for field in form.values())
        assert "URL" in form["repo"]["description"]
    assert by_name["by-name"]["parameter_openapi_schema"]["required"] == ["run_name"]
    for name in ("nightly", "weekly"):
        assert by_name[name]["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        (schedule,) = by_name[name]["schedules"]
        assert schedule["schedule"]["timezone"]


def told(api: Api, server: PrefectServer, outcome: str) -> dict[str, Any]:
    """The first scheduled retrain that ended in this state."""
    query = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"name": {"any_": [outcome]}}},
        "sort": "START_TIME_ASC",
    }

    def scheduled() -> list[dict[str, Any]]:
        return [run for run in api("flow_runs/filter", **query) if run["auto_scheduled"]]

    wait_for(lambda: bool(scheduled()), 120, interval=0.5)
    return Flows(server).get(scheduled()[0]["id"])
