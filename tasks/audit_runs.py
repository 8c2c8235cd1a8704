"""Tasks of an audit: ask Git, the tracker and the DVC remote, hash what has to be, say the result.

What they hand on is large: `as_one` spares Prefect from looking through all of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar, cast

from prefect.utilities.annotations import opaque

from anchored.audit import runs as steps
from anchored.decisions.audit import Audit, audit_of
from anchored.decisions.audit_facts import Holdings, ObjectName, Subject, Trace
from tasks.presenting_audit import present_audit
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step

Value = TypeVar("Value")
WARNED = 20  # findings that go to the log one by one; the table has more of them


def as_one(value: Value) -> Value:
    """A value for a task that Prefect takes for one thing, whatever is in it."""
    return cast("Value", opaque(value))


@step("ask_git", title="ask git remote")
def ask_git(choice: RepoChoice) -> steps.Refs:
    """The refs here and on the Git remote: what is audited starts from them."""
    repo = open_training_repo(choice)
    refs = steps.refs(repo)
    repo.report.say(f"{len(refs.runs):,} run refs")
    return refs


@step("ask_tracker", title="ask tracker")
def ask_tracker(choice: RepoChoice, refs: steps.Refs) -> tuple[Subject, ...]:
    """The runs of the refs and of the experiment, with their environment records."""
    repo = open_training_repo(choice)
    subjects = steps.subjects(repo, refs)
    sealed = sum(subject.is_sealed for subject in subjects)
    repo.report.say(f"{len(subjects):,} runs, {sealed:,} of them to be checked")
    return subjects


@step("trace_runs", title="trace runs in git")
def trace_runs(
    choice: RepoChoice, subjects: tuple[Subject, ...], refs: steps.Refs
) -> dict[str, Trace]:
    """Where the runs' commits are, what they record, and what the pointers in them name."""
    repo = open_training_repo(choice)
    traces = steps.traces(repo, subjects, refs)
    repo.report.say(f"{len(traces):,} runs traced to their commits")
    return traces


@step("ask_remote", title="ask dvc remote")
def ask_remote(choice: RepoChoice, traces: dict[str, Trace]) -> Holdings:
    """What the DVC remote holds of what the runs need."""
    repo = open_training_repo(choice)
    held = steps.holdings(repo, traces)
    size = sum(held.sizes.values())
    repo.report.say(f"{len(held.sizes):,} of {held.count:,} objects there, {size:,} bytes")
    return held


@step("hash_objects", title="hash objects")
def hash_objects(choice: RepoChoice, objects: Mapping[ObjectName, int]) -> dict[ObjectName, str]:
    """Reads objects in the DVC remote; those whose bytes are not what their names say."""
    repo = open_training_repo(choice)
    rotten = steps.find_corrupt(repo, objects)
    repo.report.say(f"{len(objects):,} objects hashed, {len(rotten):,} of them corrupt")
    return rotten


@step("judge_runs", title="judge", retried=False)
def judge_runs(
    choice: RepoChoice,
    subjects: tuple[Subject, ...],
    traces: dict[str, Trace],
    held: Holdings,
    rotten: dict[ObjectName, str],
    *,
    began: float,
) -> Audit:
    """What is wrong with each run; reported in the log and, as artifacts, on Prefect's pages.

    `began` is when the audit began, by `time.monotonic()`.
    """
    repo = open_training_repo(choice)
    result = replace(audit_of(subjects, traces, held, rotten), seconds=time.monotonic() - began)
    for finding in result.findings[:WARNED]:
        repo.report.warn(f"{finding.name!r}: {finding.problem}: {finding.detail}")
    if (more := len(result.findings) - WARNED) > 0:
        repo.report.warn(f"and {more:,} more findings")
    repo.report.say(f"{result.reproducible:,} of {result.runs:,} runs can be reproduced")
    present_audit(repo.config.experiment, result)
    return result
