"""Training scripts that speak to W&B themselves, in runs that are recorded with W&B offline."""

from __future__ import annotations

import pytest

from anchored.errors import TrainingFailed
from anchored.records import Ended
from tests.proof import assert_sealed
from tests.repos import Repo

MODEL = """
import pathlib
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text("model")
"""
NO_METRICS = ('metrics = "metrics.json"\nartifacts = ["report-*.txt"]\n', "")


@pytest.fixture
def plain(repo: Repo) -> Repo:
    """A repo with W&B offline whose training gives a model file and nothing else."""
    repo.use_wandb()
    repo.configure(*NO_METRICS)
    return repo


def sealed(repo: Repo, script: str) -> str:
    """The id of a run called "our name", the only one there is."""
    repo.script("import wandb\n" + script + MODEL)
    run = repo.run("our name")
    assert_sealed(repo, run)
    (listed,) = repo.runs()
    assert (listed.run_id, listed.name) == (run.run_id, "our name")
    tracked = repo.open().tracker.run(run.run_id)
    assert (tracked.name, tracked.ending) == ("our name", Ended.FINISHED)
    assert tracked.params.items() >= {"power": "1"}.items()
    return run.run_id


@pytest.mark.parametrize("init", ["", 'project="mine"'])  # others: tests/contract
def test_a_script_that_starts_a_run_joins_ours(plain: Repo, init: str) -> None:
    run_id = sealed(
        plain,
        f"""
run = wandb.init(config={{"depth": 3, "net": {{"width": 8}}}}, {init})
for step in range(5):
    run.log({{"score": step / 4, "val": {{"loss": 1 - step / 4}}}})
run.config.update({{"git_commit": "nonsense", "anchored.state": "mine", "team": "oceans"}})
open("hello.txt", "w").write("hello")
run.save("hello.txt", policy="now")
run.finish()
wandb.finish()
print("joined", run.id)
""",
    )
    tracked = plain.open().tracker.run(run_id)
    assert tracked.metrics == {"score": 1.0, "val.loss": 0.0}
    assert tracked.params == {"power": "1", "depth": "3", "net.width": "8", "team": "oceans"}
    assert tracked.tags["team"] == "oceans"
    log = plain.artifact(run_id, "anchored/train.log") or b""
    assert f"joined {run_id}".encode() in log
    assert plain.artifact(run_id, "hello.txt") == b"hello"


def test_a_script_may_open_its_run_several_times(plain: Repo) -> None:
    run_id = sealed(
        plain,
        """
for fold in range(3):
    with wandb.init(config={"folds": {f"{fold}": fold}}) as run:
        run.log({f"score {fold}": fold, "last": fold})
""",
    )
    tracked = plain.open().tracker.run(run_id)
    assert tracked.metrics == {"score 0": 0, "score 1": 1, "score 2": 2, "last": 2}
    assert tracked.params == {"power": "1", "folds.0": "0", "folds.1": "1", "folds.2": "2"}


def test_a_script_with_an_id_of_its_own_makes_a_run_of_its_own(plain: Repo) -> None:
    plain.script(
        "import wandb\nwith wandb.init(id='own-id', name='theirs') as run: run.log({'a': 1})"
        + MODEL
    )
    run = plain.run("our name")
    assert_sealed(plain, run)
    assert {(run.run_id, run.name) for run in plain.runs()} == {
        (run.run_id, "our name"), ("own-id", "theirs"),
    }  # fmt: skip
    assert plain.open().tracker.run("own-id").metrics == {"a": 1.0}


def test_a_script_that_does_not_finish_its_run_loses_nothing(plain: Repo) -> None:
    """W&B's service writes on for a moment when the script has ended."""
    run_id = sealed(
        plain,
        """
run = wandb.init()
for step in range(20_000):
    run.log({"step": step})
""",
    )
    assert plain.open().tracker.run(run_id).metrics == {"step": 19_999}


def test_a_script_that_is_not_to_join_is_asked_for_its_metrics(plain: Repo) -> None:
    plain.configure('mode = "offline"', 'mode = "offline"\njoin = false')
    run_id = sealed(
        plain,
        """
with wandb.init(mode="offline", project="mine") as run:
    run.log({"loss": 0.5})
""",
    )
    assert plain.open().tracker.run(run_id).metrics == {"loss": 0.5}


@pytest.mark.parametrize(("end", "reason"), [
    ("1 / 0", "exit status 1"),
    ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    ("run.finish(exit_code=1); import os; os._exit(3)", "exit status 3"),
])  # fmt: skip
def test_a_script_that_fails_in_its_run_fails_ours(plain: Repo, end: str, reason: str) -> None:
    plain.script(f"""\
import wandb
run = wandb.init(name="its own", config={{"depth": 3}}, settings=wandb.Settings(
    x_transaction_log_flush_interval=0.05))
run.log({{"loss": 0.5}})
import time; time.sleep(0.5)
{end}
""")
    with pytest.raises(TrainingFailed, match=reason):
        plain.run("our name")
    (run,) = plain.runs()
    assert (run.name, run.state) == ("our name", "failed")
    tracked = plain.open().tracker.run(run.run_id)
    assert tracked.ending == Ended.FAILED
    assert reason in tracked.tags["anchored.error"]
    assert tracked.params.items() >= {"depth": "3"}.items()
    assert tracked.metrics == {"loss": 0.5}
    assert plain.artifact(run.run_id, "anchored/train.log")
