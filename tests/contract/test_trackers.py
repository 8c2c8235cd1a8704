"""What every tracker promises to a run: MLflow on SQLite, on a server, and in a folder of old; W&B
offline.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anchored.errors import TrackerFailed, UnknownRun
from anchored.history.aliases import run_of_alias
from anchored.ports import LoggedFiles, Tracker
from anchored.records import Ended
from tests.contract.backends import (
    EVERY,
    NOW,
    SERVED,
    Backend,
    Served,
    content_at,
    made,
    opened,
    trained,
)
from tests.services.proxy import Proxy

NAMES = [
    "plain", "it's", 'say "x"', "both ' and \"", "'", '"', "100%", "a_b", "back\\slash", "\\'\"",
    "🚀 émoji", "a/b c", "x" * 200, "`tick`", "%'\"_", " padded ", "line -- ; DROP", "1' OR '1'='1",
]  # fmt: skip


@pytest.fixture(params=EVERY)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    backend: Backend = made(request.param, request, tmp_path)
    return backend


@pytest.fixture
def tracker(backend: Backend) -> Tracker:
    tracker: Tracker = backend.tracker()
    return tracker


@pytest.fixture(params=SERVED)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Served:
    served: Served = made(request.param, request, tmp_path)
    return served


def test_a_name_is_looked_for_in_other_experiments_when_asked_to(
    tracker: Tracker, backend: Backend
) -> None:
    other = backend.tracker()
    run_id = opened(other, name := f"only there {uuid.uuid4().hex}")
    opened(tracker, "here")
    assert tracker.runs_named(name) == []
    (found,) = tracker.runs_named(name, everywhere=True)
    assert found == other.run(run_id) == tracker.run(run_id)
    assert (
        found.experiment == other.run(run_id).experiment != tracker.runs_named("here")[0].experiment
    )
    assert backend.tracker().runs_named(name, everywhere=True) == [found]


def test_an_opened_run_is_there_and_running(tracker: Tracker) -> None:
    run = tracker.open_run(name="one", tags={"anchored.state": "running"}, started=NOW)
    again = tracker.run(run.run_id)
    assert again == run
    assert (again.name, again.ending, again.ended) == ("one", None, None)
    assert again.started == int(NOW.timestamp() * 1000)
    assert again.tags["anchored.state"] == "running"
    with pytest.raises(UnknownRun, match="0000"):
        tracker.run("0" * 32)


def test_runs_are_found_by_name_whatever_it_is(tracker: Tracker) -> None:
    ids = {name: opened(tracker, name) for name in NAMES}
    for name, run_id in ids.items():
        assert [run.run_id for run in tracker.runs_named(name)] == [run_id], name
        assert tracker.run(run_id).name == name
    for absent in ("PLAIN", "plai", "%", "_", "a%", "axb", "' or '", "x" * 199):
        assert tracker.runs_named(absent) == [], absent


def test_runs_are_found_by_the_beginning_of_their_ids_and_by_nothing_like_it(
    tracker: Tracker,
) -> None:
    run_id, _ = (opened(tracker, name) for name in ("one", "two"))
    assert [run.run_id for run in tracker.runs_starting_with(run_id[:8])] == [run_id]
    # What any of the trackers would take for a pattern.
    for absent in ("_" * 8, run_id[:3] + "_" * 5, run_id[:7] + ".", run_id[:7] + "%"):
        assert tracker.runs_starting_with(absent) == []
    for absent in ("_no-id", "My-run_1", "a.b", "x"):
        with pytest.raises(UnknownRun):
            tracker.run(absent)


def test_runs_are_found_by_their_ids_in_whatever_experiment(
    tracker: Tracker, backend: Backend
) -> None:
    assert tracker.runs_by_id([]) == []
    ids = [opened(tracker), opened(tracker), opened(backend.tracker())]
    wanted = [*ids[1:], "0" * 32, "it's", "", "%", *(uuid.uuid4().hex for _ in range(250))]
    found = {run.run_id: run for run in tracker.runs_by_id(wanted)}
    assert found == {run_id: tracker.run(run_id) for run_id in ids[1:]}
    assert not any(run.deleted for run in found.values())


def test_runs_of_one_name_come_newest_first(tracker: Tracker, backend: Backend) -> None:
    ids = [
        tracker.open_run(name="same", tags={}, started=NOW.replace(day=day)).run_id
        for day in (3, 5, 4)
    ]
    newest_first = [ids[1], ids[2], ids[0]]
    assert [run.run_id for run in tracker.runs_named("same")] == newest_first
    assert [run.run_id for run in tracker.runs()] == newest_first
    assert [run.run_id for run in tracker.runs(2)] == newest_first[:2]
    again = backend.tracker(tracker.run(ids[0]).experiment)
    assert [run.run_id for run in again.runs(1)] == newest_first[:1]


def test_runs_are_found_by_a_tag(tracker: Tracker) -> None:
    key = uuid.uuid4().hex
    odd = {"anchored.attempt": key, "prefect.flow_run_id": "k'1", "data/a (b).csv": 'x"'}
    run_id = tracker.open_run(name="a", tags=odd, started=NOW).run_id
    opened(tracker, "b", other="k'1", more=key)
    for tag, value in odd.items():
        assert [run.run_id for run in tracker.runs_tagged(tag, value)] == [run_id]
    assert tracker.runs_tagged("anchored.attempt", key[:5]) == []
    assert tracker.runs_tagged("prefect.flow_run_id", "k") == []


def test_logging_twice_changes_nothing(tracker: Tracker) -> None:
    run_id = opened(tracker)
    params: dict[str, Any] = {"lags": 6, "rate": 0.1, "flag": True, "name": "é'\"\n" * 30}
    metrics = {"rmse": 0.25, "R² (test)": -1e300, "a//b": 1.0, "../x": 2.0, ".": 3.0, "x:28": 4.0}
    for _ in range(2):
        assert tracker.log(run_id, params=params, metrics=metrics) == ()
    run = tracker.run(run_id)
    assert run.params == {key: str(value) for key, value in params.items()}
    assert run.metrics == metrics


def test_more_params_and_metrics_than_one_call_takes(tracker: Tracker) -> None:
    run_id = opened(tracker)
    params = {f"p{n}": n for n in range(230)}
    metrics = {f"m{n}": float(n) for n in range(1100)}
    assert tracker.log(run_id, params=params, metrics=metrics) == ()
    run = tracker.run(run_id)
    assert (len(run.params), len(run.metrics)) == (230, 1100)


def test_what_is_too_long_for_a_tracker_does_not_fail_the_run(tracker: Tracker) -> None:
    run_id, long = opened(tracker), "x" * 20_000
    tracker.log(run_id, params={"p": long, long: 1}, metrics={long: 1.0, "m": 1.0})
    tracker.log(run_id, tags={"short": "1", "long": long, long: "1"})
    run = tracker.run(run_id)
    assert run.metrics["m"] == 1.0
    assert run.tags["short"] == "1"


def test_params_that_the_script_logged_otherwise_are_reported_and_stay(
    tracker: Tracker, backend: Backend
) -> None:
    run_id = opened(tracker)
    backend.log_by_script(tracker, run_id, {"lags": 7, "seed": 42})
    assert tracker.log(run_id, params={"lags": 6, "seed": 42}, metrics={}) == ("lags",)
    assert tracker.run(run_id).params == {"lags": "7", "seed": "42"}


def test_tags_are_read_back_whatever_their_keys(tracker: Tracker) -> None:
    run_id = opened(tracker)
    tags = {f"dvc_data_md5/{name}": "1" * 32 for name in (*NAMES[:-1], "a:28b", "x..y", ".hidden")}
    tags |= {"value": "é'\"\n🚀" * 100, "long": "v" * 8_000}
    for _ in range(2):
        tracker.log(run_id, tags=tags)
    kept = tracker.run(run_id).tags
    assert {key: kept[key] for key in tags} == tags
    tracker.log(run_id, tags={"value": "new"})
    assert tracker.run(run_id).tags["value"] == "new"


def test_artifacts_come_back_as_they_were(tracker: Tracker, tmp_path: Path) -> None:
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
def test_a_run_ends_once_under_its_name(tracker: Tracker, backend: Backend, ending: Ended) -> None:
    run_id = opened(tracker)
    backend.rename(tracker, run_id, "renamed by the script")
    for _ in range(2):
        tracker.end_run(run_id, ending, name="one", ended=NOW)
    run = tracker.run(run_id)
    assert (run.name, run.ending) == ("one", ending)
    assert run.ended == int(NOW.timestamp() * 1000)


def test_an_ended_run_goes_on_without_the_tags_that_are_taken_away(tracker: Tracker) -> None:
    run_id = opened(tracker, **{"anchored.error": "cut off", "kept": "yes"})
    tracker.end_run(run_id, Ended.KILLED, name="one", ended=NOW)
    for _ in range(2):
        tracker.reopen_run(run_id, without=["anchored.error", "never there"])
    run = tracker.run(run_id)
    assert (run.name, run.ending) == ("one", None)
    assert "anchored.error" not in run.tags
    assert run.tags["kept"] == "yes"


def test_the_run_of_a_script_joins(tracker: Tracker, backend: Backend, tmp_path: Path) -> None:
    run_id = opened(tracker)
    done = trained(backend.joining, tracker, run_id, tmp_path)
    assert done.returncode == 0, done.stderr
    assert tracker.run(run_id).metrics == {"loss": 0.5}
    assert len(list(tracker.runs())) == 1
    assert not tracker.refuses_to_join(run_id, done.stderr.splitlines())


def test_one_artifact_of_many_runs_comes_in_one_call(tracker: Tracker) -> None:
    path = "anchored/environment.json"
    ids = [opened(tracker, f"run {n}") for n in range(6)]
    for n, run_id in enumerate(ids[:4]):
        tracker.log(run_id, files=LoggedFiles(texts={path: f"{n}".encode()}))
    tracker.log(ids[4], files=LoggedFiles(texts={"anchored/train.log": b""}))
    found = tracker.artifacts(list(tracker.runs()), path)
    assert found == {run_id: f"{n}".encode() for n, run_id in enumerate(ids[:4])}
    assert tracker.artifacts([], path) == {}


@pytest.mark.parametrize("harm", ["refuse", "blackhole"])
def test_a_server_that_cannot_be_reached_fails_soon(
    served: Served, proxy: Callable[[int], Proxy], harm: str
) -> None:
    between = proxy(served.port)
    tracker = served.tracker_by_way_of(between.port)
    run_id = opened(tracker)
    getattr(between, harm)()
    begun = time.monotonic()
    with pytest.raises(TrackerFailed) as raised:
        tracker.run(run_id)
    assert time.monotonic() - begun < 25
    assert raised.value.transient
    assert raised.value.silent == (harm == "blackhole" or not served.hears_refusals)
    assert "hunter2" not in raised.value.message
    between.heal()
    assert tracker.run(run_id).name == "one"


def test_a_server_killed_and_started_again_is_used_again_and_has_lost_nothing(
    served: Served,
) -> None:
    tracker = served.tracker()
    run_id = opened(tracker)
    tracker.log(run_id, metrics={"rmse": 0.5}, files=LoggedFiles(texts={"a": b"hello"}))
    runs = list(tracker.runs())
    with served.down():
        with pytest.raises(TrackerFailed) as raised:
            tracker.log(run_id, tags={"a": "1"})
        assert raised.value.transient
        with pytest.raises(TrackerFailed) as raised:
            tracker.artifacts(runs, "a")
        assert raised.value.transient, "they are not absent"
    tracker.log(run_id, tags={"a": "1"})
    again = tracker.run(run_id)
    assert (again.name, again.metrics, again.tags["a"]) == ("one", {"rmse": 0.5}, "1")
    assert tracker.artifacts(runs, "a") == {run_id: b"hello"}


# --- registered models ----------------------------------------------------------------------------


def test_a_run_has_one_version_of_a_model_however_often_it_is_registered(
    tracker: Tracker, backend: Backend, tmp_path: Path
) -> None:
    model, run_id = backend.model(), opened(tracker)
    content = content_at(tmp_path / "content")
    assert tracker.registered(run_id, model=model, md5=content.md5) is None
    tags = {"git_commit": "1" * 40, "anchored.run_name": "it's é"}
    version = tracker.register(run_id, content, model=model, tags=tags)
    assert (version.model, version.version, version.run_id) == (model, backend.version(1), run_id)
    assert version.aliases == ()
    for _ in range(2):
        assert tracker.register(run_id, content, model=model, tags=tags) == version
        assert tracker.registered(run_id, model=model, md5=content.md5) == version
    assert list((tmp_path / "content").iterdir()) == [content.place], "nothing is left beside it"
    kept = backend.version_tags(tracker, version)
    assert {**tags, "dvc_model_md5": content.md5}.items() <= kept.items()
    other = content_at(tmp_path / "other", data=b"others")
    second = tracker.register(opened(tracker), other, model=model, tags={})
    again = tracker.register(run_id, other, model=model, tags={})
    assert second.version == backend.version(2), "of another run"
    assert again.version == backend.version(3), "of other bytes"
    assert backend.downloaded(tracker, version, tmp_path / "still") == {"model.bin": b"weights"}
    elsewhere = tracker.register(run_id, content, model=f"{model}2", tags={})
    assert (elsewhere.model, elsewhere.version) == (f"{model}2", backend.version(1))


def test_an_alias_names_one_version_at_a_time(
    tracker: Tracker, backend: Backend, tmp_path: Path
) -> None:
    model = backend.model()
    assert tracker.version_of_alias(model, "champion") is None
    content, runs = content_at(tmp_path / "content"), [opened(tracker) for _ in range(2)]
    one, two = (tracker.register(run, content, model=model, tags={}) for run in runs)
    assert tracker.version_of_alias(model, "champion") is None
    with pytest.raises(UnknownRun, match="has no alias 'champion'"):
        run_of_alias(tracker, model, "champion")
    for version in (one, two, two):
        aliased = tracker.set_alias(model, "champion", version.version)
        assert (aliased.version, aliased.aliases) == (version.version, ("champion",))
        assert tracker.version_of_alias(model, "champion") == aliased
        assert run_of_alias(tracker, model, "champion") == version.run_id
        assert aliased.usage == backend.usage(model, "champion")
    known = tracker.registered(runs[0], model=model, md5=content.md5)
    assert known == one, "the alias has left the first"
    tracker.set_alias(model, "challenger", two.version)
    again = tracker.registered(runs[1], model=model, md5=content.md5)
    assert set(again.aliases if again else ()) == {"champion", "challenger"}
