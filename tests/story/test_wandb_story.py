"""The showcase with W&B in MLflow's place: offline, without a server, an account or a network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from anchored.decisions.gate import Outcome
from anchored.errors import AmbiguousRun, BadInput
from anchored.history.find import found
from anchored.run.input_folder import behind_in_folder
from tests.killed import assert_nothing_is_left, assert_published_is_whole, kill, resume
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo, result_of
from tests.services.prefect_server import PrefectServer

CONFIG = """\
[tracker]
kind = "wandb"
mode = "offline"

[retrain]
metric = "total"
goal = "max"
registered_model = "sums_model"

[train.params]
"""
FETCH = """\
import pathlib
pathlib.Path("data").mkdir(exist_ok=True)
pathlib.Path("data/numbers.csv").write_text("1\\n2\\n3000\\n40000\\n")
"""
PLOTTING = """\
pathlib.Path("report-1.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
"""


@pytest.fixture
def offline(repo: Repo) -> Repo:
    """The repo, with its runs recorded by W&B in its folder."""
    repo.configure("[train.params]\n", CONFIG)
    return repo


def test_runs_are_facts_and_the_best_is_the_champion(offline: Repo) -> None:
    repo = offline
    first = repo.run("v1")
    assert_sealed(repo, first)
    assert repo.promote("v1").aliases == ("champion",)

    repo.write("fetch.py", FETCH)
    repo.configure("[train]", 'refresh = "python fetch.py"\n\n[train]')
    retrained = repo.retrain("more")
    assert (retrained.outcome, retrained.run.metrics) == (Outcome.PROMOTED, {"total": 43003})
    assert_sealed(repo, retrained.run)
    assert repo.retrain().outcome == Outcome.SKIPPED
    assert repo.retrain("less", params={"power": 0}).outcome == Outcome.REFUSED
    assert found(repo.open(), "@champion").run_id == retrained.run.run_id
    assert repo.reproduce("@champion").verdict == "identical"

    with pytest.raises(BadInput, match="an earlier version of it"):
        repo.run("v1", params={"power": 2})
    assert behind_in_folder(repo.open(), pull=True) == ()
    again = repo.run("v1", params={"power": 2})
    assert again.data == retrained.run.data
    with pytest.raises(AmbiguousRun) as refused:
        repo.reproduce("v1")
    assert [line.split()[0] for line in refused.value.candidates] == [again.run_id, first.run_id]
    assert repo.reproduce(first.run_id).verdict == "identical"

    audit = repo.audit(deep=True)
    assert (audit.runs, audit.reproducible, audit.findings) == (4, 4, ())
    assert "wandb" not in repo.git("status", "--porcelain")


def test_cut_off_by_a_kill_a_run_is_closed_or_finished(
    offline: Repo, prefect_server: PrefectServer
) -> None:
    repo = offline
    repo.script("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "anchored", "run", "cut"], cwd=repo.root, text=True,
        env={**os.environ, **prefect_server.env}, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any("begun" in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGKILL)
    resumed = repo.anchored("resume")
    assert (resumed.returncode, "closed as failed" in resumed.stderr) == (0, True)
    (cut,) = repo.runs()
    assert (cut.name, cut.state, cut.ended > cut.started) == ("cut", "failed", True)

    repo.script(SCRIPT)
    kill(repo, "before code.publish")
    assert [run.name for run in resume(repo)] == ["one"]
    assert_published_is_whole(repo)
    assert_nothing_is_left(repo)


def test_prefect_s_page_shows_a_run_that_has_none_of_its_own(
    offline: Repo, prefect_server: PrefectServer, api: Callable[..., Any]
) -> None:
    offline.configure('["report-*.txt"]', '["report-*"]')
    offline.script(SCRIPT + PLOTTING)
    run = result_of(offline.anchored("run", "one", "--json", **prefect_server.env))
    assert (run["state"], run["tracker"]["url"]) == ("sealed", "")
    of_run = {"flow_runs": {"id": {"any_": [run["prefect"]["flow_run_id"]]}}}
    shown = {one["key"]: one["data"] for one in api("artifacts/filter", **of_run)}
    assert shown.keys() == {"lineage-sums", "plot-sums-report-1-svg"}
    assert f"W&B at {(offline.root / 'wandb').as_uri()}" in shown["lineage-sums"]
    assert "(data:image/svg+xml;base64," in shown["plot-sums-report-1-svg"]
