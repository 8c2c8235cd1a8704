"""`anchored reproduce` as a user runs it: exit codes, JSON, the table, and what Prefect shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from anchored.records import RunRecord
from tests.integration.test_reproduce import NOISY, forget_cache, object_of
from tests.repos import Repo, result_of
from tests.services.mlflow_server import MlflowServer
from tests.services.prefect_server import PrefectServer

KEYS = ["run", "name", "verdict", "reproduction", "checks", "causes", "seconds"]


def test_an_identical_result_is_told_everywhere(
    repo: Repo, prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    run = repo.run('it\'s "one"')
    forget_cache(repo)
    document = result_of(repo.anchored("reproduce", run.name, "--json", **prefect_server.env))
    assert list(document) == KEYS
    assert (document["run"], document["name"]) == (run.run_id, run.name)
    assert document["verdict"] == "identical"
    assert document["causes"] == []
    assert {"what": "metric total", "recorded": 4950.0, "reproduced": 4950.0, "equal": True,
            "within": True} in document["checks"]  # fmt: skip

    tags = repo.tags(document["reproduction"])
    mine = {"flow_runs": {"id": {"any_": [tags["prefect.flow_run_id"]]}}}
    (flow_run,) = api("flow_runs/filter", **mine)
    assert flow_run["name"] == run.name
    assert (flow_run["state_type"], flow_run["state_name"]) == ("COMPLETED", "Completed")
    assert flow_run["state"]["message"] == f"{run.name} is identical"
    assert {f"run:{run.name}", f"commit:{run.git.commit[:12]}"} <= set(flow_run["tags"])
    assert flow_run["labels"]["dvc_model_md5/models/model.bin"] == run.model[0].md5
    tables = api("artifacts/filter", **mine)
    assert {table["key"] for table in tables} == {"lineage-sums", "verdict-sums"}
    (verdict,) = [table for table in tables if table["key"] == "verdict-sums"]
    _, model, metric = json.loads(verdict["data"])[:3]
    assert model["recorded"] == run.model[0].md5
    assert metric == {
        "what": "metric total", "equal": "yes", "recorded": "4950", "reproduced": "4950",
    }  # fmt: skip
    assert list(metric) == ["what", "equal", "recorded", "reproduced"], "as the page orders them"
    assert "is **identical**" in verdict["description"]
    steps = api("task_runs/filter", **mine)
    assert {step["name"] for step in steps} == {
        "locate run", "open reproduction", "dvc fetch run", "train again", "judge",
    }  # fmt: skip
    shown = repo.anchored("show", run.name)
    assert "identical" in shown.stdout


def test_the_flow_run_links_to_the_run_and_to_its_reproduction(
    repo: Repo, prefect_server: PrefectServer, mlflow_server: MlflowServer, api: Callable[..., Any]
) -> None:
    repo.configure("[train.params]", f'[tracker]\nuri = "{mlflow_server.url}"\n\n[train.params]')
    run = repo.run("one")
    document = result_of(repo.anchored("reproduce", run.run_id, "--json", **prefect_server.env))
    tags = repo.tags(document["reproduction"])
    mine = {"flow_runs": {"id": {"any_": [tags["prefect.flow_run_id"]]}}}
    links = {a["key"]: a["data"] for a in api("artifacts/filter", **mine) if a["type"] != "table"}
    assert links.keys() == {"tracker-sums", "reproduction-sums"}
    assert run.run_id in links["tracker-sums"]
    assert document["reproduction"] in links["reproduction-sums"]


def test_a_result_that_does_not_hold_has_exit_code_1(
    repo: Repo, prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    repo.script(NOISY)
    repo.run("one")
    done = repo.anchored("reproduce", "one", **prefect_server.env)
    assert done.returncode == 1
    assert "one is different" in done.stdout
    assert "training is not deterministic" in done.stdout
    (flow_run,) = api("flow_runs/filter", sort="START_TIME_DESC", limit=1)
    assert (flow_run["state_type"], flow_run["state_name"]) == ("COMPLETED", "Different")
    assert flow_run["state"]["message"].startswith("one is different\ntraining is not determ")
    near = repo.anchored("reproduce", "one", "--tolerance", "total=1", **prefect_server.env)
    assert near.returncode == 0, near.stderr
    assert "one is equivalent" in near.stdout


def test_what_is_lost_is_a_verdict_and_what_is_silent_a_failed_service(
    sealed: tuple[Repo, RunRecord], prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    repo, run = sealed
    forget_cache(repo)
    kept = object_of(repo, run.data[0].md5)
    kept.rename(repo.store.with_name("kept"))
    (repo.root / "data/numbers.csv").unlink()
    done = repo.anchored("reproduce", "one", "--json", **prefect_server.env)
    assert done.returncode == 1, done.stderr
    assert run.data[0].md5 in done.stdout
    (flow_run,) = api("flow_runs/filter", sort="START_TIME_DESC", limit=1)
    assert (flow_run["state_type"], flow_run["state_name"]) == ("COMPLETED", "Not reproduced")
    repo.store.rename(repo.store.with_name("away"))
    repo.store.touch()
    done = repo.anchored("reproduce", "one", **prefect_server.env)
    assert done.returncode == 3, done.stderr
    assert "hint:" in done.stderr
    (flow_run,) = api("flow_runs/filter", sort="START_TIME_DESC", limit=1)
    assert flow_run["state_type"] == "FAILED"
    assert "\nhint: " in flow_run["state"]["message"]


WRONG = [
    (["nobody"], "no run answers to 'nobody'"),
    (["one", "--tolerance", "total"], "METRIC=NUMBER"),
    (["one", "--tolerance", "accuracy=1"], "has no metric 'accuracy'"),
    (["one", "--repeat", "0"], "at least 1"),
    (["@champion"], "alias"),
]


def test_wrong_use_is_named_and_makes_no_run(
    sealed: tuple[Repo, RunRecord], prefect_server: PrefectServer
) -> None:
    repo, _ = sealed
    for arguments, said in WRONG:
        done = repo.anchored("reproduce", *arguments, **prefect_server.env)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert len(repo.runs()) == 1
