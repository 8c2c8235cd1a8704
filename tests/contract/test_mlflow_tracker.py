"""What MLflow alone promises to a run: at a tracking URI that is a database, a server or a folder
of old.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from anchored.adapters.mlflow.tracker import MlflowTracker
from anchored.errors import DeletedRun, NotReady, TrackerFailed, UnknownRun
from anchored.history.aliases import run_of_alias
from anchored.ports import LoggedFiles
from tests.contract.backends import MLFLOW, NOW, Mlflow, content_at, made, opened, trained
from tests.repos import Repo
from tests.services.mlflow_server import MlflowServer


@pytest.fixture(params=MLFLOW)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Mlflow:
    backend: Mlflow = made(request.param, request, tmp_path)
    return backend


@pytest.fixture
def tracker(backend: Mlflow) -> MlflowTracker:
    return backend.tracker()


def test_an_experiment_is_found_from_wherever_it_is_looked_for(
    tracker: MlflowTracker, backend: Mlflow
) -> None:
    run_id = opened(tracker)
    fresh = backend.tracker_at(tracker.uri, tracker._experiment, root=Path("/nowhere"))
    assert [run.run_id for run in fresh.runs(1)] == [run_id]


def test_looking_makes_no_database(tmp_path: Path) -> None:
    tracker = Mlflow("sqlite:///new.db", tmp_path).tracker()
    assert list(tracker.runs()) == tracker.runs_named("one", everywhere=True) == []
    assert tracker.runs_starting_with("abcdef") == []
    assert tracker.version_of_alias("model", "champion") is None
    with pytest.raises(UnknownRun, match="has no run"):
        tracker.run("0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_run_is_known_by_its_id_alone_until_it_is_restored(
    tracker: MlflowTracker, backend: Mlflow
) -> None:
    run_id = opened(tracker)
    other = backend.tracker()
    other_id = opened(other)
    tracker._client.delete_run(run_id)
    tracker._client.delete_experiment(other._experiment_id)
    assert list(tracker.runs()) == []
    found = {run.run_id: run.deleted for run in backend.tracker().runs_by_id([run_id, other_id])}
    assert found == {run_id: True, other_id: True}
    with pytest.raises(DeletedRun, match="was deleted in MLflow") as raised:
        tracker.run(run_id)
    assert f"mlflow runs restore --run-id {run_id}" in (raised.value.hint or "")
    with pytest.raises(DeletedRun, match="with its experiment") as raised:
        tracker.run(other_id)
    restoring = f"mlflow experiments restore --experiment-id {other._experiment_id}"
    assert restoring in (raised.value.hint or "")
    with pytest.raises(NotReady, match="is deleted") as refused:
        backend.tracker(other._experiment).open_run(name="one", tags={}, started=NOW)
    assert restoring in (refused.value.hint or "")
    tracker._client.restore_run(run_id)
    tracker._client.restore_experiment(other._experiment_id)
    assert not any(run.deleted for run in tracker.runs_by_id([run_id, other_id]))
    assert tracker.run(run_id).name == other.run(other_id).name == "one"


def test_a_run_of_a_renamed_experiment_is_found_by_its_id(
    tracker: MlflowTracker, backend: Mlflow
) -> None:
    run_id = opened(tracker)
    tracker._client.rename_experiment(tracker._experiment_id, name := uuid.uuid4().hex)
    (found,) = backend.tracker(tracker._experiment).runs_by_id([run_id])
    assert (found.experiment, found.deleted) == (name, False)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "mlruns"])
def test_artifacts_are_found_and_logged_where_a_repository_was_moved_to(
    tmp_path: Path, template: Path, uri: str
) -> None:
    old, new = tmp_path / "old place", tmp_path / "new"
    old.mkdir()
    if uri == "mlruns":
        (old / "mlruns").mkdir()
    else:
        (old / "mlflow.db").write_bytes((template / "work/mlflow.db").read_bytes())
    before = Mlflow(uri, old).tracker("sums")
    run_id = opened(before)
    before.log(run_id, files=LoggedFiles(texts={"anchored/a": b"1"}))
    old.rename(new)
    tracker = Mlflow(uri, new).tracker("sums")
    later = opened(tracker, "later")
    tracker.log(later, files=LoggedFiles(texts={"anchored/a": b"2"}))
    assert [tracker.artifact(one, "anchored/a") for one in (run_id, later)] == [b"1", b"2"]
    assert tracker.artifact(later, "anchored/b") is None
    both = tracker.artifacts(list(tracker.runs()), "anchored/a")
    assert both == {run_id: b"1", later: b"2"}
    assert not old.exists()


def test_a_metric_logged_twice_has_one_point(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    for _ in range(2):
        tracker.log(run_id, metrics={"rmse": 0.25})
    assert len(tracker._client.get_metric_history(run_id, "rmse")) == 1


def test_a_key_that_mlflow_does_not_take_is_left_out(tracker: MlflowTracker) -> None:
    run_id, long = opened(tracker), "x" * 20_000
    tracker.log(run_id, params={long: 1, "p": 1}, metrics={long: 1.0, "m": 1.0})
    run = tracker.run(run_id)
    assert (run.params, run.metrics) == ({"p": "1"}, {"m": 1.0})


@pytest.mark.parametrize("own", [
    "mlflow.set_tracking_uri('sqlite:///own.db')", "mlflow.set_experiment('my own')",
])  # fmt: skip
def test_a_script_with_a_store_or_experiment_of_its_own_is_recognised(
    tracker: MlflowTracker, tmp_path: Path, template: Path, own: str
) -> None:
    (tmp_path / "own.db").write_bytes((template / "work/mlflow.db").read_bytes())
    run_id = opened(tracker)
    done = trained(f"import mlflow\n{own}\nmlflow.start_run()", tracker, run_id, tmp_path)
    assert done.returncode != 0
    assert tracker.refuses_to_join(run_id, done.stderr.splitlines()[-40:]), done.stderr
    assert not tracker.refuses_to_join(run_id, ["Traceback", f"KeyError: {run_id}"])


def test_a_deleted_experiment_is_not_ready(tracker: MlflowTracker, backend: Mlflow) -> None:
    opened(tracker)
    tracker._client.delete_experiment(tracker._experiment_id)
    fresh = backend.tracker_at(tracker.uri, tracker._experiment, root=Path("/nowhere"))
    with pytest.raises(NotReady, match="is deleted"):
        opened(fresh)


def test_a_database_that_cannot_be_opened_fails_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database, and not an empty file either" * 100)
    with pytest.raises(TrackerFailed, match=r"broken\.db"):
        opened(Mlflow("sqlite:///broken.db", tmp_path).tracker())


def test_a_whole_run_is_recorded_by_a_server(
    mlflow_server: MlflowServer, repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.configure(
        'experiment = "sums"', f'experiment = "far"\ntracker.uri = "{mlflow_server.url}"'
    )
    run = repo.run('say "it\'s" 100%')
    assert repo.tags(run.run_id)["anchored.state"] == "sealed"
    assert run.tracker.url.startswith(mlflow_server.url)
    assert repo.artifact(run.run_id, "anchored/train.log") == b"total is 4950\n"
    assert capfd.readouterr().out == "", "a command's output is one JSON document and nothing else"


def test_a_version_that_others_made_without_a_run_is_told(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run_id = opened(tracker)
    model = tracker._client.create_registered_model(uuid.uuid4().hex).name
    # A server takes no source without a run but one that is far away.
    made = tracker._client.create_model_version(model, "s3://bucket/model")
    version = tracker.set_alias(model, "champion", made.version)
    assert (version.run_id, version.usage) == ("", "")
    with pytest.raises(UnknownRun, match=r"@champion is version 1 .* names no run"):
        run_of_alias(tracker, model, "champion")
    own = tracker.register(run_id, content_at(tmp_path / "content"), model=model, tags={})
    assert own.version == "2"


def test_two_machines_that_register_at_once_make_one_version(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looks before the first has made its version, and finds it afterwards."""
    model, run_id = uuid.uuid4().hex, opened(tracker)
    create = tracker._client.create_model_version

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        create(*args, **kwargs)
        return create(*args, **kwargs)

    monkeypatch.setattr(tracker._client, "create_model_version", overtaken)
    content = content_at(tmp_path / "content")
    version = tracker.register(run_id, content, model=model, tags={})
    assert version.version == "1"
    found = tracker._client.search_model_versions(f"run_id = '{run_id}'")
    assert [int(v.version) for v in found] == [1]
