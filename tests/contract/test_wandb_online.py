"""W&B online, against the stand-in server: what only a server can do, and how it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import wandb

from anchored.adapters.wandb import online as wandb_online
from anchored.adapters.wandb.online import OnlineRuns
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.errors import TrackerFailed
from anchored.ports import LoggedFiles, ModelContent
from anchored.records import Ended
from tests.services.proxy import Proxy
from tests.services.wandb_standin import WandbStandin

NOW = datetime(2026, 1, 2, tzinfo=UTC)
# The only way to the real service; see docs/trackers.md.
KEY = os.environ.get("ANCHORED_TEST_WANDB_API_KEY", "")


@pytest.fixture
def standin(wandb_standin: WandbStandin, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStandin]:
    """The stand-in, with its key in the environment; nothing may be asked that it does not know."""
    monkeypatch.setenv("WANDB_API_KEY", wandb_standin.api_key)
    wandb_standin.unknown.clear()
    yield wandb_standin
    wandb.teardown()
    assert wandb_standin.unknown == []


@pytest.fixture
def tracker(standin: WandbStandin) -> WandbTracker:
    return tracker_at(standin.url)


def tracker_at(url: str, project: str = "", **place: str) -> WandbTracker:
    return WandbTracker(OnlineRuns(url, project=project or uuid.uuid4().hex, **place))


def opened(tracker: WandbTracker, name: str = "one", **tags: str) -> str:
    return tracker.open_run(name=name, tags=tags, started=NOW).run_id


def seen(standin: WandbStandin, tracker: WandbTracker, run_id: str) -> Any:
    """The run as somebody else's `wandb.Api` has it."""
    path = f"{tracker.run(run_id).experiment}/{run_id}"
    return wandb.Api(overrides={"base_url": standin.url}).run(path)


@pytest.mark.parametrize(("ending", "state"), [
    (Ended.FINISHED, "finished"), (Ended.FAILED, "failed"), (Ended.KILLED, "failed"),
])  # fmt: skip
def test_the_state_on_the_server_is_that_of_the_run(
    standin: WandbStandin, tracker: WandbTracker, ending: Ended, state: str
) -> None:
    run_id = opened(tracker)
    assert seen(standin, tracker, run_id).state == "running"
    tracker.log(run_id, metrics={"rmse": 0.5}, tags={"anchored.state": "sealed"})
    assert seen(standin, tracker, run_id).state == "running"
    tracker.end_run(run_id, ending, name="one", ended=NOW)
    assert seen(standin, tracker, run_id).state == state


def test_what_is_said_of_an_ended_run_does_not_open_it_again(
    standin: WandbStandin, tracker: WandbTracker
) -> None:
    run_id = opened(tracker)
    tracker.log(run_id, metrics={"rmse": 0.5})
    tracker.end_run(run_id, Ended.FINISHED, name="one", ended=NOW)
    gate = LoggedFiles(texts={"anchored/gate.json": b"{}"})
    tracker.log(run_id, metrics={"late": 1.0}, files=gate, tags={"anchored.verdict": "identical"})
    run = seen(standin, tracker, run_id)
    assert (run.state, run.config["anchored.verdict"]) == ("finished", "identical")
    assert tracker.run(run_id).metrics == {"rmse": 0.5, "late": 1.0}
    assert tracker.artifact(run_id, "anchored/gate.json") == b"{}"


def test_metrics_are_points_of_the_history_after_those_of_the_script(
    standin: WandbStandin, tracker: WandbTracker, tmp_path: Path
) -> None:
    run_id = opened(tracker)
    code = "run = wandb.init(config={'lags': 7})\nfor n in range(3): run.log({'loss': n})"
    script(tracker, run_id, code, tmp_path)
    assert tracker.log(run_id, params={"lags": 6, "seed": 1}, metrics={"rmse": 0.5}) == ("lags",)
    run = tracker.run(run_id)
    assert run.metrics == {"loss": 2.0, "rmse": 0.5}
    assert run.params == {"lags": "7", "seed": "1"}
    history = list(seen(standin, tracker, run_id).scan_history(keys=None))
    assert [(row["_step"], row.get("loss"), row.get("rmse")) for row in history] == [
        (0, 0, None), (1, 1, None), (2, 2, None), (3, None, 0.5),
    ]  # fmt: skip


def script(tracker: WandbTracker, run_id: str, code: str, cwd: Path) -> None:
    """A training process with the variables that training gets."""
    subprocess.run(
        [sys.executable, "-c", f"import wandb\n{code}"],
        cwd=cwd, env={**os.environ, **tracker.training_variables(run_id)},
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_model_is_an_artifact_with_its_hash_and_a_version_of_the_registry(
    standin: WandbStandin,
    tracker: WandbTracker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where a user's download goes
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    content, run_id = ModelContent(file, "1" * 32), opened(tracker)
    for _ in range(2):
        tracker.log_model(run_id, content, tags={"git_commit": "2" * 40})
    (artifact,) = seen(standin, tracker, run_id).logged_artifacts()
    assert (artifact.type, artifact.metadata["dvc_model_md5"]) == ("model", content.md5)
    assert artifact.metadata["git_commit"] == "2" * 40
    downloaded = Path(artifact.download(root=str(tmp_path / "downloaded")))
    assert (downloaded / "model.bin").read_bytes() == b"weights"
    version = tracker.register(run_id, content, model="sst", tags={})
    aliased = tracker.set_alias("sst", "champion", version.version)
    found = eval(aliased.usage, {"wandb": FromStandin(standin)})
    assert (Path(found) / "model.bin").read_bytes() == b"weights"
    assert len(list(seen(standin, tracker, run_id).logged_artifacts())) == 1


class FromStandin:
    """`wandb` of a user whose settings name the stand-in."""

    def __init__(self, standin: WandbStandin) -> None:
        self._url = standin.url

    def Api(self) -> Any:  # noqa: N802 - W&B's name
        return wandb.Api(overrides={"base_url": self._url})


def test_an_entity_is_whose_project_it_is(standin: WandbStandin) -> None:
    mine, theirs = (tracker_at(standin.url, "shared", entity=e) for e in ("", standin.team))
    run_id = opened(theirs, "only there")
    assert theirs.uri == f"{standin.url}/{standin.team}"
    assert [run.run_id for run in theirs.runs_named("only there")] == [run_id]
    assert mine.runs_named("only there") == []
    assert f"/{standin.team}/" in theirs.run(run_id).url


def test_an_entity_that_is_not_there_is_named(standin: WandbStandin) -> None:
    with pytest.raises(TrackerFailed, match="knows no entity nobody") as raised:
        opened(tracker_at(standin.url, entity="nobody"))
    assert not raised.value.transient


@pytest.mark.parametrize("key", ["", "0" * 40])
def test_without_the_right_key_nothing_is_tried_again(
    wandb_standin: WandbStandin, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    tracker = tracker_at(wandb_standin.url)
    for call in (lambda: opened(tracker), lambda: list(tracker.runs())):
        with pytest.raises(TrackerFailed, match="refuses the API key, or wants one") as raised:
            call()
        assert not raised.value.transient
    wandb.teardown()


@pytest.mark.parametrize("harm", ["refuse", "blackhole"])
def test_a_server_that_cannot_be_reached_fails_in_the_time_it_is_given(
    standin: WandbStandin,
    proxy: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
    harm: str,
) -> None:
    monkeypatch.setattr(wandb_online, "ANSWERING", 2)
    monkeypatch.setitem(wandb_online.TIMEOUTS, "init_timeout", 3.0)
    between = proxy(standin.port)
    tracker = tracker_at(standin.url_at(between.port))
    run_id = opened(tracker)
    getattr(between, harm)()
    begun = time.monotonic()
    for call in (lambda: tracker.run(run_id), lambda: opened(tracker)):
        with pytest.raises(TrackerFailed) as raised:
            call()
        assert raised.value.transient
    assert time.monotonic() - begun < 60, "it ends by itself"
    between.heal()
    assert tracker.run(run_id).name == "one"


def test_a_server_that_is_gone_for_a_while_is_used_again(
    standin: WandbStandin, tracker: WandbTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_online, "ANSWERING", 2)
    run_id = opened(tracker)
    with standin.down(), pytest.raises(TrackerFailed) as raised:
        tracker.log(run_id, tags={"a": "1"})
    assert raised.value.transient
    tracker.log(run_id, tags={"a": "1"})


@pytest.mark.parametrize("ended", [False, True])
def test_a_file_that_was_not_uploaded_is_not_taken_for_kept(
    standin: WandbStandin, tracker: WandbTracker, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    monkeypatch.setitem(wandb_online.TIMEOUTS, "x_file_transfer_retry_max", 0)
    run_id, files = opened(tracker), LoggedFiles(texts={"anchored/run.json": b"{}"})
    if ended:
        tracker.end_run(run_id, Ended.FINISHED, name="one", ended=NOW)
    with standin.refusing(403, path="/storage/"), pytest.raises(TrackerFailed):
        tracker.log(run_id, files=files)
    tracker.log(run_id, files=files)
    assert tracker.artifact(run_id, "anchored/run.json") == b"{}"


@pytest.mark.skipif(not KEY, reason="needs ANCHORED_TEST_WANDB_API_KEY, a key of the real service")
@pytest.mark.timeout(600)
def test_the_real_service_takes_a_whole_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracker = tracker_at("https://api.wandb.ai", "anchored-contract")
    name = f"contract {uuid.uuid4().hex}"
    run_id = opened(tracker, name, git_branch="main")
    file = tmp_path / "model.bin"
    file.write_bytes(os.urandom(1000))
    try:
        tracker.log(
            run_id,
            params={"lags": 6},
            metrics={"rmse": 0.25},
            files=LoggedFiles(texts={"anchored/run.json": b"{}"}),
            tags={"anchored.state": "sealed", "dvc_data_md5/data/a.csv": "1" * 32},
        )
        tracker.log_model(run_id, ModelContent(file, "2" * 32), tags={"git_commit": "3" * 40})
        tracker.end_run(run_id, Ended.FINISHED, name=name, ended=NOW)
        tracker.log(run_id, tags={"anchored.verdict": "identical"})
        (found,) = tracker.runs_named(name)
        assert (found.run_id, found.params, found.metrics) == (
            run_id, {"lags": "6"}, {"rmse": 0.25},
        )  # fmt: skip
        assert found.tags["dvc_data_md5/data/a.csv"] == "1" * 32
        assert found.tags["anchored.verdict"] == "identical"
        assert tracker.artifact(run_id, "anchored/run.json") == b"{}"
        assert [run.run_id for run in tracker.runs_starting_with(run_id[:8])] == [run_id]
    finally:
        wandb.Api().run(f"anchored-contract/{run_id}").delete(delete_artifacts=True)
        wandb.teardown()
