"""A lost answer to a request that creates: one run of the attempt, whatever the tracker has made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anchored.decisions.tags import ATTEMPT, DOUBLES
from tests.killed import assert_nothing_is_left, kill, resume
from tests.repos import Repo
from tests.services.mlflow_server import MlflowServer
from tests.services.proxy import Proxy

CREATE = b"/mlflow/runs/create"


def test_a_lost_answer_makes_no_second_run_and_a_twin_is_closed(
    repo: Repo,
    mlflow_server: MlflowServer,
    proxy: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    between = proxy(mlflow_server.port)
    uri, name = f"http://127.0.0.1:{between.port}", f"lost {between.port}"
    repo.configure('"sums"\n', f'"{name}"\n[tracker]\nuri = "{uri}"\n')
    between.lose_answer(CREATE)
    run = repo.run("one")
    assert between.lost == 1, "it was asked for once"
    between.heal()
    tracker = repo.open().tracker
    (made,) = tracker.runs()
    assert (run.state, made.run_id) == ("sealed", run.run_id)
    # As what stands between us and a server repeats it.
    attempt = {ATTEMPT: made.tags[ATTEMPT], "anchored.state": "running"}
    twin = tracker._client.create_run(tracker._experiment_id, run_name="one", tags=attempt)
    assert resume(repo) == []
    assert tracker.run(run.run_id).tags == made.tags
    closed = tracker.run(twin.info.run_id)
    assert (closed.ending, closed.tags["anchored.state"]) == ("killed", "failed")
    assert closed.tags[DOUBLES] == run.run_id
    assert run.run_id in closed.tags["anchored.error"]
    assert_nothing_is_left(repo)


def test_a_run_that_was_interrupted_goes_on_as_the_one_that_its_journal_knows(repo: Repo) -> None:
    kill(repo, "after journals.write DATA_PUSHED")
    tracker = repo.open().tracker
    (begun,) = tracker.runs()
    for started in (0, begun.started + 1):
        tracker._client.create_run(
            tracker._experiment_id, started, {**begun.tags, ATTEMPT: begun.tags[ATTEMPT]}, "one"
        )
    (finished,) = resume(repo)
    assert finished.run_id == begun.run_id
    assert {run.run_id: run.state for run in repo.runs()}.pop(begun.run_id) == "sealed"
    assert [DOUBLES in run.tags for run in tracker.runs()].count(True) == 2
    assert_nothing_is_left(repo)


def test_a_run_that_was_killed_while_it_was_opened_is_one_of_several(repo: Repo) -> None:
    kill(repo, "after tracker.open_run")
    tracker = repo.open().tracker
    (begun,) = tracker.runs()
    tracker._client.create_run(tracker._experiment_id, begun.started + 1, begun.tags, "one")
    (finished,) = resume(repo)
    assert finished.run_id == begun.run_id
    assert sorted(run.state for run in repo.runs()) == ["failed", "sealed"]
    assert_nothing_is_left(repo)
