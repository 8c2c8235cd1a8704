"""W&B runs in a folder, as the SDK writes them without a server, to be synced later or never.

There is no registry without a server: which of a run's models is a version, and what aliases it
has, is in the run's config.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

from anchored.adapters.wandb.log import Segment, merge, segment_in, segments
from anchored.adapters.wandb.runs import Entry, LinkedVersion, LoggedModel, WandbRun
from anchored.adapters.wandb.writing import undisturbed, write_entry
from anchored.decisions.tags import MODEL
from anchored.errors import TrackerFailed
from anchored.ports import Pages
from anchored.records import Ended

# Seconds. A writer that lives adds to its log every 15 s, if only what it measured of the machine.
SILENT = 300
WRITING = 30.0  # seconds; it takes some thousandths
VERSIONS = "anchored.registered"  # in a run's config, before a model's name


@dataclass(frozen=True, slots=True)
class _Logged:
    """A run with the segments that it was written in, in their order."""

    run: WandbRun
    segments: Sequence[Segment]


class OfflineRuns:
    """The runs below `folder`, which is what the SDK knows as WANDB_DIR."""

    def __init__(self, folder: Path, *, project: str, entity: str = "") -> None:
        self._folder, self.project, self._entity = folder, project, entity
        self.place = (folder / "wandb").as_uri()

    def pages(self) -> Pages:
        """The folder, which W&B's own viewer shows in a terminal."""
        folder = shlex.quote(str(self._folder / "wandb"))
        return Pages(self.place, f"wandb leet {folder}; `wandb sync {folder}` uploads them")

    # --- reading --------------------------------------------------------------------------------

    def find(self, run_id: str) -> WandbRun | None:
        logged = self._logged(run_id)
        return None if logged is None else logged.run

    def of_ids(self, ids: Collection[str]) -> Iterable[WandbRun]:
        wanted = frozenset(ids)
        return (run for run in self.everywhere() if run.run_id in wanted)

    def named(self, name: str, *, everywhere: bool) -> Iterable[WandbRun]:
        runs = self.everywhere() if everywhere else self.newest(None)
        return (run for run in runs if run.name == name)

    def starting_with(self, prefix: str) -> Iterable[WandbRun]:
        return (run for run in self.newest(None) if run.run_id.startswith(prefix))

    def configured(self, key: str, value: str) -> Iterable[WandbRun]:
        return (run for run in self.newest(None) if run.config.get(key) == value)

    def newest(self, limit: int | None) -> Iterable[WandbRun]:  # noqa: ARG002 - all are read
        return (run for run in self.everywhere() if run.project == self.project)

    def file(self, run: WandbRun, path: str) -> bytes | None:
        logged = self._logged(run.run_id)
        for segment in reversed(logged.segments if logged else ()):
            try:
                return (segment.folder / "files" / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
        return None

    def has_model(self, run: WandbRun, model: LoggedModel) -> bool:
        logged = self._logged(run.run_id)
        return any(
            artifact.name == model.name and artifact.metadata.get(MODEL) == model.metadata[MODEL]
            for segment in (logged.segments if logged else ())
            for artifact in segment.artifacts
        )

    def everywhere(self) -> Iterator[WandbRun]:
        """The runs of all projects."""
        return (logged.run for logged in self._logs())

    def _logged(self, run_id: str) -> _Logged | None:
        return next((logged for logged in self._logs(run_id) if logged.run.run_id == run_id), None)

    def _logs(self, run_id: str = "") -> Iterator[_Logged]:
        """All runs, or those that may be the one of an id."""
        found = sorted(segments(self._folder / "wandb", run_id), key=lambda s: s.run_id)
        for _, group in groupby(found, key=lambda s: s.run_id):
            yield _merged(list(group))

    # --- writing --------------------------------------------------------------------------------

    def write(self, run: WandbRun, entry: Entry) -> None:
        self._hide_from_git()
        # Models wait for a sync beside the runs, and not in the user's home.
        with undisturbed(WANDB_DATA_DIR=str(self._folder / "wandb")):
            written = write_entry(
                run,
                entry,
                replayed=self.find(run.run_id),
                mode="offline",
                root_dir=str(self._folder),
                entity=self._entity or None,
            )
        _see_end(written)

    def training_variables(self) -> Mapping[str, str]:
        return {"WANDB_MODE": "offline", "WANDB_DIR": str(self._folder)}

    def _hide_from_git(self) -> None:
        folder = self._folder / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        ignored = folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")

    # --- registered models ----------------------------------------------------------------------

    def versions(self, model: str) -> Sequence[LinkedVersion]:
        kept = [
            one for run in self.everywhere() for one in run.config.get(f"{VERSIONS}/{model}", ())
        ]
        holders: dict[str, tuple[float, str]] = {}
        for one in kept:
            for alias, since in one["aliases"].items():
                holders[alias] = max(holders.get(alias, (0.0, "")), (since, one["version"]))
        found = [
            LinkedVersion(
                version=one["version"],
                aliases=tuple(a for a, (_, has_it) in holders.items() if has_it == one["version"]),
                metadata=one["metadata"],
            )
            for one in kept
        ]
        return sorted(found, key=lambda linked: int(linked.version[1:]))

    def link(self, run: WandbRun, logged: LoggedModel, *, to: str) -> None:
        taken = {linked.version for linked in self.versions(to)}
        version = next(v for n in count() if (v := f"v{n}") not in taken)
        made = {"version": version, "metadata": dict(logged.metadata), "aliases": {}}
        self._note(run, to, [*run.config.get(f"{VERSIONS}/{to}", ()), made])

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """An alias belongs to the version that it was last given to."""
        for run in self.everywhere():
            kept = run.config.get(f"{VERSIONS}/{model}", ())
            if any(one["version"] == version for one in kept):
                now = {alias: time.time()}
                self._note(run, model, [
                    {**one, "aliases": one["aliases"] | now} if one["version"] == version else one
                    for one in kept
                ])  # fmt: skip

    def usage(self, model: str, version: str) -> str:  # noqa: ARG002
        return ""  # no code of W&B's knows of versions that no server has

    def _note(self, run: WandbRun, model: str, versions: list[Any]) -> None:
        self.write(run, Entry(config={f"{VERSIONS}/{model}": versions}))


def _merged(parts: Sequence[Segment]) -> _Logged:
    """A run as its segments say it, one after the other."""
    first, last = parts[0], parts[-1]
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    name = ""
    for segment in parts:
        merge(config, deepcopy(segment.config))
        summary |= segment.summary
        name = segment.name or name
    ending = _ending(last)
    run = WandbRun(
        run_id=first.run_id,
        name=name,
        project=first.project,
        config={key: value for key, value in config.items() if value is not None},
        summary=summary,
        started=first.started,
        ended=int(last.last_write * 1000) if ending else None,
        ending=ending,
    )
    return _Logged(run, parts)


def _see_end(folder: Path) -> None:
    """Waits until all of a segment is on disk: the SDK's service writes it after `finish` returns.

    Seen with wandb 0.31.0: a log that was read at once held no record at all.
    """
    deadline = time.monotonic() + WRITING
    while all(segment.exit_code is None for segment in segment_in(folder)):
        if time.monotonic() > deadline:
            raise TrackerFailed(f"W&B has not written the log in {folder}")
        time.sleep(0.002)


def _ending(last: Segment) -> Ended | None:
    if last.exit_code is not None:
        return Ended.FAILED if last.exit_code else Ended.FINISHED
    return Ended.KILLED if time.time() - last.last_write > SILENT else None
