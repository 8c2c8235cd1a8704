"""Flow `audit`: finds the runs of the experiment that can no longer be reproduced."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from prefect import flow, runtime

from anchored.decisions.audit import Audit, RunsLost, audit_of
from anchored.decisions.audit_facts import ObjectName
from anchored.errors import AnchoredError
from anchored.steps.audit_runs import batches
from anchored.workspace import address_of, open_repo
from tasks.audit_runs import as_one, ask_git, ask_remote, ask_tracker, hash_objects, tell_audit
from tasks.open_clone import training_root


def _name() -> str:
    repo = runtime.flow_run.parameters.get("repo")
    if address := address_of(repo):
        return f"audit {address.name}"
    # A repo that cannot be opened is refused by the flow itself, with words.
    with suppress(AnchoredError):
        return f"audit {open_repo(repo).config.experiment}"
    return "audit"


@flow(name="audit", flow_run_name=_name, persist_result=False, validate_parameters=False)
def audit(repo: str | None = None, deep: bool = False) -> Audit:
    """What is wrong with any run of the experiment: commit, pointers, objects, environment.

    The flow run fails where a run that was sealed is lost, so that somebody is told.

    Args:
        repo: Path or URL of the training repo. Default: `ANCHORED_REPO`, else the current folder.
        deep: Hash every byte in the DVC remote, too.

    """
    begun = time.monotonic()
    root = training_root(repo)
    subjects = ask_tracker(root)
    traces = ask_git(root, as_one(subjects))
    held = ask_remote(root, as_one(traces))
    rotten: dict[ObjectName, str] = {}
    for batch in batches(held, deep=deep):
        rotten |= hash_objects(root, as_one(batch))
    found = audit_of(subjects, traces, held, rotten)
    found = replace(found, seconds=time.monotonic() - begun)
    tell_audit(root, as_one(found))
    if not found.is_clean:
        raise RunsLost(found)
    return found
