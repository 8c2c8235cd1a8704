"""Runs as a sequence of records, and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from anchored.display import html

if TYPE_CHECKING:
    import pandas as pd

    from anchored.records import RunRecord

METRICS = 6  # columns of a table in a notebook
NAMED = 3  # in one line


class Runs(Sequence["RunRecord"]):
    """The runs of an experiment, newest first."""

    def __init__(self, runs: Iterable[RunRecord]) -> None:
        self._runs = tuple(runs)

    def __len__(self) -> int:
        return len(self._runs)

    @overload
    def __getitem__(self, place: int) -> RunRecord: ...

    @overload
    def __getitem__(self, place: slice) -> Runs: ...

    def __getitem__(self, place: int | slice) -> RunRecord | Runs:
        if isinstance(place, slice):
            return Runs(self._runs[place])
        return self._runs[place]

    def __repr__(self) -> str:
        names = [run.name for run in self._runs[:NAMED]]
        more = ["…"] if len(self) > NAMED else []
        return f"Runs({', '.join([f'{len(self):,} runs', *names, *more])})"

    def to_pandas(self) -> pd.DataFrame:
        """A row for each run, in the same order.

        Columns are `name`, `run_id`, `state`, `started` and `ended` (UTC), `commit`,
        `source_commit`, `branch`, `reproduces`, `verdict`, and one for each input, model, param and
        metric that any of them has: `data.PATH`, `model.PATH`, `params.NAME`, `metrics.NAME`.
        """
        import pandas as pd

        frame = pd.DataFrame([_row(run) for run in self._runs])
        for column in {"started", "ended"} & set(frame.columns):
            frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
        return frame

    def _repr_html_(self) -> str:
        names = dict.fromkeys(name for run in self._runs for name in run.metrics)
        metrics = list(names)[:METRICS]
        rows = [
            (run.name, run.state, run.started[:19], run.git.commit[:12], run.verdict,
             *(run.metrics.get(name) for name in metrics))
            for run in self._runs
        ]  # fmt: skip
        header = ("run", "state", "started (UTC)", "commit", "verdict", *metrics)
        return html.table(f"{len(self):,} runs", rows, header)


def _row(run: RunRecord) -> dict[str, Any]:
    return {
        "name": run.name,
        "run_id": run.run_id,
        "state": str(run.state),
        "started": run.started or None,
        "ended": run.ended or None,
        "commit": run.git.commit,
        "source_commit": run.git.source_commit,
        "branch": run.git.branch,
        "reproduces": run.reproduces,
        "verdict": run.verdict,
        **{f"data.{pointer.path}": pointer.md5 for pointer in run.data},
        **{f"model.{pointer.path}": pointer.md5 for pointer in run.model},
        **{f"params.{name}": value for name, value in run.params.items()},
        **{f"metrics.{name}": value for name, value in run.metrics.items()},
    }
