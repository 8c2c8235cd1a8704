"""Training that does not end well: recorded as failed with its log, and nothing of it committed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from anchored.errors import (
    AnchoredError,
    BadOutcome,
    RemoteFailed,
    RunFailed,
    TrackerFailed,
    TrainingFailed,
)
from anchored.journal import FOLDER
from tests.killed import wait_for
from tests.repos import Repo, result_of

MODEL = "import pathlib\npathlib.Path('models/model.bin').write_text('model')\n"
METRICS = "pathlib.Path('metrics.json').write_text({!r})\n"


def fails(repo: Repo, error: type[RunFailed], match: str) -> Any:
    """Runs, and sees that all there is of the failed run is its record; returns the error."""
    before = replace(repo.state(), status="")
    with pytest.raises(error, match=match) as raised:
        repo.run("bad")
    (run,) = repo.runs()
    assert (run.name, run.state) == ("bad", "failed")
    tracker = repo.open().tracker
    assert tracker._client.get_run(run.run_id).info.status == "FAILED"
    assert repo.tags(run.run_id)["anchored.error"] == raised.value.message
    assert "git_commit" not in repo.tags(run.run_id)
    assert json.loads(repo.artifact(run.run_id, "anchored/run.json") or b"")["state"] == "failed"
    assert repo.artifact(run.run_id, "anchored/train.log") is not None
    assert replace(repo.state(), status="") == before
    assert repo.git("status", "--porcelain") == "?? data/"
    assert repo.git("for-each-ref", "refs/anchored") == ""
    left = [f for f in (repo.root / FOLDER).iterdir() if f.is_dir()]
    assert left == []
    assert not list((repo.root / ".git").glob("worktrees/*"))
    return raised.value


def log_of_failed(repo: Repo) -> str:
    return (repo.artifact(repo.runs()[0].run_id, "anchored/train.log") or b"").decode()


def test_a_failing_command_is_recorded_with_the_tail_of_its_log(repo: Repo) -> None:
    repo.script("for n in range(100): print('line', n)\nraise SystemExit(3)\n")
    error = fails(repo, TrainingFailed, "exit status 3")
    assert error.tail[-1] == "line 99"
    assert log_of_failed(repo).splitlines()[0] == "line 0"


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM"])
def test_a_killed_command_is_recorded(repo: Repo, name: str) -> None:
    repo.script(f"import os, signal\nprint('begun')\nos.kill(os.getpid(), signal.{name})\n")
    fails(repo, TrainingFailed, name)
    assert "begun" in log_of_failed(repo)


def test_a_command_out_of_time_is_ended_with_its_children(repo: Repo) -> None:
    repo.configure("[train.params]", "timeout = 1.5\n[train.params]")
    repo.script(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; sleep 60 & wait; sleep 60'])\n"
        "print('child', child.pid)\ntime.sleep(60)\n"
    )
    before = time.monotonic()
    fails(repo, TrainingFailed, r"out of time \(1.5 s\)")
    assert time.monotonic() - before < 30
    child = int(log_of_failed(repo).split()[1])
    wait_for(lambda: not psutil.pid_exists(child), 10)  # whoever adopted it lets it go when it may


def test_a_command_that_is_not_there_is_named(repo: Repo) -> None:
    repo.configure('"python train.py"', '"no-such-program --fast"')
    assert "no-such-program --fast" in str(fails(repo, TrainingFailed, "not found").hint)


@pytest.mark.parametrize("on_path", [True, False])
def test_a_program_that_no_commit_holds_is_named(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, on_path: bool
) -> None:
    (repo.root / ".venv/bin").mkdir(parents=True)
    (repo.root / ".venv/bin/python").symlink_to(sys.executable)
    repo.write(".gitignore", (repo.root / ".gitignore").read_text() + ".venv\n")
    repo.configure('"python train.py"', '"SEED=1 .venv/bin/python train.py"')
    git = shutil.which("git")
    assert git is not None
    if not on_path:
        (tmp_path / "git").symlink_to(git)
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnchoredError, match="not found" if on_path else "no Python") as raised:
        repo.run()
    hint = str(raised.value.hint)
    assert ".venv/bin/python is not in the source commit" in hint
    assert "write `SEED=1 python train.py`" in hint
    assert repo.runs()[0].state == "failed"


@pytest.mark.parametrize(
    ("script", "match"),
    [
        ("import pathlib\n" + METRICS.format("{}"), "no models/model.bin"),
        (MODEL + METRICS.format('{"a": NaN}'), "'a' is nan"),
    ],
)
def test_an_outcome_that_cannot_be_recorded_is_named(repo: Repo, script: str, match: str) -> None:
    repo.script(script)
    fails(repo, BadOutcome, match)


def test_metrics_of_an_earlier_run_are_not_taken_for_new(repo: Repo) -> None:
    repo.write("metrics.json", '{"old": 1}')
    repo.git("add", "--force", "metrics.json")
    repo.script(MODEL)
    fails(repo, BadOutcome, "no metrics.json")


def test_a_model_of_which_dvcignore_leaves_nothing_is_refused(repo: Repo) -> None:
    repo.write(".dvcignore", "*.tmp\n")
    repo.configure('"models/model.bin"', '"models/net"')
    repo.script(
        "import pathlib\npathlib.Path('models/net').mkdir()\n"
        "pathlib.Path('models/net/a.tmp').write_text('x')\n"
        "pathlib.Path('metrics.json').write_text('{}')\n"
    )
    with pytest.raises(Exception, match="dvcignore"):
        repo.run()
    assert repo.runs()[0].state == "failed"


def test_a_failed_run_does_not_stand_in_the_way_of_the_next(repo: Repo) -> None:
    script = (repo.root / "train.py").read_text()
    repo.script("raise SystemExit(1)\n")
    fails(repo, TrainingFailed, "exit status 1")
    repo.script(script)
    assert repo.run("bad").state == "sealed"


# --- services that do not answer ------------------------------------------------------------------


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def with_tracker(repo: Repo, uri: str) -> None:
    text = (repo.root / "anchored.toml").read_text()
    repo.write("anchored.toml", f'{text}\n[tracker]\nuri = "{uri}"\n')
    repo.commit()


def test_an_unreachable_tracker_is_a_failed_service(repo: Repo, closed_port: int) -> None:
    with_tracker(repo, f"http://ada:secret-word@127.0.0.1:{closed_port}")
    before = repo.git("rev-parse", "HEAD")
    with pytest.raises(TrackerFailed) as failed:
        repo.run()
    assert failed.value.transient
    assert "secret-word" not in failed.value.message
    assert (repo.head, repo.git("for-each-ref", "refs/anchored/runs")) == (before, "")


def test_an_unreachable_dvc_remote_is_a_failed_service(repo: Repo, closed_port: int) -> None:
    repo.dvc("remote", "modify", "store", "url", f"http://127.0.0.1:{closed_port}/store")
    repo.commit()
    with pytest.raises(RemoteFailed) as failed:
        repo.run()
    assert failed.value.transient
    assert repo.runs() == []


def test_a_remote_that_goes_away_meanwhile_costs_nothing(repo: Repo) -> None:
    script = (repo.root / "train.py").read_text()
    away = repo.store.with_name("away")
    repo.script(
        f"{script}\nos.rename({str(repo.store)!r}, {str(away)!r})\nopen({str(repo.store)!r}, 'w')\n"
    )
    with pytest.raises(Exception, match="store"):
        repo.run()
    (run,) = repo.runs()
    repo.store.unlink()
    away.rename(repo.store)
    (journal,) = repo.open().journals.all()
    assert repo.finish(journal.key).run.state == "sealed"
    assert [r.run_id for r in repo.runs()] == [run.run_id]


def test_the_command_says_how_to_go_on_within_a_minute(
    repo: Repo, closed_port: int, prefect_server: Any
) -> None:
    with_tracker(repo, f"http://127.0.0.1:{closed_port}")
    before = time.monotonic()
    done = repo.anchored("run", "one", **prefect_server.env)
    took = time.monotonic() - before
    assert done.returncode == 3, done.stderr
    assert "error: MLflow at" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert took < 60
    assert len(list(repo.open().journals.all())) <= 1


def test_the_command_shows_the_tail_of_a_failed_training(repo: Repo, prefect_server: Any) -> None:
    repo.script("print('the reason')\nraise SystemExit(3)\n")
    done = repo.anchored("run", "one", **prefect_server.env)
    assert done.returncode == 1, done.stderr
    assert "the reason" in done.stderr
    assert "error: training ended with exit status 3" in done.stderr
    assert "Traceback" not in done.stderr
    shown = result_of(repo.anchored("show", "one", "--json", **prefect_server.env))
    assert shown["state"] == "failed"


BUG = """
import sys
from anchored.cli.main import main
from anchored.run import version_data

def broken(*_):
    raise KeyError("nobody expected this")

version_data.version_data = broken
sys.exit(main(["run", "one"]))
"""


def test_a_bug_inside_a_flow_is_no_answer_but_70(repo: Repo, prefect_server: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUG],
        cwd=repo.root, env=os.environ | prefect_server.env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 70, done.stderr
    assert "error: KeyError: 'nobody expected this'" in done.stderr
    assert "bug in Anchored" in done.stderr
    assert "Traceback" not in done.stderr
