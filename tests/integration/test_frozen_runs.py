"""What a run reads is fixed when it opens, and every run that was opened can be closed."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.errors import TrainingFailed
from anchored.journal import Step, new_key
from anchored.records import FlowLink, RunRecord
from anchored.run import open as open_run
from anchored.system.own_folder import OWN
from tests.killed import assert_nothing_is_left, kill, resume, wait_for
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo, result_of

WAITING = (
    SCRIPT
    + """
import time
open("at-work", "w").close()
while not os.path.exists(os.environ["HOME"] + "/go"):
    time.sleep(0.02)
"""
)


def during_training(repo: Repo, home: Path, harm: Callable[[], None]) -> RunRecord:
    """A run in whose training something happens. Raises what it raises."""
    repo.script(WAITING)

    def meddle() -> None:
        wait_for(lambda: any((repo.root / OWN).rglob("at-work")))
        harm()
        (home / "go").touch()

    meddling = threading.Thread(target=meddle)
    meddling.start()
    try:
        return repo.run("one")
    finally:
        meddling.join()


def test_another_branchs_remotes_tracker_and_configuration_do_not_reach_a_run_under_way(
    repo: Repo, isolated: Path, tmp_path: Path
) -> None:
    repo.git("checkout", "--quiet", "-b", "elsewhere")
    repo.dvc("remote", "add", "--force", "-d", "other", str(tmp_path / "wrong"))
    repo.dvc("remote", "remove", "store")
    repo.configure('experiment = "sums"', 'experiment = "wrong"')
    repo.configure("[data]", '[tracker]\nuri = "sqlite:///wrong.db"\n\n[data]')
    repo.git("checkout", "--quiet", "main")

    def harm() -> None:
        repo.git("checkout", "--quiet", "elsewhere")
        repo.git("remote", "set-url", "origin", str(tmp_path / "wrong.git"))
        repo.git("config", "core.autocrlf", "true")

    run = during_training(repo, isolated, harm)
    repo.git("remote", "set-url", "origin", "../origin.git")
    repo.git("checkout", "--quiet", "main")
    assert not (tmp_path / "wrong").exists()
    assert not (repo.root / "wrong.db").exists()
    assert_sealed(repo, run)
    assert repo.head == run.git.commit, "the branch that it was begun on"


def test_a_run_is_resumed_where_it_was_opened(repo: Repo, tmp_path: Path) -> None:
    kill(repo, "before journals.write TRAINED")
    kill(repo, "before journals.write OPENED")
    repo.dvc("remote", "add", "--force", "-d", "other", str(tmp_path / "wrong"))
    repo.configure('experiment = "sums"', 'experiment = "others"')
    (run,) = resume(repo)
    assert run.experiment == "sums"
    assert not (tmp_path / "wrong").exists()
    assert_nothing_is_left(repo)
    repo.configure('experiment = "others"', 'experiment = "sums"')
    assert [r.state for r in repo.runs()] == ["sealed", "failed"]


def test_dvcs_own_temporary_files_may_go_at_any_time(repo: Repo, isolated: Path) -> None:
    run = during_training(repo, isolated, lambda: shutil.rmtree(repo.root / ".dvc/tmp"))
    assert_sealed(repo, run)


def test_a_worktree_that_is_removed_is_what_is_said(repo: Repo, isolated: Path) -> None:
    def harm() -> None:
        (tree,) = (p.parent for p in (repo.root / OWN).rglob("at-work"))
        repo.git("worktree", "remove", "--force", str(tree))

    with pytest.raises(TrainingFailed, match="was removed meanwhile"):
        during_training(repo, isolated, harm)
    (run,) = repo.runs()
    assert run.state == "failed"
    assert_nothing_is_left(repo)


def test_a_run_whose_journal_is_lost_can_be_closed_by_its_name(repo: Repo) -> None:
    kill(repo, "after journals.write OPENED")
    shutil.rmtree(repo.root / OWN)
    assert repo.anchored("resume").returncode == 0
    assert repo.runs()[0].state == "running"
    (closed,) = result_of(repo.anchored("resume", "one", "--json"))
    assert closed["state"] == "failed"
    assert repo.runs()[0].state == "failed"
    assert repo.anchored("resume", "one").returncode == 2, "there is nothing more to close"


def test_a_journal_of_an_earlier_version_is_resumed(repo: Repo) -> None:
    workspace = repo.open()
    key = new_key()
    open_run.open_run(workspace, open_run.RunRequest(name="one"), FlowLink(), key=key)
    workspace.journals.release(key)
    home, earlier = repo.root / OWN / "runs" / key, repo.root / ".dvc/tmp/anchored" / key
    earlier.parent.mkdir(parents=True, exist_ok=True)
    home.rename(earlier)
    journal = json.loads((earlier / "journal.json").read_text())
    del journal["places"]
    (earlier / "journal.json").write_text(json.dumps(journal))
    assert journal["step"] == Step.OPENED.name
    (run,) = resume(repo)
    assert_sealed(repo, run)
    assert not earlier.exists()


def test_line_ends_are_those_of_the_moment_when_the_run_opened(repo: Repo) -> None:
    repo.write(".gitattributes", "train.py text\n")
    repo.script(SCRIPT + 'assert b"\\r\\n" not in open("train.py", "rb").read()\n')
    key = open_run.open_run(repo.open(), open_run.RunRequest(name="one"), FlowLink()).key
    repo.git("config", "core.autocrlf", "true")
    assert repo.finish(key).run.state == "sealed"
