"""A run, or its whole experiment, is deleted in MLflow while the run is under way."""

from __future__ import annotations

from contextlib import suppress

import pytest

from anchored.errors import DeletedExperiment, DeletedRun
from anchored.resume.close import claim_unfinished
from tests.killed import assert_nothing_is_left, kill, resume
from tests.repos import Repo


@pytest.mark.parametrize(
    "point",
    ["after tracker.open_run", "after journals.write DATA_PUSHED", "after journals.write TRAINING"],
)
def test_a_run_of_a_deleted_experiment_does_not_stay_open(repo: Repo, point: str) -> None:
    kill(repo, point)
    tracker = repo.open().tracker
    tracker._client.delete_experiment(tracker._experiment_id)
    with suppress(DeletedRun):  # which says so, and how it is restored
        assert resume(repo) == []
    assert list(claim_unfinished(repo.open())) == []
    assert_nothing_is_left(repo)
    with pytest.raises(DeletedExperiment, match="is deleted"):
        repo.run("two")
    assert repo.git("for-each-ref", "refs/anchored") == ""


def test_a_run_that_was_deleted_says_how_it_is_restored(repo: Repo) -> None:
    run = repo.run("one")
    repo.open().tracker._client.delete_run(run.run_id)
    done = repo.anchored("show", run.run_id)
    assert done.returncode == 2
    assert f"error: the run {run.run_id} was deleted in MLflow" in done.stderr
    assert f"mlflow runs restore --run-id {run.run_id}" in done.stderr
