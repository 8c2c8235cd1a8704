"""Tasks `open_run`, `resume_run`: the tracker knows of the run before anything else is done."""

from __future__ import annotations

from collections.abc import Mapping

from anchored.journal import Journal
from anchored.records import ParamValue
from anchored.resume.close import continue_run
from anchored.run.open import RetrainInputs, RunRequest
from anchored.run.open import open_run as open_tracker_run
from tasks.presenting import current_flow, present_name
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step


@step("open_run", title="open run")
def open_run(
    choice: RepoChoice,
    run_name: str | None,
    params: Mapping[str, ParamValue],
    *,
    key: str,
    snapshot: bool = False,
    data_from_folder: bool = False,
    inputs: RetrainInputs | None = None,
) -> Journal:
    """Opens the run, the same one at every try with this key."""
    repo = open_training_repo(choice)
    request = RunRequest(
        name=run_name,
        params=params,
        snapshot=snapshot,
        data_from_folder=data_from_folder,
        inputs=inputs,
    )
    journal = open_tracker_run(repo, request, current_flow(), key=key)
    repo.report.say(f"run {journal.run.name!r} is open, id {journal.run.run_id}")
    present_name(journal.run)
    return journal


@step("resume_run", title="resume run")
def resume_run(choice: RepoChoice, key: str) -> Journal:
    """Makes a run that was interrupted this flow run's."""
    repo = open_training_repo(choice, key)
    journal = continue_run(repo, key, current_flow())
    repo.report.say(f"run {journal.run.name!r} goes on, id {journal.run.run_id}")
    present_name(journal.run)
    return journal
