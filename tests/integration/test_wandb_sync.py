"""Runs that were recorded offline are brought to a server by `wandb sync`, and lose nothing."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from anchored.adapters.wandb.online import OnlineRuns
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.history.find import found
from anchored.records import RunRecord
from tests.repos import Repo
from tests.services.wandb_standin import WandbStandin

JOINING = """\
import json, os, pathlib, wandb
run = wandb.init(config={"lags": 7})
for step in range(3):
    run.log({"loss": 1 / (1 + step)})
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_bytes(b"weights")
pathlib.Path("metrics.json").write_text(json.dumps({"total": 4950}))
"""


@pytest.fixture
def offline(repo: Repo) -> Repo:
    repo.configure(
        'experiment = "sums"',
        f'experiment = "{uuid.uuid4().hex}"\n'
        'tracker = {kind = "wandb", mode = "offline"}\n'
        'retrain = {metric = "total", registered_model = "sums"}',
    )
    repo.script(JOINING)
    return repo


@pytest.fixture
def standin(wandb_standin: WandbStandin, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStandin]:
    """The stand-in as the server that everything goes to that is not told to stay offline."""
    monkeypatch.setenv("WANDB_API_KEY", wandb_standin.api_key)
    monkeypatch.setenv("WANDB_BASE_URL", wandb_standin.url)
    yield wandb_standin
    wandb.teardown()
    assert wandb_standin.unknown == []


def synced(repo: Repo) -> None:
    """All that is there, in one call, as a user types it."""
    folders = sorted(str(f) for f in (repo.root / "wandb").glob("offline-run-*"))
    assert len(folders) > 2
    subprocess.run(
        ["wandb", "sync", *folders], cwd=repo.root, env=dict(os.environ), check=True,
        capture_output=True,
    )  # fmt: skip


def by_hand(standin: WandbStandin, run: RunRecord) -> Any:
    return wandb.Api(overrides={"base_url": standin.url}).run(f"{run.experiment}/{run.run_id}")


def test_config_summary_history_files_and_model_are_on_the_server(
    offline: Repo, standin: WandbStandin, tmp_path: Path
) -> None:
    run = offline.run("one")
    here = offline.open().tracker.run(run.run_id)
    synced(offline)
    there = WandbTracker(OnlineRuns(standin.url, project=run.experiment))
    kept = there.run(run.run_id)
    assert (kept.name, kept.tags, kept.params) == (here.name, here.tags, here.params)
    assert (kept.metrics, kept.ending, kept.started) == (here.metrics, here.ending, here.started)
    assert kept.tags["anchored.state"] == "sealed"
    assert kept.tags["git_commit"] == run.git.commit
    for path in ("anchored/run.json", "anchored/environment.json", "anchored/train.log"):
        assert there.artifact(run.run_id, path) == offline.artifact(run.run_id, path) != None  # noqa: E711
    seen = by_hand(standin, run)
    assert seen.state == "finished"
    assert [row["loss"] for row in seen.scan_history(keys=["loss"])] == [1, 1 / 2, 1 / 3]
    (model,) = seen.logged_artifacts()
    assert model.metadata["dvc_model_md5"] == run.model[0].md5
    (file,) = (f for f in Path(model.download(root=str(tmp_path / "model"))).iterdir())
    assert file.read_bytes() == b"weights"


def test_a_synced_run_is_reproduced_audited_and_promoted_online(
    offline: Repo, standin: WandbStandin
) -> None:
    run = offline.run("one")
    synced(offline)
    offline.configure('mode = "offline"', 'mode = "online"')
    again = offline.reproduce("one")
    assert (again.run, str(again.verdict)) == (run.run_id, "identical")
    assert by_hand(standin, run).config["anchored.verdict"] == "identical"
    assert by_hand(standin, run).state == "finished"
    assert offline.audit().findings == ()
    version = offline.promote("one")
    assert version.aliases == ("champion",)
    assert found(offline.open(), "@champion").run_id == run.run_id
    (model,) = by_hand(standin, run).logged_artifacts()
    assert model.linked_artifacts, "what was synced is linked, and nothing is uploaded again"
