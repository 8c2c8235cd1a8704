"""A service that fails, Ctrl-C, a killed command: nothing is lost, and `anchored resume` goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from anchored.errors import ServiceFailed
from anchored.journal import Step
from anchored.records import FlowLink
from anchored.run import log as log_run
from anchored.run import open as open_run
from anchored.run import train, version_data
from anchored.run.fail import may_be_resumed
from tests.forked import begun
from tests.killed import (
    assert_nothing_is_left,
    assert_published_is_whole,
    end_trainings,
    kill,
    resume,
    sealed_runs,
    theirs,
    trainings,
    wait_for,
)
from tests.proof import assert_sealed
from tests.repos import Repo, result_of
from tests.services.prefect_server import PrefectServer
from tests.services.prefect_worker import Flows

SLEEPING = """\
import subprocess, sys, time
child = [sys.executable, "-c", "import time; time.sleep(300)"]
subprocess.Popen(child, start_new_session=True)
open({at_work!r}, "w").close()
time.sleep(300)
"""
GONE = "The process of this flow run is gone."
TO_TRAINED = (
    version_data.version_data,
    version_data.push_data,
    train.fetch_inputs,
    train.train,
    log_run.log_run,
)


@contextmanager
def unusable(folder: Path) -> Iterator[None]:
    """A file stands where the folder was, which stops root too."""
    kept = folder.with_name(f"{folder.name}.kept")
    folder.rename(kept)
    folder.write_text("in the way")
    try:
        yield
    finally:
        folder.unlink()
        kept.rename(folder)


@contextmanager
def refusing(origin: Path) -> Iterator[None]:
    """The Git remote declines every push."""
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    try:
        yield
    finally:
        hook.unlink()


def opened(repo: Repo) -> str:
    request = open_run.RunRequest(name="one")
    return open_run.open_run(repo.open(), request, FlowLink()).key


def assert_sealed_by_resume(repo: Repo) -> None:
    assert_published_is_whole(repo)
    (run,) = resume(repo)
    assert_sealed(repo, run)
    assert len(repo.runs()) == 1
    assert_nothing_is_left(repo)


@pytest.mark.parametrize("trained", [True, False])
def test_a_dvc_remote_that_fails_leaves_the_run_for_later(repo: Repo, *, trained: bool) -> None:
    key = opened(repo)
    for step in TO_TRAINED if trained else ():
        step(repo.open(), key)
    with unusable(repo.store), pytest.raises(ServiceFailed) as failed:
        repo.finish(key)
    assert not failed.value.transient
    assert_sealed_by_resume(repo)


def test_a_git_remote_that_refuses_leaves_the_run_for_later(repo: Repo) -> None:
    with refusing(repo.origin), pytest.raises(ServiceFailed, match="hook declined") as failed:
        repo.run("one")
    assert not failed.value.transient, "asking again would be refused again"
    assert_sealed_by_resume(repo)


def test_a_git_remote_that_is_away_leaves_the_run_for_later(repo: Repo) -> None:
    with unusable(repo.origin), pytest.raises(ServiceFailed):
        repo.run("one")
    assert_sealed_by_resume(repo)


def test_a_tracker_that_is_away_leaves_the_run_for_later(repo: Repo) -> None:
    key = opened(repo)
    version_data.version_data(repo.open(), key)
    version_data.push_data(repo.open(), key)
    train.train(repo.open(), key)
    kept = (repo.root / "mlflow.db").read_bytes()
    (repo.root / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ServiceFailed):
        repo.finish(key)
    (repo.root / "mlflow.db").write_bytes(kept)
    assert_sealed_by_resume(repo)


def test_an_interruption_outside_of_training_leaves_the_run_for_later(repo: Repo) -> None:
    key = opened(repo)
    workspace = repo.open()
    assert may_be_resumed(workspace, key, KeyboardInterrupt())
    workspace.journals.write(workspace.journal(key).at(Step.TRAINING))
    assert not may_be_resumed(workspace, key, KeyboardInterrupt())


# --- the commands ---------------------------------------------------------------------------------


@contextmanager
def command(repo: Repo, *args: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """The command under way; whatever the test does, its process and training end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "anchored", *args],
        cwd=repo.root, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        end_trainings(repo)


@contextmanager
def command_to_kill(repo: Repo, *args: str, **env: str) -> Iterator[Any]:
    """As `command`, for the end that asks nothing of the process: it is forked, not started."""
    process = begun(*args, cwd=repo.root, env={**os.environ, **env})
    try:
        yield process
    finally:
        process.kill()
        process.join()
        end_trainings(repo)


def sleep_in_training(repo: Repo) -> Path:
    """What training makes when it, a shell, has a script and that a child; it does not end."""
    at_work = repo.root.parent / "at work"
    repo.script(SLEEPING.format(at_work=str(at_work)))
    return at_work


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_is_recorded_and_gone(
    repo: Repo, prefect_server: PrefectServer, number: signal.Signals
) -> None:
    at_work = sleep_in_training(repo)
    before = theirs(repo)
    with command(repo, "run", "one", **prefect_server.env) as process:
        wait_for(at_work.exists)
        assert len(trainings(repo)) >= 3
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
    assert "error: interrupted" in said
    assert "anchored resume" not in said, "nothing is left to be finished"
    assert "Traceback" not in said
    (run,) = repo.runs()
    assert run.state == "failed"
    assert repo.open().tracker.run(run.run_id).ending == "killed"
    assert theirs(repo) == before
    assert_nothing_is_left(repo)


def test_a_killed_command_is_closed_as_failed_by_resume(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    at_work = sleep_in_training(repo)
    with command_to_kill(repo, "run", "one", **prefect_server.env) as process:
        wait_for(at_work.exists)
        assert len(trainings(repo)) >= 3
        process.kill()
        process.join()
        flow_run = repo.runs()[0].prefect.flow_run_id
        assert Flows(prefect_server).get(flow_run)["state_type"] == "RUNNING"
        done = repo.anchored("resume", "--json", **prefect_server.env)
    (result,) = result_of(done)
    assert (result["name"], result["state"]) == ("one", "failed")
    assert_nothing_is_left(repo)
    ended = Flows(prefect_server).get(flow_run)
    assert (ended["state_type"], ended["state"]["message"]) == ("CRASHED", GONE)


def test_a_killed_command_is_taken_up_and_its_flow_run_crashed(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    hook = repo.origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    pushing = repo.root.parent / "pushing"
    hook.write_text(f"#!/bin/sh\ntouch {pushing}\nwhile [ -e {pushing} ]; do sleep 0.1; done\n")
    hook.chmod(0o755)
    with command_to_kill(repo, "run", "one", **prefect_server.env) as process:
        wait_for(pushing.exists)
        process.kill()
        process.join()
    hook.unlink()
    pushing.unlink()
    flow_run = repo.runs()[0].prefect.flow_run_id
    (result,) = result_of(repo.anchored("resume", "--json", **prefect_server.env))
    assert (result["name"], result["state"]) == ("one", "sealed")
    ended = Flows(prefect_server).get(flow_run)
    assert (ended["state_type"], ended["state"]["message"]) == ("CRASHED", GONE)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/api"])
def test_a_killed_run_is_closed_though_prefect_is_away(repo: Repo, url: str) -> None:
    kill(repo, "after journals.write TRAINING")
    journals = repo.open().journals
    (left,) = journals.all()
    journals.write(replace(left, run=left.run.with_(prefect=FlowLink(str(uuid4()), ""))))
    (result,) = result_of(
        repo.anchored("resume", "--json", **{"PREFECT_API_URL": url} if url else {})
    )
    assert (result["name"], result["state"]) == ("one", "failed")
    assert_nothing_is_left(repo)


def test_resume_finishes_what_a_refusing_remote_held_up(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    with refusing(repo.origin):
        done = repo.anchored("run", "one", **prefect_server.env)
        assert done.returncode == 3, done.stderr
        assert "anchored resume" in done.stderr
        for _ in range(2):
            # Nobody works on it: the tracker does not call it running.
            (run,) = repo.runs()
            assert run.state == "failed"
            said = repo.tags(run.run_id)["anchored.error"]
            assert said.startswith("GitRemoteFailed: ")
            assert said.endswith("; `anchored resume` finishes the run")
            assert repo.open().tracker.run(run.run_id).ending == "failed"
            assert repo.anchored("resume", **prefect_server.env).returncode == 3
    done = repo.anchored("resume", "one", "--json", **prefect_server.env)
    (result,) = result_of(done)
    assert result["state"] == "sealed"
    (run,) = sealed_runs(repo)
    assert_sealed(repo, run)
    assert "anchored.error" not in repo.tags(run.run_id)
    assert repo.head == run.git.commit
    assert_nothing_is_left(repo)


def test_resume_finishes_a_killed_run(repo: Repo, prefect_server: PrefectServer) -> None:
    kill(repo, "after journals.write MODEL_VERSIONED")
    (result,) = result_of(repo.anchored("resume", "--json", **prefect_server.env))
    assert result["state"] == "sealed"
    (run,) = sealed_runs(repo)
    assert_sealed(repo, run)
    assert_nothing_is_left(repo)


def test_resume_with_nothing_to_do_is_content(repo: Repo) -> None:
    done = repo.anchored("resume")
    assert (done.returncode, done.stdout) == (0, "")
    done = repo.anchored("resume", "--json")
    assert json.loads(done.stdout) == []


def test_resume_of_an_unknown_run_is_wrong_use(repo: Repo) -> None:
    done = repo.anchored("resume", "nobody")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no unfinished run")
