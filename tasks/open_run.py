"""Tasks `open_run`, `take_up_run`: the tracker knows of the run before anything else is done."""

from __future__ import annotations

from collections.abc import Mapping

from anchored.journal import Journal
from anchored.records import ParamValue
from anchored.resume.close import take_up
from anchored.run.open import Fresh, RunRequest
from anchored.run.open import open_run as open_tracker_run
from tasks.presenting import current_flow, present_name
from tasks.reporting import RepoChoice, opened
from tasks.step import step


@step("open_run", title="open run")
def open_run(
    repo: RepoChoice,
    run_name: str | None,
    params: Mapping[str, ParamValue],
    *,
    key: str,
    snapshot: bool = False,
    data_from_folder: bool = False,
    fresh: Fresh | None = None,
) -> Journal:
    """Opens the run, the same one at every try with this key."""
    workspace = opened(repo)
    request = RunRequest(
        name=run_name,
        params=params,
        snapshot=snapshot,
        data_from_folder=data_from_folder,
        fresh=fresh,
    )
    journal = open_tracker_run(workspace, request, current_flow(), key=key)
    workspace.report.say(f"run {journal.run.name!r} is open, id {journal.run.run_id}")
    present_name(journal.run)
    return journal


@step("take_up_run", title="take up run")
def take_up_run(repo: RepoChoice, key: str) -> Journal:
    """Makes a run that was cut off this flow run's."""
    workspace = opened(repo, key)
    journal = take_up(workspace, key, current_flow())
    workspace.report.say(f"run {journal.run.name!r} goes on, id {journal.run.run_id}")
    present_name(journal.run)
    return journal
