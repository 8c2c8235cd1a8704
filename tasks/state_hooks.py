"""State hooks of the flows, and what an interruption means: Prefect and the tracker never disagree.

Of a cancelled run, and of one whose process was killed, a process worker calls them in a process
of its own, once the flow run's process is dead; of one that failed, or that crashed by an
exception or a signal, the engine does in the flow run's own process (Prefect 3.8). Environment and
parameters are the same in each. Where the worker died as well, nobody calls them: the next flow
run closes the run. None of it needs Prefect's server, which may be what has gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect import Flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import TerminationSignal
from prefect.logging.loggers import flow_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed

from anchored.decisions.redaction import redact
from anchored.errors import AnchoredError, TrainingFailed
from anchored.records import Ended
from anchored.resume import flow_runs as steps
from anchored.workspace.open import open_repo
from anchored.workspace.repos import folder_of
from tasks.reporting import RepoChoice, RunLog, open_training_repo
from tasks.step import in_flow_run

ASKING = 3.0  # seconds for an answer while somebody waits for the end
CANCELLED = "cancelled in Prefect"
CRASHED = "the flow run crashed"
FAILED = "Flow run encountered an exception: "  # with which Prefect 3.8 begins a failure's message


def close_interrupted(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Closes what a cancelled, crashed or failed flow run has left, or leaves it for `resume`."""
    log = flow_run_logger(flow_run, flow)
    ending = Ended.FAILED if state.type == StateType.FAILED else Ended.KILLED
    try:
        given = flow_run.parameters
        repo = open_repo(folder_of(given.get("repo")), RunLog(log), given.get("tracker"))
        for said in steps.close_flow_runs(repo, _with_subflows(flow_run), _reason(state), ending):
            log.info(said)
    except AnchoredError as error:
        log.warning("what was interrupted is not closed yet: %s", error)


def _reason(state: State[Any]) -> str:
    """Why the flow run is over, in words for the tracker."""
    if state.type in {StateType.CANCELLING, StateType.CANCELLED}:
        return CANCELLED
    said = redact(state.message or "no reason given")
    if state.type == StateType.CRASHED:
        return f"{CRASHED}: {said}"
    # The hint, which Prefect shows, is a line of its own.
    return said.removeprefix(FAILED).partition("\nhint: ")[0]


def close_dead(choice: RepoChoice) -> None:
    """Closes runs that were interrupted in training by the end of their machine or worker.

    Their flow runs, and those of runs that can be resumed, are crashed then: nobody else says so
    of a machine that has lost its power, and until then they hold their deployment's slot.
    """
    repo = open_training_repo(choice)
    try:
        # Outside of a flow run, no server is started for it.
        if in_flow_run() or PREFECT_API_URL.value():
            call_crashed(steps.dead_flow_runs(repo))
        for said in steps.close_dead(repo):
            repo.report.warn(said)
    except AnchoredError as error:
        repo.report.warn(f"a run that was interrupted is not closed yet: {error}")


def call_crashed(flow_runs: Iterable[str]) -> None:
    """Tells Prefect of flow runs whose process is gone; those of another server are not known.

    Nothing is reported where Prefect does not answer.
    """
    for flow_run_id in filter(None, flow_runs):
        with suppress(Exception), get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run_id)).state
            if state is not None and state.type in {StateType.PENDING, StateType.RUNNING}:
                gone: State[Any] = Crashed(message="The process of this flow run is gone.")
                client.set_flow_run_state(UUID(flow_run_id), gone)


def interruption_of(error: BaseException) -> BaseException:
    """The error of a run that is over; where a signal or Ctrl-C ended it, one that says so."""
    if isinstance(error, TerminationSignal):
        return TrainingFailed(CANCELLED if _is_cancelled() else f"{CRASHED}: ended by a signal")
    if isinstance(error, KeyboardInterrupt):
        return TrainingFailed("interrupted")
    return error


def _is_cancelled() -> bool:
    with (
        suppress(Exception),
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings={"timeout": ASKING}, sync_client=True) as client,
    ):
        state = client.read_flow_run(runtime.flow_run.id).state
        return state is not None and state.type in {StateType.CANCELLING, StateType.CANCELLED}
    return False


def _with_subflows(flow_run: FlowRun) -> set[str]:
    """The ids of a flow run and of those that it started in its own process."""
    children = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run.id]))
    found = {str(flow_run.id)}
    with suppress(Exception), get_client(sync_client=True) as client:
        found |= {str(run.id) for run in client.read_flow_runs(flow_run_filter=children)}
    return found
