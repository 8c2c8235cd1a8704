"""Flow `experiment`: version the data, train and log, version the model, seal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, runtime

from anchored.display.shown import shown
from anchored.journal import Journal, Journals, new_key
from anchored.run.seal import Sealed
from anchored.tracker_names import TrackerName
from tasks.open_clone import chosen_repo
from tasks.open_run import open_run, resume_run
from tasks.reporting import RepoChoice
from tasks.seal_run import close_run, seal_run
from tasks.state_hooks import close_dead, close_interrupted
from tasks.train_and_log import fetch_inputs, train_and_log
from tasks.version_data import push_data, version_data
from tasks.version_model import push_model, push_refs, version_model


def _name() -> str:
    """The run's name; without one, the flow run is renamed as soon as the run has one."""
    return shown(runtime.flow_run.parameters.get("run_name") or "experiment")


@flow(
    name="experiment",
    flow_run_name=_name,
    persist_result=False,
    validate_parameters=False,
    on_cancellation=[close_interrupted],
    on_crashed=[close_interrupted],
    on_failure=[close_interrupted],
)
def experiment(  # noqa: PLR0917 - what Prefect's form shows
    repo: str | None = None,
    run_name: str | None = None,
    params: dict[str, Any] | None = None,
    snapshot: bool = False,
    resume: str | None = None,
    tracker: TrackerName | None = None,
    data_from_folder: bool = False,
) -> Sealed:
    """One training run, sealed: code, data and model in one commit, named by one tracker run.

    Args:
        repo: Path or URL of the training repo. Default: `ANCHORED_REPO`, else the current folder.
        run_name: Name of the run. Default: the experiment's name and the time.
        params: Parameters on top of `[train.params]`.
        snapshot: Pin uncommitted changes to this run alone instead of refusing them.
        resume: Key of a run that was interrupted; the other parameters are then its own.
        tracker: Kind of tracker that such a run was opened in. Default: the configured one, which
            is where new runs go.
        data_from_folder: Take the inputs in the folder even where they are earlier versions than
            the branch has.

    """
    chosen = chosen_repo(repo, tracker if resume else None)
    close_dead(chosen)
    if resume:
        run = resume_run(chosen, resume)
    else:
        run = open_run(
            chosen,
            run_name,
            params or {},
            key=new_key(),
            snapshot=snapshot,
            data_from_folder=data_from_folder,
        )
    return sealed_run(chosen, run)


def sealed_run(repo: RepoChoice, run: Journal) -> Sealed:
    """Takes a run that is open from its last step to its seal, or to its end as failed."""
    try:
        # Each step hands the run on to the next one: Prefect draws its graph by that.
        run = version_data(repo, run)
        run = push_data(repo, run)
        run = fetch_inputs(repo, run)
        run = train_and_log(repo, run)
        run = version_model(repo, run)
        run = push_model(repo, run)
        run = push_refs(repo, run)
        return seal_run(repo, run)
    except BaseException as error:
        close_run(repo, run, error)
        raise
    finally:
        Journals(Path(repo.root)).release(run.key)
