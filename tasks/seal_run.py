"""Tasks `seal_run` and `close_run`: the end of a run, good or bad."""

from __future__ import annotations

from anchored.errors import ServiceFailed
from anchored.journal import Journal
from anchored.ports import Advance
from anchored.run.fail import fail_run, leave_open, may_be_resumed
from anchored.run.seal import Sealed, seal
from tasks.presenting import present_lineage
from tasks.presenting_pictures import pictures_of, present_pictures
from tasks.reporting import RepoChoice, opened
from tasks.state_hooks import named_cut_off
from tasks.step import step


@step("seal_run", title="seal run")
def seal_run(repo: RepoChoice, run: Journal) -> Sealed:
    """Tags the tracker run, reads the tags back, and brings the branch forward."""
    workspace = opened(repo, run.key)
    pictures = pictures_of(workspace, run)
    sealed = seal(workspace, run.key)
    branch = sealed.branch
    if branch.advance == Advance.LEFT:
        workspace.report.warn(f"the branch was left where it is: {branch.reason}")
    present_lineage(sealed.run)
    present_pictures(sealed.run, pictures)
    workspace.report.say(f"run {sealed.run.name!r} is sealed as {sealed.run.git.commit}")
    return sealed


def close_run(repo: RepoChoice, run: Journal, error: BaseException) -> None:
    """Closes a run that is over, or leaves it for `resume`; a run that has ended is left alone.

    Of an interruption, the tracker is told at once and without a task: Prefect's server may be what
    has gone, and who pressed Ctrl-C waits.
    """
    workspace = opened(repo, run.key)
    if workspace.journals.read(run.key) is None:
        return
    resumable = may_be_resumed(workspace, run.key, error)
    if isinstance(error, Exception):
        if resumable and isinstance(error, ServiceFailed):
            error.offer_resume()
        elif not resumable:
            close_failed_run(repo, run, error)
        return
    named = named_cut_off(error)
    try:
        if resumable:
            leave_open(workspace, run.key, str(named))
        else:
            fail_run(workspace, run.key, named, killed=True)
    except ServiceFailed as failed:
        workspace.report.warn(f"{run.run.name} is not closed yet: {failed.message}")


@step("close_run", title="close failed run")
def close_failed_run(repo: RepoChoice, run: Journal, error: Exception) -> None:
    """Records the run as failed, with its log."""
    fail_run(opened(repo, run.key), run.key, error)
