"""Runs in MLflow's file store of old: written by MLflow itself, read by us, and joined by no new
run of ours.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anchored.adapters.mlflow.tracker import MlflowTracker
from anchored.errors import ConfigError, NotReady, UnknownRun
from anchored.records import Ended
from tests.contract.backends import scripted, trained
from tests.repos import Repo, result_of

ALLOW = "MLFLOW_ALLOW_FILE_STORE"
WRITE = """\
import mlflow, pathlib, sys

mlflow.set_experiment("sums")
for name, commit in (("one", "a" * 40), ("two", "b" * 40), ("same", "c" * 40), ("same", "d" * 40)):
    with mlflow.start_run(run_name=name) as run:
        mlflow.log_param("lags", 6)
        mlflow.log_metric("val/rmse", 0.25)
        mlflow.log_metric("val/nan", float("nan"))
        mlflow.set_tags({"git_commit": commit, "dvc_data_md5": "1" * 32, "dvc_model_md5": "2" * 32})
        mlflow.log_text("{}", "notes/by hand.txt")
        print(run.info.run_id)
"""


def written(root: Path, code: str = WRITE) -> list[str]:
    """Runs written into `mlruns` by MLflow; their ids."""
    env = {**os.environ, ALLOW: "true", "MLFLOW_TRACKING_URI": (root / "mlruns").as_uri()}
    done = scripted(code, cwd=root, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a store `mlruns` in it, which no test writes to; and the ids of its runs."""
    root = tmp_path_factory.mktemp("old store")
    return root, written(root)


def tracker_at(uri: str, root: Path, lock: Path) -> MlflowTracker:
    return MlflowTracker(uri, experiment="sums", root=root, lock=lock / "lock")


@pytest.mark.parametrize(
    "form", ["mlruns", "./mlruns", "{}", "file:mlruns", "file:./mlruns", "url"]
)
def test_runs_of_old_are_read_wherever_the_uri_says_they_are(
    store: tuple[Path, list[str]], tmp_path: Path, form: str
) -> None:
    root, (one, two, *same) = store
    place = root / "mlruns"
    before = snapshot(root)
    tracker = tracker_at(place.as_uri() if form == "url" else form.format(place), root, tmp_path)
    assert [run.run_id for run in tracker.runs()] == [*reversed(same), two, one]
    assert [run.run_id for run in tracker.runs(2)] == [*reversed(same)]
    assert [run.run_id for run in tracker.runs_named("two")] == [two]
    assert {run.run_id for run in tracker.runs_named("same")} == set(same)
    assert [run.run_id for run in tracker.runs_starting_with(one[:8])] == [one]
    assert [run.run_id for run in tracker.runs_tagged("git_commit", "b" * 40)] == [two]
    run = tracker.run(one)
    assert (run.name, run.experiment, run.ending) == ("one", "sums", Ended.FINISHED)
    assert run.params == {"lags": "6"}
    assert run.metrics == {"val/rmse": 0.25}
    assert run.tags["dvc_data_md5"] == "1" * 32
    assert tracker.artifact(one, "notes/by hand.txt") == b"{}"
    assert tracker.artifact(one, "notes/other.txt") is None
    assert tracker.artifacts([run], "notes/by hand.txt") == {one: b"{}"}
    with pytest.raises(UnknownRun):
        tracker.run("0" * 32)
    assert snapshot(root) == before
    assert ALLOW not in os.environ


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and time."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in files}


def test_an_experiment_that_is_not_there_has_no_runs(
    store: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root, _ = store
    before = snapshot(root)
    tracker = MlflowTracker("mlruns", experiment="it's", root=root, lock=tmp_path / "lock")
    assert list(tracker.runs()) == []
    assert snapshot(root) == before


def test_a_reproduction_is_recorded_beside_them(tmp_path: Path) -> None:
    one, *_ = written(tmp_path)
    tracker = tracker_at("mlruns", tmp_path, tmp_path)
    began = datetime.now(UTC)
    run = tracker.open_run(name="again", tags={"anchored.reproduces": one}, started=began)
    tags = {"dvc_data_md5": "1" * 32, "dvc_data_md5/data/a (b).csv": "1" * 32, "a//b": "c"}
    tracker.log(run.run_id, tags=tags)
    tracker.log(one, tags={"anchored.verdict": "identical"})
    tracker.log(run.run_id, params={"lags": 6, "deep/er": 1}, metrics={"rmse": 0.25, "rmse/a": 1.0})
    tracker.end_run(run.run_id, Ended.FINISHED, name="again", ended=began)
    fresh = tracker_at("mlruns", tmp_path, tmp_path)
    again = fresh.run(run.run_id)
    assert {key: again.tags[key] for key in tags} == tags
    assert again.params == {"lags": "6", "deep/er": "1"}
    assert again.metrics == {"rmse": 0.25, "rmse/a": 1.0}
    assert again.ending == Ended.FINISHED
    assert fresh.run(one).tags["anchored.verdict"] == "identical"
    assert again.experiment == fresh.run(one).experiment


def test_a_script_joins_its_reproduction_there(tmp_path: Path) -> None:
    written(tmp_path)
    tracker = tracker_at("mlruns", tmp_path, tmp_path)
    run_id = tracker.open_run(name="again", tags={}, started=datetime.now(UTC)).run_id
    code = "import mlflow\nmlflow.start_run()\nmlflow.log_metric('m', 1)"
    done = trained(code, tracker, run_id, tmp_path)
    assert done.returncode == 0, done.stderr
    assert tracker.run(run_id).metrics == {"m": 1.0}


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    tracker = tracker_at("mlruns", tmp_path, tmp_path)
    with pytest.raises(NotReady, match="mlruns"):
        list(tracker.runs())
    assert not (tmp_path / "mlruns").exists()


@pytest.fixture
def old(repo: Repo) -> Repo:
    """A repo whose tracker is a file store with runs in it."""
    repo.configure("[train.params]", '[tracker]\nuri = "mlruns"\n\n[train.params]')
    written(repo.root)
    return repo


def test_a_file_store_is_looked_at_and_no_new_run_is_made_in_it(old: Repo) -> None:
    before = snapshot(old.root / "mlruns")
    with pytest.raises(ConfigError, match="'mlruns' is a file store") as raised:
        old.run("new")
    assert raised.value.key == "tracker.uri"
    done = old.anchored("run", "new")
    assert done.returncode == 2
    assert "'mlruns' is a file store, which MLflow no longer writes" in done.stderr
    assert "sqlite:///mlflow.db" in done.stderr
    assert snapshot(old.root / "mlruns") == before

    # The commands that look work on it.
    listed = result_of(old.anchored("list", "--json"))
    assert [run["name"] for run in listed] == ["same", "same", "two", "one"]
    shown = result_of(old.anchored("show", "one", "--json"))
    assert shown["git"]["commit"] == "a" * 40
    assert shown["model"][0]["md5"] == "2" * 32
    assert shown["tracker"]["uri"] == (old.root / "mlruns").as_uri()
    ambiguous = old.anchored("show", "same")
    assert ambiguous.returncode == 2
    assert "fits 2 runs" in ambiguous.stderr
    different = result_of(old.anchored("diff", "one", "two", "--json"))
    assert "commit missing" in different["code"]["problem"]
    assert old.anchored("list").stderr == ""
