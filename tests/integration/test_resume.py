"""Killed at whatever point: what is published is whole, and `resume` brings the run to its end."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from anchored.errors import AmbiguousRun, AnchoredError, UnknownRun
from anchored.journal import Step, new_key
from anchored.records import FlowLink
from anchored.resume.close import claim_unfinished
from anchored.run import log as log_run
from anchored.run import open as open_run
from anchored.run import train, version_data, version_model
from anchored.run.seal import seal
from tests.forked import started
from tests.killed import (
    assert_cache_is_whole,
    assert_nothing_is_left,
    assert_published_is_whole,
    assert_sealed_once,
    kill,
    resume,
    running,
    theirs,
    trainings,
    wait_for,
)
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo

STEPS = (
    version_data.version_data,
    version_data.push_data,
    train.fetch_inputs,
    train.train,
    log_run.log_run,
    version_model.version_model,
    version_model.push_model,
    version_model.commit_snapshot,
    version_model.publish_run,
)

BEGUN = ["before journals.write OPENING", "after journals.write OPENING", "after code.keep"]
UNTRAINED = [
    "after tracker.open_run",
    "before journals.write OPENED",
    "after journals.write OPENED",
    "after store.add",
    "after code.commit",
    "after code.keep 2",
    "after journals.write DATA_VERSIONED",
    "after store.push",
    "after journals.write DATA_PUSHED",
    "after store.fetch",
    "after code.add_worktree",
    "after store.checkout",
    "before journals.write TRAINING",
]
IN_TRAINING = [
    "after journals.write TRAINING",
    "after report.output",
    "after store.changed",
    "before journals.write TRAINED",
]
TRAINED = [
    "after journals.write TRAINED",
    "before code.remove_worktree",
    "after code.remove_worktree",
    "after tracker._log_values",
    "after tracker._log_files",
    "after tracker._set_tags",
    "after journals.write LOGGED",
    "after store.add 2",
    "after journals.write MODEL_VERSIONED",
    "after store.push 2",
    "after journals.write MODEL_PUSHED",
    "after code.commit 2",
    "after code.create",
    "after journals.write COMMITTED",
    "after code.publish",
    "after journals.write PUBLISHED",
    "after tracker._log_files 2",
    "after tracker._set_tags 2",
    "after tracker.end_run",
    "after journals.write SEALED",
    "before code.advance",
    "after code.advance",
    "before code.forget",
    "before journals.close",
]


def test_points_cover_every_boundary() -> None:
    named = " ".join((*BEGUN, *UNTRAINED, *IN_TRAINING, *TRAINED))
    assert [step.name for step in Step if f"after journals.write {step.name}" not in named] == []


@pytest.mark.parametrize("point", BEGUN)
def test_killed_before_the_tracker_knew_leaves_nothing(repo: Repo, point: str) -> None:
    before = theirs(repo)
    kill(repo, point)
    assert resume(repo) == []
    assert repo.runs() == []
    assert theirs(repo) == before
    assert_nothing_is_left(repo)


@pytest.mark.parametrize("point", UNTRAINED + TRAINED)
def test_killed_outside_of_training_is_sealed_by_resume(repo: Repo, point: str) -> None:
    kill(repo, point)
    assert_published_is_whole(repo)
    assert len(resume(repo)) == 1
    assert_sealed_once(repo)
    assert resume(repo) == []


@pytest.mark.parametrize("point", IN_TRAINING)
def test_killed_in_training_is_closed_as_failed(repo: Repo, point: str) -> None:
    before = theirs(repo)
    kill(repo, point)
    assert_published_is_whole(repo)
    assert resume(repo) == []
    (run,) = repo.runs()
    assert run.state == "failed"
    assert "was interrupted" in repo.tags(run.run_id)["anchored.error"]
    assert theirs(repo) == before
    assert repo.git("rev-list", "--all", "--count") == "1"
    assert repo.git("for-each-ref", "refs/anchored", cwd=repo.origin) == ""
    assert_nothing_is_left(repo)


def test_git_gc_between_kill_and_resume_loses_nothing(repo: Repo) -> None:
    kill(repo, "after journals.write DATA_PUSHED")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")
    assert len(resume(repo)) == 1
    assert_sealed_once(repo)


@pytest.mark.parametrize("point", ["after tracker.open_run", "after journals.write OPENED"])
def test_a_snapshot_is_of_the_tree_as_it_was_when_the_run_began(repo: Repo, point: str) -> None:
    repo.write("train.py", SCRIPT + "# begun with this\n")
    kill(repo, point, snapshot=True)
    repo.write("train.py", "raise SystemExit('never trained')\n")
    repo.git("gc", "--quiet", "--prune=now")
    (run,) = resume(repo)
    assert repo.git("show", f"{run.git.commit}:train.py").endswith("# begun with this")
    assert_sealed(repo, run)


def test_a_process_that_dies_before_it_wrote_the_start_down_has_not_trained(repo: Repo) -> None:
    repo.script(f"open({str(repo.root.parent / 'trained')!r}, 'a').write('x')\n" + SCRIPT)
    kill(repo, "before journals.write TRAINING")
    assert len(resume(repo)) == 1
    assert (repo.root.parent / "trained").read_text() == "x"


@pytest.mark.parametrize("point", ["after tracker._set_tags", "before journals.close"])
def test_killed_while_it_was_closed_as_failed_keeps_its_reason(repo: Repo, point: str) -> None:
    repo.script("raise SystemExit(7)\n")
    kill(repo, point)
    assert resume(repo) == []
    (run,) = repo.runs()
    assert repo.tags(run.run_id)["anchored.error"] == "training ended with exit status 7"
    assert repo.open().tracker.run(run.run_id).ending == "failed"
    assert_nothing_is_left(repo)


def test_training_that_outlives_anchored_is_ended_by_resume(repo: Repo) -> None:
    repo.script("""\
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], process_group=0)
        print("at work", flush=True)
        time.sleep(300)
        """)
    kill(repo, "after report.output")
    wait_for(lambda: len(trainings(repo)) == 1)  # what left the group lives on
    resume(repo)
    assert_nothing_is_left(repo)


def test_children_of_a_training_whose_shell_is_gone_are_ended_by_resume(repo: Repo) -> None:
    repo.configure('"python train.py"', '"python train.py & echo begun; wait"')
    repo.script(
        "import os, time\nos.setpgid(0, 0)\nprint('at work', flush=True)\ntime.sleep(300)\n"
    )
    kill(repo, "after report.output 2")
    wait_for(lambda: len(trainings(repo)) == 1)
    resume(repo)
    assert_nothing_is_left(repo)


def test_an_input_overwritten_before_the_kill_is_mended(repo: Repo) -> None:
    repo.script(
        """\
        import os, time
        os.chmod("data/numbers.csv", 0o644)
        open("data/numbers.csv", "w").write("spoilt")
        print("written", flush=True)
        time.sleep(300)
        """
    )
    content = (repo.root / "data/numbers.csv").read_bytes()
    kill(repo, "after report.output")
    with pytest.raises(AssertionError):
        assert_cache_is_whole(repo)
    resume(repo)
    assert_cache_is_whole(repo)
    assert (repo.root / "data/numbers.csv").read_bytes() == content
    (run,) = repo.runs()
    assert run.state == "failed"


def test_every_step_may_be_called_twice(repo: Repo) -> None:
    workspace = repo.open()
    key = open_run.open_run(workspace, open_run.RunRequest(name="one"), FlowLink()).key
    for step in STEPS:
        step(workspace, key)
        step(repo.open(), key)
    for step in STEPS:
        step(repo.open(), key)
    run = seal(repo.open(), key).run
    assert_sealed(repo, run)
    assert_sealed_once(repo)
    with pytest.raises(UnknownRun):
        seal(repo.open(), key)


def test_a_retried_opening_makes_no_second_tracker_run(repo: Repo) -> None:
    workspace, key = repo.open(), new_key()
    request = open_run.RunRequest(name="one")
    first = open_run.open_run(workspace, request, FlowLink(), key=key)
    again = open_run.open_run(workspace, request, FlowLink(), key=key)
    assert again == first
    workspace.journals.write(replace(first, step=Step.OPENING, run=first.run.with_(run_id="")))
    assert open_run.open_run(workspace, request, FlowLink(), key=key).run.run_id == first.run.run_id
    assert len(repo.runs()) == 1
    repo.finish(key)
    assert_sealed_once(repo)


def test_a_run_that_another_live_process_owns_is_left_alone(repo: Repo) -> None:
    repo.script("import time\nprint('at work', flush=True)\ntime.sleep(1.5)\n" + SCRIPT)
    live = started(running, repo, "one", {})
    journals = repo.open().journals
    wait_for(lambda: any(journal.step == Step.TRAINING for journal in journals.all()))
    assert resume(repo) == []
    live.join()
    assert_sealed_once(repo, commits=4)


def test_leftovers_of_a_closed_run_are_swept(repo: Repo) -> None:
    kill(repo, "before journals.close")
    journals = repo.open().journals
    (journal,) = journals.all()
    (journals.home(journal.key) / "journal.json").unlink()
    assert list(claim_unfinished(repo.open())) == []
    assert_nothing_is_left(repo)


def test_a_folder_that_a_live_run_works_in_is_not_swept(repo: Repo) -> None:
    with repo.open().journals.scratch() as folder:
        assert list(claim_unfinished(repo.open())) == []
        assert folder.is_dir()


def test_a_private_tree_whose_process_was_killed_is_swept(repo: Repo) -> None:
    script = """
import os, signal, sys
from anchored.run.worktree import temporary_worktree
from anchored.workspace.open import open_repo

repo = open_repo(sys.argv[1])
with temporary_worktree(repo, repo.config, repo.code.head()) as tree:
    assert (tree.path / "train.py").exists()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script, str(repo.root)], check=False)
    assert repo.git("worktree", "list").count("\n") == 1
    assert list(claim_unfinished(repo.open())) == []
    assert_nothing_is_left(repo)


def test_resume_by_name_or_id_takes_one_run_and_guesses_nothing(repo: Repo) -> None:
    kill(repo, "after journals.write OPENED")
    kill(repo, "after journals.write OPENED")
    one, two = repo.runs()
    for unknown in ("nothing", "12345", two.run_id[:5], "@champion", "latest", "One"):
        with pytest.raises(UnknownRun):
            list(claim_unfinished(repo.open(), unknown))
    with pytest.raises(AmbiguousRun, match=two.run_id) as several:
        list(claim_unfinished(repo.open(), "one"))
    assert several.value.hint == "name one by its full id, or finish all without RUN"
    (claimed,) = claim_unfinished(repo.open(), one.run_id[:8])
    assert claimed.run.run_id == one.run_id


def test_a_run_that_the_tracker_has_lost_is_forgotten(repo: Repo) -> None:
    kill(repo, "after journals.write OPENED")
    (run,) = repo.runs()
    workspace = repo.open()
    workspace.tracker._client.delete_run(run.run_id)
    with pytest.raises(AnchoredError):
        resume(repo)
    assert resume(repo) == []
    assert_nothing_is_left(repo)
