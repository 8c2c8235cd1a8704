"""What every tracker promises to a run: MLflow on SQLite, on a server, and in a folder of old."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anchored.adapters.mlflow_tracker import MlflowTracker
from anchored.errors import NotReady, TrackerFailed, UnknownRun
from anchored.ports import LoggedFiles, ModelContent
from anchored.records import Ended, ModelVersion
from tests.repos import Repo
from tests.services.mlflow_server import MlflowServer
from tests.services.proxy import Proxy

NAMES = [
    "plain", "it's", 'say "x"', "both ' and \"", "'", '"', "100%", "a_b", "back\\slash", "\\'\"",
    "🚀 émoji", "a/b c", "x" * 200, "`tick`", "%'\"_", " padded ", "line -- ; DROP", "1' OR '1'='1",
]  # fmt: skip
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "server", "folder"])
def uri(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> str:
    """A tracking URI; the database is a copy of one that has been migrated."""
    if request.param == "server":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        return server.url
    if request.param == "folder":
        (tmp_path / "old runs").mkdir()
        return "old runs"
    (tmp_path / "mlflow.db").write_bytes((template / "work/mlflow.db").read_bytes())
    return f"sqlite:///{tmp_path}/mlflow.db"


def tracker_at(uri: str, root: Path, experiment: str | None = None) -> MlflowTracker:
    # A file store of MLflow 3.17 makes no experiment with quotes in its name.
    own = uuid.uuid4().hex if "://" not in uri else f'it\'s "{uuid.uuid4().hex}"'
    name = experiment or own
    return MlflowTracker(uri, experiment=name, root=root, lock=root / "lock")


@pytest.fixture
def tracker(uri: str, tmp_path: Path) -> MlflowTracker:
    return tracker_at(uri, tmp_path)


def opened(tracker: MlflowTracker, name: str = "one", **tags: str) -> str:
    return tracker.open_run(name=name, tags=tags, started=NOW).run_id


def test_a_name_is_looked_for_in_other_experiments_when_asked_to(
    tracker: MlflowTracker, uri: str, tmp_path: Path
) -> None:
    other = tracker_at(uri, tmp_path)
    run_id = opened(other, name := f"only there {uuid.uuid4().hex}")
    opened(tracker, "here")
    assert tracker.runs_named(name) == []
    (found,) = tracker.runs_named(name, everywhere=True)
    assert found == other.run(run_id) == tracker.run(run_id)
    assert (
        found.experiment == other.run(run_id).experiment != tracker.runs_named("here")[0].experiment
    )
    assert tracker_at(uri, tmp_path).runs_named(name, everywhere=True) == [found]


def test_an_opened_run_is_there_and_running(tracker: MlflowTracker) -> None:
    run = tracker.open_run(name="one", tags={"anchored.state": "running"}, started=NOW)
    again = tracker.run(run.run_id)
    assert again == run
    assert (again.name, again.ending, again.ended) == ("one", None, None)
    assert again.started == int(NOW.timestamp() * 1000)
    assert again.tags["anchored.state"] == "running"
    with pytest.raises(UnknownRun, match="0000"):
        tracker.run("0" * 32)


def test_runs_are_found_by_name_whatever_it_is(tracker: MlflowTracker) -> None:
    ids = {name: opened(tracker, name) for name in NAMES}
    for name, run_id in ids.items():
        assert [run.run_id for run in tracker.runs_named(name)] == [run_id], name
        assert tracker.run(run_id).name == name
    for absent in ("PLAIN", "plai", "%", "_", "a%", "axb", "' or '", "x" * 199):
        assert tracker.runs_named(absent) == [], absent


def test_runs_of_one_name_come_newest_first(tracker: MlflowTracker) -> None:
    ids = [
        tracker.open_run(name="same", tags={}, started=NOW.replace(day=day)).run_id
        for day in (3, 5, 4)
    ]
    newest_first = [ids[1], ids[2], ids[0]]
    assert [run.run_id for run in tracker.runs_named("same")] == newest_first
    assert [run.run_id for run in tracker.runs()] == newest_first
    assert [run.run_id for run in tracker.runs(2)] == newest_first[:2]
    assert list(tracker_at(tracker.uri, Path("/nowhere"), tracker._experiment).runs(1)) != []


def test_runs_are_found_by_a_tag(tracker: MlflowTracker) -> None:
    odd = {"anchored.attempt": "k'1", "data/a (b).csv": 'x"'}
    run_id = tracker.open_run(name="a", tags=odd, started=NOW).run_id
    opened(tracker, "b", other="k'1")
    for key, value in odd.items():
        assert [run.run_id for run in tracker.runs_tagged(key, value)] == [run_id]
    assert tracker.runs_tagged("anchored.attempt", "k") == []


def test_logging_twice_changes_nothing(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    params: dict[str, Any] = {"lags": 6, "rate": 0.1, "flag": True, "name": "é'\"\n" * 30}
    metrics = {"rmse": 0.25, "R² (test)": -1e300, "a//b": 1.0, "../x": 2.0, ".": 3.0, "x:28": 4.0}
    for _ in range(2):
        assert tracker.log(run_id, params=params, metrics=metrics) == ()
    run = tracker.run(run_id)
    assert run.params == {key: str(value) for key, value in params.items()}
    assert run.metrics == metrics
    history = tracker._client.get_metric_history(run_id, "rmse")
    assert len(history) == 1


def test_more_params_and_metrics_than_one_call_takes(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    params = {f"p{n}": n for n in range(230)}
    metrics = {f"m{n}": float(n) for n in range(1100)}
    assert tracker.log(run_id, params=params, metrics=metrics) == ()
    run = tracker.run(run_id)
    assert (len(run.params), len(run.metrics)) == (230, 1100)


def test_what_is_too_long_for_a_tracker_does_not_fail_the_run(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    long = "x" * 20_000
    tracker.log(run_id, params={"p": long, long: 1}, metrics={long: 1.0, "m": 1.0})
    tracker.log(run_id, tags={"short": "1", "long": long, long: "1"})
    run = tracker.run(run_id)
    assert run.metrics == {"m": 1.0}
    assert run.tags["short"] == "1"


def test_params_that_the_script_logged_otherwise_are_reported_and_stay(
    tracker: MlflowTracker,
) -> None:
    run_id = opened(tracker)
    tracker._client.log_param(run_id, "lags", "7")
    tracker._client.log_param(run_id, "seed", "42")
    assert tracker.log(run_id, params={"lags": 6, "seed": 42}, metrics={}) == ("lags",)
    assert tracker.run(run_id).params == {"lags": "7", "seed": "42"}


def test_tags_are_read_back_whatever_their_keys(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    tags = {f"dvc_data_md5/{name}": "1" * 32 for name in (*NAMES[:-1], "a:28b", "x..y", ".hidden")}
    tags |= {"value": "é'\"\n🚀" * 100, "long": "v" * 8_000}
    for _ in range(2):
        tracker.log(run_id, tags=tags)
    kept = tracker.run(run_id).tags
    assert {key: kept[key] for key in tags} == tags
    tracker.log(run_id, tags={"value": "new"})
    assert tracker.run(run_id).tags["value"] == "new"


def test_artifacts_come_back_as_they_were(tracker: MlflowTracker, tmp_path: Path) -> None:
    run_id = opened(tracker)
    file = tmp_path / "plot 1.png"
    file.write_bytes(os.urandom(70_000))
    files = LoggedFiles({"plots/é x/plot 1.png": file}, {"anchored/run.json": b"{}\n", "top": b""})
    for _ in range(2):
        tracker.log(run_id, files=files)
    assert tracker.artifact(run_id, "plots/é x/plot 1.png") == file.read_bytes()
    assert tracker.artifact(run_id, "anchored/run.json") == b"{}\n"
    assert tracker.artifact(run_id, "top") == b""
    assert tracker.artifact(run_id, "anchored/other.json") is None
    tracker.log(run_id, files=LoggedFiles(texts={"anchored/run.json": b"[]"}))
    assert tracker.artifact(run_id, "anchored/run.json") == b"[]"
    assert file.exists()


@pytest.mark.parametrize("ending", list(Ended))
def test_a_run_ends_once_under_its_name(tracker: MlflowTracker, ending: Ended) -> None:
    run_id = opened(tracker)
    tracker._client.update_run(run_id, name="renamed by the script")
    for _ in range(2):
        tracker.end_run(run_id, ending, name="one", ended=NOW)
    run = tracker.run(run_id)
    assert (run.name, run.ending) == ("one", ending)
    assert run.ended == int(NOW.timestamp() * 1000)


def test_an_ended_run_goes_on_without_the_tags_that_are_taken_away(tracker: MlflowTracker) -> None:
    run_id = opened(tracker, **{"anchored.error": "cut off", "kept": "yes"})
    tracker.end_run(run_id, Ended.KILLED, name="one", ended=NOW)
    for _ in range(2):
        tracker.reopen_run(run_id, without=["anchored.error", "never there"])
    run = tracker.run(run_id)
    assert (run.name, run.ending) == ("one", None)
    assert "anchored.error" not in run.tags
    assert run.tags["kept"] == "yes"


def trained(code: str, tracker: MlflowTracker, run_id: str, cwd: Path) -> Any:
    """A script's process with the variables that training gets."""
    return subprocess.run(
        [sys.executable, "-c", f"import mlflow\n{code}"],
        cwd=cwd, env={**os.environ, **tracker.training_variables(run_id)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_start_run_of_a_script_joins(tracker: MlflowTracker, tmp_path: Path) -> None:
    run_id = opened(tracker)
    code = "with mlflow.start_run(run_name='mine'): mlflow.log_metric('loss', 0.5, step=3)"
    done = trained(code, tracker, run_id, tmp_path)
    assert done.returncode == 0, done.stderr
    assert tracker.run(run_id).metrics == {"loss": 0.5}
    assert len(list(tracker.runs())) == 1
    assert not tracker.refuses_to_join(run_id, done.stderr.splitlines())


@pytest.mark.parametrize("own", [
    "mlflow.set_tracking_uri('sqlite:///own.db')", "mlflow.set_experiment('my own')",
])  # fmt: skip
def test_a_script_with_a_store_or_experiment_of_its_own_is_recognised(
    tracker: MlflowTracker, tmp_path: Path, template: Path, own: str
) -> None:
    (tmp_path / "own.db").write_bytes((template / "work/mlflow.db").read_bytes())
    run_id = opened(tracker)
    done = trained(f"{own}\nmlflow.start_run()", tracker, run_id, tmp_path)
    assert done.returncode != 0
    assert tracker.refuses_to_join(run_id, done.stderr.splitlines()[-40:]), done.stderr
    assert not tracker.refuses_to_join(run_id, ["Traceback", f"KeyError: {run_id}"])


def test_a_deleted_experiment_is_not_ready(tracker: MlflowTracker) -> None:
    opened(tracker)
    tracker._client.delete_experiment(tracker._experiment_id)
    fresh = tracker_at(tracker.uri, Path("/nowhere"), tracker._experiment)
    with pytest.raises(NotReady, match="is deleted"):
        opened(fresh)


@pytest.mark.parametrize("harm", ["refuse", "blackhole"])
def test_a_server_that_cannot_be_reached_fails_soon(
    mlflow_server: MlflowServer, tmp_path: Path, proxy: Callable[[int], Proxy], harm: str
) -> None:
    between = proxy(mlflow_server.port)
    secret = mlflow_server.url_at(between.port).replace("//", "//me:hunter2@")
    tracker = tracker_at(secret, tmp_path)
    run_id = opened(tracker)
    getattr(between, harm)()
    begun = time.monotonic()
    with pytest.raises(TrackerFailed) as raised:
        tracker.run(run_id)
    assert time.monotonic() - begun < 25
    assert raised.value.transient
    assert raised.value.silent == (harm == "blackhole")
    assert "hunter2" not in raised.value.message
    between.heal()
    assert tracker.run(run_id).name == "one"


def test_a_server_killed_and_started_again_is_used_again(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    tracker = tracker_at(mlflow_server.url, tmp_path)
    run_id = opened(tracker)
    with mlflow_server.process.down(), pytest.raises(TrackerFailed) as raised:
        tracker.log(run_id, tags={"a": "1"})
    assert raised.value.transient
    tracker.log(run_id, tags={"a": "1"})


def test_a_database_that_cannot_be_opened_fails_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database, and not an empty file either" * 100)
    with pytest.raises(TrackerFailed, match=r"broken\.db"):
        opened(tracker_at("sqlite:///broken.db", tmp_path))


def test_a_whole_run_is_recorded_by_a_server(mlflow_server: MlflowServer, repo: Repo) -> None:
    repo.configure(
        'experiment = "sums"', f'experiment = "far"\ntracker.uri = "{mlflow_server.url}"'
    )
    run = repo.run('say "it\'s" 100%')
    assert repo.tags(run.run_id)["anchored.state"] == "sealed"
    assert run.tracker.url.startswith(mlflow_server.url)
    assert repo.artifact(run.run_id, "anchored/train.log") == b"total is 4950\n"


def test_one_artifact_of_many_runs_comes_in_one_call(tracker: MlflowTracker) -> None:
    path = "anchored/environment.json"
    ids = [opened(tracker, f"run {n}") for n in range(6)]
    for n, run_id in enumerate(ids[:4]):
        tracker.log(run_id, files=LoggedFiles(texts={path: f"{n}".encode()}))
    tracker.log(ids[4], files=LoggedFiles(texts={"anchored/train.log": b""}))
    found = tracker.artifacts(list(tracker.runs()), path)
    assert found == {run_id: f"{n}".encode() for n, run_id in enumerate(ids[:4])}
    assert tracker.artifacts([], path) == {}


def test_artifacts_of_a_server_that_is_gone_are_not_absent(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    tracker = tracker_at(mlflow_server.url, tmp_path)
    tracker.log(opened(tracker), files=LoggedFiles(texts={"a": b""}))
    runs = list(tracker.runs())
    with mlflow_server.process.down(), pytest.raises(TrackerFailed) as raised:
        tracker.artifacts(runs, "a")
    assert raised.value.transient


# --- registered models ----------------------------------------------------------------------------


def content_at(folder: Path, name: str = "model.bin", data: bytes = b"weights") -> ModelContent:
    """A model in a folder of its own, with its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return ModelContent(folder / name, hashlib.md5(data).hexdigest())


def downloaded(tracker: MlflowTracker, version: ModelVersion, into: Path) -> dict[str, bytes]:
    """The files that somebody else's MLflow brings for `models:/NAME/VERSION`."""
    code = "import sys; mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=sys.argv[2])"
    into.mkdir()
    env = {**os.environ, "MLFLOW_TRACKING_URI": tracker.uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
    uri = f"models:/{version.model}/{version.version}"
    argv = [sys.executable, "-c", f"import mlflow.artifacts\n{code}", uri, str(into)]
    subprocess.run(argv, cwd=into, env=env, check=True, capture_output=True)
    return {str(f.relative_to(into)): f.read_bytes() for f in into.rglob("*") if f.is_file()}


def test_a_run_has_one_version_of_a_model_however_often_it_is_registered(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    model, run_id = f'it\'s "{uuid.uuid4().hex}"', opened(tracker)
    content = content_at(tmp_path / "content")
    assert tracker.registered(run_id, model=model, md5=content.md5) is None
    tags = {"git_commit": "1" * 40, "anchored.run_name": "it's é"}
    version = tracker.register(run_id, content, model=model, tags=tags)
    assert (version.model, version.version, version.run_id) == (model, "1", run_id)
    assert version.aliases == ()
    for _ in range(2):
        assert tracker.register(run_id, content, model=model, tags=tags) == version
        assert tracker.registered(run_id, model=model, md5=content.md5) == version
    assert list((tmp_path / "content").iterdir()) == [content.place], "nothing is left beside it"
    kept = tracker._client.get_model_version(model, "1").tags
    assert {**tags, "dvc_model_md5": content.md5}.items() <= kept.items()
    other = content_at(tmp_path / "other", data=b"others")
    second = tracker.register(opened(tracker), other, model=model, tags={})
    again = tracker.register(run_id, other, model=model, tags={})
    assert (second.version, again.version) == ("2", "3"), "of another run, and of other bytes"
    assert downloaded(tracker, version, tmp_path / "still") == {"model.bin": b"weights"}
    elsewhere = tracker.register(run_id, content, model=f"{model} 2", tags={})
    assert (elsewhere.model, elsewhere.version) == (f"{model} 2", "1")


def test_an_alias_names_one_version_at_a_time(tracker: MlflowTracker, tmp_path: Path) -> None:
    model = uuid.uuid4().hex
    assert tracker.version_of_alias(model, "champion") is None
    content, runs = content_at(tmp_path / "content"), [opened(tracker) for _ in range(2)]
    one, two = (tracker.register(run, content, model=model, tags={}) for run in runs)
    assert tracker.version_of_alias(model, "champion") is None
    with pytest.raises(UnknownRun, match="has no alias 'champion'"):
        tracker.run_of_alias(model, "champion")
    for version in (one, two, two):
        aliased = tracker.set_alias(model, "champion", version.version)
        assert (aliased.version, aliased.aliases) == (version.version, ("champion",))
        assert tracker.version_of_alias(model, "champion") == aliased
        assert tracker.run_of_alias(model, "champion") == version.run_id
        assert f"models:/{model}@champion" in aliased.usage
    known = tracker.registered(runs[0], model=model, md5=content.md5)
    assert known == one, "the alias has left the first"
    tracker.set_alias(model, "challenger", two.version)
    again = tracker.registered(runs[1], model=model, md5=content.md5)
    assert set(again.aliases if again else ()) == {"champion", "challenger"}


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
        tracker.run_of_alias(model, "champion")
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
