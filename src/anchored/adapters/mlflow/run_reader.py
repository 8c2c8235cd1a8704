"""Runs of an MLflow experiment: found, and read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from anchored.adapters.mlflow.bulk_artifacts import artifacts_at
from anchored.adapters.mlflow.failure import is_absent
from anchored.adapters.mlflow.store import BATCH, DELETED, MlflowStore
from anchored.decisions.redaction import redact
from anchored.errors import UnknownRun
from anchored.records import TrackedRun

RUN_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)  # as MLflow's own check has it
PAGE = 1_000


class MlflowRunReader(MlflowStore):
    """The `RunReader` of an MLflow experiment."""

    def run(self, run_id: str) -> TrackedRun:
        if self._is_unmade or not RUN_ID.fullmatch(run_id):
            raise UnknownRun(f"MLflow at {redact(self.uri)} has no run {run_id}")
        with self._calling(run_id):
            run = self._client.get_run(run_id)
            if run.info.lifecycle_stage == DELETED:
                raise self._experiments.deleted_run(run)
            return self._tracked(run)

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        return self._search("", limit)

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        from mlflow.entities import ViewType

        known = [run_id for run_id in ids if RUN_ID.fullmatch(run_id)]
        if self._is_unmade or not known:
            return []
        found: list[TrackedRun] = []
        with self._calling():
            everywhere = self._experiments.ids(deleted=True)
            for start in range(0, len(known), BATCH):
                batch = ", ".join(f"'{run_id}'" for run_id in known[start : start + BATCH])
                query = f"attributes.run_id IN ({batch})"
                page = self._client.search_runs(everywhere, query, ViewType.ALL, BATCH)
                found += map(self._tracked, page)
        return found

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        return list(self._search(f"tags.`{self._keys.safe(tag)}` = {_quoted(value)}"))

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        if "'" not in name or '"' not in name:
            query = f"attributes.run_name = {_quoted(name)}"
            return list(self._search(query, everywhere=everywhere))
        # MLflow's filter grammar cannot quote a string that has both kinds of quotes.
        start = re.split(r"['\"%_]", name, maxsplit=1)[0]
        found = self._search(f"attributes.run_name LIKE '{start}%'", everywhere=everywhere)
        return [run for run in found if run.name == name]

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        found = self._search(f"attributes.run_id LIKE '{prefix}%'")
        # To LIKE, `_` is any character, and in SQLite a letter is both of its cases.
        return [run for run in found if run.run_id.startswith(prefix)]

    def _search(
        self, query: str, limit: int | None = None, *, everywhere: bool = False
    ) -> Iterator[TrackedRun]:
        token, left = None, limit
        if self._is_unmade:
            return
        with self._calling():
            # Asking makes no experiment: whoever only looks changes nothing.
            if not everywhere and self._experiments.named(self._experiment) is None:
                return
            where = self._experiments.ids() if everywhere else [self._experiment_id]
        while left is None or left > 0:
            with self._calling():
                page = self._client.search_runs(
                    where,
                    filter_string=query,
                    max_results=PAGE if left is None else min(PAGE, left),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
            yield from map(self._tracked, page)
            token = page.token
            left = None if left is None else left - len(page)
            if not token:
                return

    def artifact(self, run_id: str, path: str) -> bytes | None:
        from mlflow.exceptions import MlflowException

        with (
            tempfile.TemporaryDirectory(prefix="anchored-artifact-") as folder,
            self._calling(run_id),
        ):
            try:
                place = self._here(self._client.get_run(run_id).info.artifact_uri)
                return Path(self._repository(place).download_artifacts(path, folder)).read_bytes()
            except (OSError, MlflowException, ValueError) as error:
                if isinstance(error, FileNotFoundError) or is_absent(error):
                    return None
                raise

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        from mlflow.exceptions import MlflowException

        repository = cache(self._repository)

        def fetched(place: str, name: str, file: str) -> bool:
            try:
                repository(place)
            except (MlflowException, ValueError):  # no address that MLflow knows, of this run alone
                return False
            try:
                # `download_artifacts` lists first, which is a second question for each run.
                repository(place)._download_file(name, file)  # noqa: SLF001
            except (OSError, MlflowException) as error:
                if isinstance(error, FileNotFoundError) or is_absent(error):
                    return False
                raise
            return True

        with self._calling():
            return artifacts_at({run.run_id: run.artifacts for run in runs}, path, fetched)


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
