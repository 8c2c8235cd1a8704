"""Tasks of a reproduction: find the run, fetch what it needs, train again, tell the verdict."""

from __future__ import annotations

from anchored.history.trace import Traced
from anchored.journal import Journal
from anchored.records import Reproduction
from anchored.reproduce import reproduce as steps
from tasks.presenting import current_flow, present_reproduction
from tasks.reporting import RepoChoice, opened
from tasks.step import step


@step("locate_run", title="locate run")
def locate_run(repo: RepoChoice, run_name: str, request: steps.Request, *, latest: bool) -> Traced:
    """Finds the one run that is meant, and brings its commit here."""
    workspace = opened(repo)
    original = steps.located(workspace, run_name, request, latest=latest)
    run = original.run
    workspace.report.say(f"{run.name!r} is run {run.run_id}, commit {original.commit or 'lost'}")
    for line in original.mismatches:
        workspace.report.warn(line)
    return original


@step("open_reproduction", title="open reproduction")
def open_reproduction(
    repo: RepoChoice, original: Traced, request: steps.Request, key: str
) -> Journal:
    """Opens the tracker run of the reproduction, the same one at every try with this key."""
    workspace = opened(repo)
    return steps.open_reproduction(workspace, original, request, current_flow(), key=key)


@step("fetch_run", title="dvc fetch run")
def fetch_run(repo: RepoChoice, original: Traced) -> steps.Rerun:
    """Makes the DVC cache hold the run's inputs, every byte hashed; says what is lost."""
    workspace = opened(repo)
    lost = steps.fetch_lineage(workspace, original)
    for said in (*lost, *original.lineage.differences):
        workspace.report.warn(said)
    if not lost:
        workspace.report.say(f"the inputs of {original.run.name!r} are whole in the cache")
    return steps.Rerun(failure="; ".join(lost))


@step("reproduce_run", title="train again", retried=False)
def reproduce_run(
    repo: RepoChoice, run: Journal, original: Traced, fetched: steps.Rerun, request: steps.Request
) -> steps.Rerun:
    """Trains again from the source commit, unless something it needs is lost."""
    if fetched.failure:
        return fetched
    return steps.rerun(opened(repo, run.key), run.key, original, request)


@step("record_verdict", title="judge")
def record_verdict(
    repo: RepoChoice, run: Journal, original: Traced, again: steps.Rerun, request: steps.Request
) -> Reproduction:
    """Judges the result, tells the tracker and shows the table."""
    workspace = opened(repo, run.key)
    reproduction = steps.record_verdict(workspace, run.key, original, again, request)
    workspace.report.say(f"{reproduction.name!r} is {reproduction.verdict}")
    for cause in reproduction.causes:
        workspace.report.say(cause)
    present_reproduction(original.run, run.run, reproduction)
    return reproduction
