"""Tasks of a reproduction: find the run, fetch what it needs, train again, record the verdict."""

from __future__ import annotations

from anchored.history.trace import ResolvedRun
from anchored.journal import Journal
from anchored.records import Reproduction
from anchored.reproduce import reproduce as steps
from tasks.presenting import current_flow, present_reproduction
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step


@step("locate_run", title="locate run")
def locate_run(
    choice: RepoChoice, run_name: str, request: steps.Request, *, latest: bool
) -> ResolvedRun:
    """Finds the one run that is meant, and brings its commit here."""
    repo = open_training_repo(choice)
    original = steps.locate(repo, run_name, request, latest=latest)
    run = original.run
    repo.report.say(f"{run.name!r} is run {run.run_id}, commit {original.commit or 'lost'}")
    for line in original.mismatches:
        repo.report.warn(line)
    return original


@step("open_reproduction", title="open reproduction")
def open_reproduction(
    choice: RepoChoice, original: ResolvedRun, request: steps.Request, key: str
) -> Journal:
    """Opens the tracker run of the reproduction, the same one at every try with this key."""
    repo = open_training_repo(choice)
    return steps.open_reproduction(repo, original, request, current_flow(), key=key)


@step("fetch_run", title="dvc fetch run")
def fetch_run(choice: RepoChoice, original: ResolvedRun) -> steps.Rerun:
    """Makes the DVC cache hold the run's inputs, every byte hashed; says what is lost."""
    repo = open_training_repo(choice)
    lost = steps.fetch_lineage(repo, original)
    for said in (*lost, *original.lineage.differences):
        repo.report.warn(said)
    if not lost:
        repo.report.say(f"the inputs of {original.run.name!r} are complete in the cache")
    return steps.Rerun(failure="; ".join(lost))


@step("reproduce_run", title="train again", retried=False)
def reproduce_run(
    choice: RepoChoice,
    run: Journal,
    original: ResolvedRun,
    fetched: steps.Rerun,
    request: steps.Request,
) -> steps.Rerun:
    """Trains again from the source commit, unless something it needs is lost."""
    if fetched.failure:
        return fetched
    return steps.rerun(open_training_repo(choice, run.key), run.key, original, request)


@step("record_verdict", title="judge")
def record_verdict(
    choice: RepoChoice,
    run: Journal,
    original: ResolvedRun,
    again: steps.Rerun,
    request: steps.Request,
) -> Reproduction:
    """Judges the result, informs the tracker and shows the table."""
    repo = open_training_repo(choice, run.key)
    reproduction = steps.record_verdict(repo, run.key, original, again, request)
    repo.report.say(f"{reproduction.name!r} is {reproduction.verdict}")
    for cause in reproduction.causes:
        repo.report.say(cause)
    present_reproduction(original.run, run.run, reproduction)
    return reproduction
