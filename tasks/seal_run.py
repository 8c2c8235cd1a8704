"""Tasks `seal_run` and `close_run`: the end of a run, good or bad."""

from __future__ import annotations

from anchored.errors import ServiceFailed
from anchored.journal import Journal
from anchored.ports import Advance
from anchored.run.fail import fail_run, leave_open, may_be_resumed
from anchored.run.seal import Sealed, seal
from tasks.presenting import present_lineage
from tasks.presenting_pictures import pictures_of, present_pictures
from tasks.reporting import RepoChoice, open_training_repo
from tasks.state_hooks import interruption_of
from tasks.step import step


@step("seal_run", title="seal run")
def seal_run(choice: RepoChoice, run: Journal) -> Sealed:
    """Tags the tracker run, reads the tags back, and brings the branch forward."""
    repo = open_training_repo(choice, run.key)
    pictures = pictures_of(repo, run)
    sealed = seal(repo, run.key)
    branch = sealed.branch
    if branch.advance == Advance.LEFT:
        repo.report.warn(f"the branch was left where it is: {branch.reason}")
    present_lineage(sealed.run)
    present_pictures(sealed.run, pictures)
    repo.report.say(f"run {sealed.run.name!r} is sealed as {sealed.run.git.commit}")
    return sealed


def close_run(choice: RepoChoice, run: Journal, error: BaseException) -> None:
    """Closes a run that is over, or leaves it for `resume`; a run that has ended is left alone.

    Of an interruption the tracker is informed at once and without a task: Prefect's server may be
    what has gone, and whoever pressed Ctrl-C waits.
    """
    repo = open_training_repo(choice, run.key)
    if repo.journals.read(run.key) is None:
        return
    resumable = may_be_resumed(repo, run.key, error)
    if isinstance(error, Exception):
        if resumable and isinstance(error, ServiceFailed):
            error.offer_resume()
        elif not resumable:
            close_failed_run(choice, run, error)
        return
    named = interruption_of(error)
    try:
        if resumable:
            leave_open(repo, run.key, str(named))
        else:
            fail_run(repo, run.key, named, killed=True)
    except ServiceFailed as failed:
        repo.report.warn(f"{run.run.name} is not closed yet: {failed.message}")


@step("close_run", title="close failed run")
def close_failed_run(choice: RepoChoice, run: Journal, error: Exception) -> None:
    """Records the run as failed, with its log."""
    fail_run(open_training_repo(choice, run.key), run.key, error)
