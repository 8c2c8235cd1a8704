"""W&B runs on a server: read and tagged by the public API, written by the SDK.

Every call asks the server anew: somebody else may have written in between.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from anchored.adapters.wandb.runs import Entry, LinkedVersion, LoggedModel, WandbRun
from anchored.adapters.wandb.writing import MODEL as MODEL_TYPE
from anchored.adapters.wandb.writing import undisturbed, write_entry
from anchored.decisions.redaction import url_without_credentials
from anchored.decisions.tags import MODEL
from anchored.errors import TrackerFailed
from anchored.ports import LoggedFiles, Pages
from anchored.records import Ended

# W&B's own waits would keep a run hanging for minutes: Prefect retries.
ANSWERING = 15  # seconds for an answer of the public API
OPENING = 20.0  # seconds until a run is open
UPLOADING = 300.0  # seconds for all that an entry uploads
TIMEOUTS: dict[str, Any] = {
    "init_timeout": OPENING,
    "finish_timeout": UPLOADING,
    "finish_timeout_raises": True,
    "x_graphql_retry_max": 2,
    "x_graphql_timeout_seconds": 10.0,
    "x_file_stream_retry_max": 2,
    "x_file_stream_timeout_seconds": 10.0,
    "x_file_transfer_retry_max": 2,
}
PAGE, SEVERAL = 200, 50
REGISTRY = "wandb-registry-model"  # W&B's registry of models, which every organization has
ENDINGS = {
    "finished": Ended.FINISHED,
    "failed": Ended.FAILED,
    "crashed": Ended.KILLED,
    "killed": Ended.KILLED,
}


class OnlineRuns:
    """The runs of one project on the server at `base_url`; without an entity, of the user's own."""

    def __init__(self, base_url: str, *, project: str, entity: str = "") -> None:
        self._base_url, self.project, self._entity = base_url, project, entity
        self.place = "/".join(filter(None, (url_without_credentials(base_url), entity)))
        self._elsewhere: dict[str, str] = {}  # projects of runs that were found in others, by id

    def pages(self) -> Pages:
        """The project's page; without an entity that of the server, which knows whose it is."""
        import wandb

        settings = wandb.Settings(
            base_url=url_without_credentials(self._base_url),
            app_url_override=os.environ.get("WANDB_APP_URL"),
            entity=self._entity or None,
            project=self.project,
        )
        return Pages(settings.project_url if self._entity else settings.app_url)

    # --- reading --------------------------------------------------------------------------------

    def find(self, run_id: str) -> WandbRun | None:
        found = self._found(run_id)
        return None if found is None else _run(found)

    def of_ids(self, ids: Collection[str]) -> Iterable[WandbRun]:
        wanted = sorted(ids)
        for start in range(0, len(wanted), PAGE):
            yield from self._everywhere({"name": {"$in": wanted[start : start + PAGE]}})

    def named(self, name: str, *, everywhere: bool) -> Iterable[WandbRun]:
        query = {"display_name": name}
        return self._everywhere(query) if everywhere else self._search(query)

    def starting_with(self, prefix: str) -> Iterable[WandbRun]:
        return self._search({"name": {"$regex": f"^{prefix}"}})

    def configured(self, key: str, value: str) -> Iterable[WandbRun]:
        # In a filter, a dot in a key leads inwards.
        query = {} if "." in key else {f"config.{key}.value": value}
        return (run for run in self._search(query) if run.config.get(key) == value)

    def newest(self, limit: int | None) -> Iterable[WandbRun]:
        """The project's runs in no order, the `limit` newest among them."""
        if limit is None:
            return self._search({})
        # Runs may have been made in another order than they began, by clocks that differ.
        several = max(limit, SEVERAL)
        return islice(self._search({}, several), several)

    def file(self, run: WandbRun, path: str) -> bytes | None:
        found = self._found(run.run_id)
        for file in found.files(names=[path]) if found is not None else ():
            if file.name == path:
                with (
                    tempfile.TemporaryDirectory(prefix="anchored-artifact-") as folder,
                    file.download(root=folder, replace=True) as stream,
                ):
                    return Path(stream.name).read_bytes()
        return None

    def has_model(self, run: WandbRun, model: LoggedModel) -> bool:
        return self._logged(run, model) is not None

    def _logged(self, run: WandbRun, model: LoggedModel) -> Any:
        found = self._found(run.run_id)
        for artifact in found.logged_artifacts() if found is not None else ():
            name = artifact.source_name.partition(":")[0]
            if name == model.name and artifact.metadata.get(MODEL) == model.metadata[MODEL]:
                return artifact
        return None

    def _found(self, run_id: str) -> Any:
        from wandb.errors import CommError

        project = self._elsewhere.get(run_id, self.project)
        try:
            return self._api().run("/".join(filter(None, (self._entity, project, run_id))))
        except CommError as error:
            if "could not find" in str(error).lower():
                return None
            raise

    def _search(
        self, filters: Mapping[str, Any], limit: int | None = None, *, project: str = ""
    ) -> Iterator[WandbRun]:
        path = "/".join(filter(None, (self._entity, project or self.project)))
        page = min(PAGE, limit or PAGE)
        found = self._api().runs(
            path, filters=dict(filters), order="-created_at", per_page=page, lazy=False
        )
        try:
            yield from map(_run, found)
        except ValueError as error:
            # Whoever only looks makes no project, and one that does not exist has no runs.
            if "could not find project" not in str(error).lower():
                raise

    def _everywhere(self, filters: Mapping[str, Any]) -> Iterator[WandbRun]:
        for project in self._projects():
            for run in self._search(filters, project=project):
                self._elsewhere[run.run_id] = project
                yield run

    def _projects(self) -> list[str]:
        return [project.name for project in self._api().projects(self._entity or None)]

    def _api(self) -> Any:
        """The public API, with nothing that it remembers of former answers."""
        self._client.flush()
        return self._client

    @cached_property
    def _client(self) -> Any:
        import wandb

        place = {"base_url": self._base_url}
        if self._entity:  # its organization's registry is meant, too
            place["entity"] = self._entity
        with undisturbed():
            return wandb.Api(timeout=ANSWERING, overrides=place)

    # --- writing --------------------------------------------------------------------------------

    def write(self, run: WandbRun, entry: Entry) -> None:
        """Adds to a run, and gives it the name that it has here; makes it if there is none.

        One that has ended is not opened again if that can be helped: W&B would call it running.
        """
        if run.ending and not entry.model:
            self._update(run, entry)
        else:
            self._append(run, entry)
        self._see_files(run, entry.files)

    def _append(self, run: WandbRun, entry: Entry) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="anchored-wandb-") as folder,
            undisturbed(WANDB_DATA_DIR=folder, WANDB_CACHE_DIR=folder),
        ):
            write_entry(
                run,
                entry,
                mode="online",
                base_url=self._base_url,
                entity=self._entity or None,
                root_dir=folder,
                x_update_finish_state=bool(entry.ending or run.ending),
                **TIMEOUTS,
            )

    def _update(self, run: WandbRun, entry: Entry) -> None:
        found = self._found(run.run_id)
        for key, value in entry.config.items():
            if value is None:
                found.config.pop(key, None)
            else:
                found.config[key] = value
        found.name = run.name
        found.update()
        if entry.metrics:
            found.summary.update(dict(entry.metrics))
        with tempfile.TemporaryDirectory(prefix="anchored-wandb-") as folder:
            for path in entry.files.put_below(Path(folder), shutil.copyfile):
                found.upload_file(str(Path(folder, path)), root=folder)

    def _see_files(self, run: WandbRun, files: LoggedFiles) -> None:
        """The SDK ends without a word where an upload was refused (seen with wandb 0.31.0)."""
        wanted = {path: file.stat().st_size for path, file in files.files.items()}
        wanted |= {path: len(content) for path, content in files.texts.items()}
        if not wanted:
            return
        kept = {file.name: file.size for file in self._found(run.run_id).files(names=[*wanted])}
        if lost := sorted(path for path, size in wanted.items() if kept.get(path) != size):
            raise TrackerFailed(f"W&B did not keep the files {', '.join(lost[:5])}")

    def training_variables(self) -> Mapping[str, str]:
        place = {"WANDB_MODE": "online", "WANDB_BASE_URL": self._base_url}
        return place | ({"WANDB_ENTITY": self._entity} if self._entity else {})

    # --- registered models ----------------------------------------------------------------------

    def versions(self, model: str) -> Sequence[LinkedVersion]:
        found = [
            LinkedVersion(
                version=_version(artifact),
                aliases=tuple(alias for alias in artifact.aliases if alias != "latest"),
                metadata=artifact.metadata,
                url=artifact.url,
            )
            for artifact in self._linked(model)
        ]
        return sorted(found, key=lambda linked: int(linked.version[1:]))

    def link(self, run: WandbRun, logged: LoggedModel, *, to: str) -> None:
        artifact = self._logged(run, logged)
        if artifact is None:
            raise TrackerFailed(f"W&B did not keep the model of the run {run.run_id}")
        artifact.link(f"{REGISTRY}/{to}")

    def set_alias(self, model: str, alias: str, version: str) -> None:
        for artifact in self._linked(model):
            if _version(artifact) == version:
                artifact.aliases.append(alias)
                artifact.save()

    def usage(self, model: str, version: str) -> str:
        return f'wandb.Api().artifact("{REGISTRY}/{model}:{version}").download()'

    def _linked(self, model: str) -> list[Any]:
        api, path = self._api(), f"{REGISTRY}/{model}"
        exists = api.artifact_collection_exists(path, MODEL_TYPE)
        return list(api.artifacts(MODEL_TYPE, path)) if exists else []


def _version(linked: Any) -> str:
    """A version's number in the registry; `Artifact.version` may be that among the run's own."""
    return str(linked.name.rpartition(":")[2])


def _run(run: Any) -> WandbRun:
    ending = ENDINGS.get(run.state)
    return WandbRun(
        run_id=run.id,
        name=run.name or "",
        project=run.project,
        config=dict(run.config),
        summary=dict(run.summary_metrics),
        started=_milliseconds(run.created_at),
        ended=_milliseconds(run.heartbeat_at) if ending else None,
        ending=ending,
        url=run.url,
    )


def _milliseconds(text: str | None) -> int | None:
    from datetime import UTC, datetime

    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
