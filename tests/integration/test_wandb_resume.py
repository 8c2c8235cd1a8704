"""Killed while a run is recorded with W&B offline: `resume` brings it to its end, once."""

from __future__ import annotations

import pytest

from anchored.adapters.wandb.log import Segment, segments
from anchored.records import Ended
from tests.killed import (
    assert_nothing_is_left,
    assert_published_is_whole,
    assert_sealed_once,
    kill,
    resume,
    wait_for,
)
from tests.repos import Repo


@pytest.fixture
def repo(repo: Repo) -> Repo:
    repo.use_wandb()
    return repo


def entries(repo: Repo) -> list[Segment]:
    """What stands in W&B's folder."""
    return segments(repo.root / "wandb")


# Entries: the run is opened, told of its training, its model, that it is sealed, and ended.
@pytest.mark.parametrize("point", [
    "after writing.write_entry",
    "after wandb.open_run",
    "after writing.write_entry 2",
    "after wandb.log",
    "before wandb.log_model",
    "after writing.write_entry 3",
    "after wandb.log_model",
    "after writing.write_entry 4",
    "after wandb.log 2",
    "after writing.write_entry 5",
    "after wandb.end_run",
])  # fmt: skip
def test_killed_between_entries_is_sealed_by_resume(repo: Repo, point: str) -> None:
    kill(repo, point)
    # W&B's service outlives us, and writes what it was given.
    wait_for(lambda: all(s.exit_code == 0 for s in entries(repo)) and entries(repo) != [])
    assert_published_is_whole(repo)
    assert len(resume(repo)) == 1
    assert_sealed_once(repo, commits=4)
    (run,) = repo.runs()
    tracked = repo.open().tracker.run(run.run_id)
    assert (tracked.name, tracked.ending) == ("one", Ended.FINISHED)
    assert (tracked.params, tracked.metrics) == ({"power": "1"}, {"total": 4950.0})
    assert repo.artifact(run.run_id, "anchored/train.log") == b"total is 4950\n"
    models = [a.metadata["dvc_model_md5"] for s in entries(repo) for a in s.artifacts]
    assert set(models) == {run.model[0].md5}
    assert resume(repo) == []


def test_killed_in_training_is_closed_as_killed(repo: Repo) -> None:
    repo.script("""\
        import time, wandb
        run = wandb.init(name="theirs", config={"depth": 3},
                         settings=wandb.Settings(silent=True, x_transaction_log_flush_interval=0.05))
        run.log({"loss": 0.5})
        time.sleep(0.5)
        print("at work", flush=True)
        time.sleep(300)
        """)
    kill(repo, "after report.output")
    assert resume(repo) == []
    (run,) = repo.runs()
    tracked = repo.open().tracker.run(run.run_id)
    assert (run.name, run.state, tracked.ending) == ("one", "failed", Ended.KILLED)
    assert "was interrupted" in tracked.tags["anchored.error"]
    assert (tracked.params["depth"], tracked.metrics) == ("3", {"loss": 0.5})
    assert_nothing_is_left(repo)
