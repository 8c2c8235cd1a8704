"""A training repo as a Python object: its methods are the commands, with their arguments."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

from anchored.api.engine import Engine
from anchored.api.runs import Runs
from anchored.decisions.audit import Audit, RunsLost
from anchored.decisions.differences import Differences
from anchored.decisions.gate import Retrained
from anchored.diff.diff import diff_runs
from anchored.history.find import found, listed
from anchored.history.trace import shown_run
from anchored.promote.promote import promote
from anchored.records import ModelVersion, ParamValue, Reproduction, RunRecord, State
from anchored.restore.restore import Restored, restore
from anchored.resume.close import Unfinished
from anchored.resume.finish import resume_runs
from anchored.system.retry_policy import with_retries
from anchored.tracker_names import TrackerName
from anchored.training_repo import TrainingRepo
from anchored.workspace.open import open_repo
from anchored.workspace.repos import address_of
from anchored.workspace.trackers_aside import load_tracker_aside, trackers_aside
from flows.audit import audit
from flows.experiment import experiment
from flows.reproduce import reproduce
from flows.retrain import retrain
from tasks.reporting import RunLog

Params = Mapping[str, ParamValue]


def open(  # noqa: A001 - the word of its kind: see `gzip.open`
    path_or_url: str | Path | None = None,
    tracker: TrackerName | None = None,
    *,
    prefect: bool | None = None,
) -> Repo:
    """The training repo around a folder, or that of a URL in the clone kept for it.

    Without either it is `ANCHORED_REPO`, else the one around the current folder. `tracker` is the
    kind of tracker to look for past runs in; new runs go to the configured one. With `prefect`
    None, Prefect hears of what is run where a server is configured or the local stack is up; True
    insists on it, False does without.

    Raises `NotReady`, `ConfigError`, and `GitRemoteFailed` for a URL.
    """
    return Repo(path_or_url, tracker, prefect=prefect)


class Repo:
    """A training repo. Each method is the command of its name, and raises `AnchoredError`s.

    What a command reports while it works goes to the logger `anchored`. A run is named as on the
    command line: by `@alias`, `latest`, an id, an id prefix of six or more hex digits, or a name.

    Trackers have processes of their own, which end with the last repo that is open: at `close`, at
    the end of a `with` block, or when nobody refers to it.
    """

    def __init__(
        self,
        path_or_url: str | Path | None,
        tracker: TrackerName | None,
        *,
        prefect: bool | None,
    ) -> None:
        address = address_of(path_or_url)
        self._tracker = tracker
        with ExitStack() as aside:
            # In a process of its own the tracker's library changes nothing here.
            aside.enter_context(trackers_aside())
            load_tracker_aside(path_or_url, tracker)
            self.root: Path = open_repo(path_or_url, RunLog(), tracker).root
            self._closed = weakref.finalize(self, aside.pop_all().close)
        self._place = address.given if address else str(self.root)
        self._engine = Engine(self.root, prefect=prefect)

    def __repr__(self) -> str:
        return f"anchored.open({str(self.root)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the tracker's process, unless another repo is open. Twice is once."""
        self._closed()

    # --- flows ----------------------------------------------------------------------------------

    def run(
        self,
        name: str | None = None,
        *,
        params: Params | None = None,
        snapshot: bool = False,
        data_from_folder: bool = False,
    ) -> RunRecord:
        """Trains, versions and seals one run. Raises `TrainingFailed`, `DirtyTree` and others."""
        sealed = self._engine.call(
            experiment,
            repo=self._place,
            run_name=name,
            params=dict(params or {}),
            snapshot=snapshot,
            data_from_folder=data_from_folder,
        )
        return sealed.run

    def retrain(
        self, name: str | None = None, *, params: Params | None = None, pull: bool = False
    ) -> Retrained:
        """Brings new data, trains if anything changed, and promotes the model if it is better."""
        return self._engine.call(
            retrain, repo=self._place, run_name=name, params=dict(params or {}), pull=pull
        )

    def reproduce(
        self,
        run: str,
        *,
        tolerances: Mapping[str, str | float] | None = None,
        environment: Literal["current", "recorded"] = "current",
        repeat: int = 1,
        latest: bool = False,
        trust_tracker: bool = False,
    ) -> Reproduction:
        """Trains a past run again, and says whether its result holds, and why not.

        `tolerances` say how far a metric may be off: `0.01`, or `"1%"` of what was recorded.
        """
        return self._engine.call(
            reproduce,
            run_name=run,
            repo=self._place,
            tolerances={name: str(value) for name, value in (tolerances or {}).items()},
            environment=environment,
            repeat=repeat,
            latest=latest,
            tracker=self._tracker,
            trust_tracker=trust_tracker,
        )

    def audit(self, *, deep: bool = False) -> Audit:
        """What is wrong with any run. `is_clean` tells whether a sealed one is lost; none raises.

        With `deep`, every byte in the DVC remote is hashed.
        """
        try:
            return self._engine.call(audit, repo=self._place, deep=deep, tracker=self._tracker)
        except RunsLost as lost:
            return lost.audit

    def resume(self, run: str | None = None) -> tuple[RunRecord, ...]:
        """Finishes runs that were interrupted, or closes them as failed; all, or the named one.

        Each is tried; then the first error is raised, if there was one.
        """
        ended = tuple(resume_runs(self._open(), run, self._finish))
        for one in ended:
            if one.error is not None:
                raise one.error
            if one.run.state == State.FAILED:
                self._engine.mark_crashed(one.run.prefect.flow_run_id)
        return tuple(one.run for one in ended)

    def _finish(self, unfinished: Unfinished) -> RunRecord:
        run = unfinished.run
        # Nobody is left to say so of the flow run that was interrupted.
        self._engine.mark_crashed(run.prefect.flow_run_id)
        sealed = self._engine.call(
            experiment,
            repo=str(self.root),
            run_name=run.name,
            resume=unfinished.key,
            tracker=self._tracker,
        )
        return sealed.run

    # --- past runs ------------------------------------------------------------------------------

    def runs(self, limit: int | None = None) -> Runs:
        """The experiment's runs, newest first. This is a read-only operation."""
        return Runs(listed(self._open(), limit))

    def show(self, run: str, *, latest: bool = False) -> RunRecord:
        """All that is known of one run. This is a read-only operation."""
        return shown_run(self._open(), run, latest=latest)

    def diff(
        self, run: str, other: str, *, latest: bool = False, patch: bool = False
    ) -> Differences:
        """What differs between two runs: data, code, params, metrics, environment."""
        repo = self._open()
        runs = (found(repo, wanted, latest=latest) for wanted in (run, other))
        return diff_runs(repo, *runs, patch=patch)

    def restore(self, run: str, to: str | Path | None = None, *, latest: bool = False) -> Restored:
        """Exports a run's data and model, every byte hashed; by default to `restored/NAME`."""
        return restore(self._open(), run, None if to is None else str(to), latest=latest)

    def promote(self, run: str, *, alias: str = "champion", latest: bool = False) -> ModelVersion:
        """Registers a run's model as a version, and gives it an alias."""
        repo = self._open()
        record = with_retries(lambda: found(repo, run, latest=latest))
        return with_retries(lambda: promote(repo, record, alias=alias))

    def _open(self) -> TrainingRepo:
        return open_repo(self.root, RunLog(), self._tracker)
