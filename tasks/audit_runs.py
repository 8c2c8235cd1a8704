"""Tasks of an audit: ask Git, the tracker and the DVC remote, hash what has to be, say the result.

What they hand on is large: `as_one` spares Prefect from looking through all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast

from prefect import task
from prefect.utilities.annotations import opaque

from anchored.audit import runs as steps
from anchored.decisions.audit import Audit
from anchored.decisions.audit_facts import Holdings, ObjectName, Subject, Trace
from anchored.errors import GitRemoteFailed, RemoteFailed
from tasks.presenting_audit import present_audit
from tasks.reporting import RepoChoice, opened
from tasks.retrying import ONCE, RETRIED

Value = TypeVar("Value")
WARNED = 20  # findings that go to the log one by one; the table has more of them


def as_one(value: Value) -> Value:
    """A value for a task that Prefect takes for one thing, whatever is in it."""
    return cast("Value", opaque(value))


@contextmanager
def _of_an_audit() -> Iterator[None]:
    try:
        yield
    except (GitRemoteFailed, RemoteFailed) as error:
        # Their hint is that of a run that waits to be resumed.
        error.hint = "an audit changes nothing: once the remote answers again, run it again"
        raise


@task(name="ask_git", task_run_name="ask git remote", **RETRIED)
def ask_git(repo: RepoChoice) -> steps.Refs:
    """The refs here and on the Git remote: what is audited starts from them."""
    workspace = opened(repo)
    with _of_an_audit():
        refs = steps.refs(workspace)
    workspace.report.say(f"{len(refs.runs):,} run refs")
    return refs


@task(name="ask_tracker", task_run_name="ask tracker", **RETRIED)
def ask_tracker(repo: RepoChoice, refs: steps.Refs) -> tuple[Subject, ...]:
    """The runs of the refs and of the experiment, with their environment records."""
    workspace = opened(repo)
    subjects = steps.subjects(workspace, refs)
    sealed = sum(subject.is_sealed for subject in subjects)
    workspace.report.say(f"{len(subjects):,} runs, {sealed:,} of them to be checked")
    return subjects


@task(name="trace_runs", task_run_name="trace runs in git", **RETRIED)
def trace_runs(
    repo: RepoChoice, subjects: tuple[Subject, ...], refs: steps.Refs
) -> dict[str, Trace]:
    """Where the runs' commits are, what they record, and what the pointers in them name."""
    workspace = opened(repo)
    with _of_an_audit():
        traces = steps.traces(workspace, subjects, refs)
    workspace.report.say(f"{len(traces):,} runs traced to their commits")
    return traces


@task(name="ask_remote", task_run_name="ask dvc remote", **RETRIED)
def ask_remote(repo: RepoChoice, traces: dict[str, Trace]) -> Holdings:
    """What the DVC remote holds of what the runs need."""
    workspace = opened(repo)
    with _of_an_audit():
        held = steps.holdings(workspace, traces)
    size = sum(held.sizes.values())
    workspace.report.say(f"{len(held.sizes):,} of {held.count:,} objects there, {size:,} bytes")
    return held


@task(name="hash_objects", task_run_name="hash objects", **RETRIED)
def hash_objects(repo: RepoChoice, objects: Mapping[ObjectName, int]) -> dict[ObjectName, str]:
    """Reads objects in the DVC remote; those whose bytes are not what their names say."""
    workspace = opened(repo)
    with _of_an_audit():
        rotten = steps.rotten(workspace, objects)
    workspace.report.say(f"{len(objects):,} objects hashed, {len(rotten):,} of them not whole")
    return rotten


@task(name="tell_audit", task_run_name="tell", **ONCE)
def tell_audit(repo: RepoChoice, result: Audit) -> None:
    """Says what was found in the log and, as artifacts, on Prefect's pages."""
    workspace = opened(repo)
    for finding in result.findings[:WARNED]:
        workspace.report.warn(f"{finding.name!r}: {finding.problem}: {finding.detail}")
    if (more := len(result.findings) - WARNED) > 0:
        workspace.report.warn(f"and {more:,} more findings")
    workspace.report.say(f"{result.reproducible:,} of {result.runs:,} runs can be reproduced")
    present_audit(workspace.config.experiment, result)
