"""Flow `reproduce`: find a past run by its name, train it again, say whether its result holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from prefect import flow, runtime

from anchored.decisions.verdict import parse_tolerances
from anchored.display.shown import shown
from anchored.journal import Journals, new_key
from anchored.records import Reproduction
from anchored.reproduce.reproduce import Request
from anchored.tracker_names import TrackerName
from tasks.open_clone import chosen_repo
from tasks.presenting import ended_by
from tasks.reproduce_run import (
    fetch_run,
    locate_run,
    open_reproduction,
    record_verdict,
    reproduce_run,
)
from tasks.seal_run import close_run
from tasks.state_hooks import close_dead, close_interrupted


def _name() -> str:
    return shown(runtime.flow_run.parameters.get("run_name") or "reproduce")


@flow(
    name="reproduce",
    flow_run_name=_name,
    persist_result=False,
    validate_parameters=False,
    on_cancellation=[close_interrupted],
    on_crashed=[close_interrupted],
)
def reproduce(  # noqa: PLR0913, PLR0917 - what Prefect's form shows
    run_name: str,
    repo: str | None = None,
    tolerances: Mapping[str, str] | None = None,
    environment: Literal["current", "recorded"] = "current",
    repeat: int = 1,
    latest: bool = False,
    tracker: TrackerName | None = None,
    trust_tracker: bool = False,
) -> Reproduction:
    """A verdict on a past run: identical, equivalent, different or failed, and why.

    Args:
        run_name: `@alias`, `latest`, a run id, an id prefix of 6 or more hex digits, or a run name.
        repo: Path or URL of the training repo. Default: `ANCHORED_REPO`, else the current folder.
        tolerances: How far metrics may be off: 0.01, or 1% of what was recorded.
        environment: Train in today's environment, or in one built from the recorded packages.
        repeat: Train so many times, and judge by how far these are apart from each other.
        latest: Take the newest of several runs of that name.
        tracker: Kind of tracker that has the run, and gets the reproduction. Default: the
            configured one.
        trust_tracker: Take command and environment from the tracker where the run's commit records
            neither. Whoever can write there decides what is executed.

    """
    chosen = chosen_repo(repo, tracker)
    request = Request(
        tolerances=parse_tolerances(
            f"{name}={value}" for name, value in (tolerances or {}).items()
        ),
        recorded_environment=environment == "recorded",
        repeat=repeat,
        trust_tracker=trust_tracker,
    )
    close_dead(chosen)
    original = locate_run(chosen, run_name, request, latest=latest)
    run = open_reproduction(chosen, original, request, new_key())
    try:
        fetched = fetch_run(chosen, original)
        again = reproduce_run(chosen, run, original, fetched, request)
        return ended_by(record_verdict(chosen, run, original, again, request))
    except BaseException as error:
        close_run(chosen, run, error)
        raise
    finally:
        Journals(Path(chosen.root)).release(run.key)
