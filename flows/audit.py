"""Flow `audit`: finds the runs of the experiment that can no longer be reproduced."""

from __future__ import annotations

import time
from contextlib import suppress

from prefect import flow, runtime

from anchored.audit.runs import batches
from anchored.decisions.audit import Audit
from anchored.decisions.audit_facts import ObjectName
from anchored.errors import AnchoredError
from anchored.tracker_names import TrackerName
from anchored.workspace.open import open_repo
from anchored.workspace.repos import address_of
from tasks.audit_runs import (
    as_one,
    ask_git,
    ask_remote,
    ask_tracker,
    hash_objects,
    judge_runs,
    trace_runs,
)
from tasks.open_clone import chosen_repo


def _name() -> str:
    given = runtime.flow_run.parameters
    repo = given.get("repo")
    if address := address_of(repo):
        return f"audit {address.name}"
    # A repo that cannot be opened is refused by the flow itself, with words.
    with suppress(AnchoredError):
        return f"audit {open_repo(repo, tracker=given.get('tracker')).config.experiment}"
    return "audit"


@flow(name="audit", flow_run_name=_name, persist_result=False, validate_parameters=False)
def audit(repo: str | None = None, deep: bool = False, tracker: TrackerName | None = None) -> Audit:
    """What is wrong with any run of the experiment: commit, pointers, objects, environment.

    The flow run fails where a run that was sealed is lost, so that somebody is notified.

    Args:
        repo: Path or URL of the training repo. Default: `ANCHORED_REPO`, else the current folder.
        deep: Hash every byte in the DVC remote, too.
        tracker: Kind of tracker whose runs to audit. Default: the configured one.

    """
    began = time.monotonic()
    chosen = chosen_repo(repo, tracker)
    refs = ask_git(chosen)
    subjects = ask_tracker(chosen, as_one(refs))
    traces = trace_runs(chosen, as_one(subjects), as_one(refs))
    held = ask_remote(chosen, as_one(traces))
    rotten: dict[ObjectName, str] = {}
    for batch in batches(held, deep=deep):
        rotten |= hash_objects(chosen, as_one(batch))
    found = judge_runs(
        chosen, as_one(subjects), as_one(traces), as_one(held), as_one(rotten), began=began
    )
    found.raise_for_losses()
    return found
