"""What may be changed: one function for each field of the mutation root."""

import json
from collections.abc import Sequence
from typing import Any

from tests.services.wandb_standin.artifact_mutations import ArtifactMutations
from tests.services.wandb_standin.documents import Unknown
from tests.services.wandb_standin.graphql import Node, Refused
from tests.services.wandb_standin.queries import Queries
from tests.services.wandb_standin.state import Project, Run, State


class Mutations:
    """The mutations of one request; what they give back is read through `queries`."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    def root(self) -> Node:
        return Node(
            "Mutation",
            {
                "upsertModel": self.upsert_project,
                "upsertBucket": self.upsert_run,
                "deleteRun": self.delete_run,
                "createRunFiles": self.create_run_files,
                "markRunFilesUploaded": self.mark_run_files_uploaded,
                "deleteFiles": self.delete_files,
                **ArtifactMutations(self._state, self._queries.artifacts).root(),
            },
        )

    def upsert_project(
        self,
        *,
        name: str,
        entity_name: str | None = None,
        **only_defaults: Any,
    ) -> Node:
        if any(value is not None for value in only_defaults.values()):
            raise Unknown(f"a project's {sorted(only_defaults)}")
        known = self._state.project(entity_name, name)
        node = self._queries.project(known or self._new_project(entity_name, name))
        return Node(
            "UpsertModelPayload", {"project": node, "model": node, "inserted": known is None}
        )

    def upsert_run(
        self,
        *,
        id_: str | None = None,
        name: str | None = None,
        model_name: str | None = None,
        entity_name: str | None = None,
        display_name: str | None = None,
        group_name: str | None = None,
        job_type: str | None = None,
        description: str | None = None,
        notes: str | None = None,
        commit: str | None = None,
        host: str | None = None,
        job_program: str | None = None,
        job_repo: str | None = None,
        config: str | None = None,
        summary_metrics: str | None = None,
        tags: Sequence[str] | None = None,
        state: str | None = None,
        sweep: str | None = None,
        debug: bool | None = None,
    ) -> Node:
        """What is None stays as it is; config and summary are replaced as a whole.

        By `name` the caller is the run itself, which so begins or goes on; by `id` it is another.
        """
        if sweep or debug or state not in (None, "running"):
            raise Unknown(f"a run with sweep={sweep!r}, debug={debug!r}, state={state!r}")
        if id_ is None:
            project, run, inserted = self._run_that_is(name or "", model_name, entity_name)
            run.hear()
        else:
            (project, run), inserted = self._run_of(id_), False
        new = {
            "display_name": display_name, "group": group_name, "job_type": job_type,
            "description": description, "notes": notes, "commit": commit, "host": host,
            "program": job_program, "repo": job_repo,
            "config": None if config is None else json.loads(config),
            "summary": None if summary_metrics is None else json.loads(summary_metrics),
            "tags": None if tags is None else sorted(set(tags)),
        }  # fmt: skip
        for field, value in new.items():
            if value is not None:
                setattr(run, field, value)
        bucket = self._queries.run(project, run)
        return Node("UpsertBucketPayload", {"bucket": bucket, "inserted": inserted})

    def delete_run(self, *, id_: str) -> Node:
        project, run = self._run_of(id_)
        del project.runs[run.name]
        return Node("DeleteRunPayload", {"clientMutationId": None})

    def create_run_files(
        self, *, entity_name: str, project_name: str, run_name: str, files: Sequence[str]
    ) -> Node:
        """An address for each file's bytes; the bytes that are there stay until new ones came."""
        project = self._state.project(entity_name, project_name)
        if project is None or run_name not in project.runs:
            raise Refused(f"run {entity_name}/{project_name}/{run_name} not found", 404)
        run = project.runs[run_name]
        for name in files:
            if name not in run.files:
                run.files[name] = self._state.new_file(name)
        stored = [run.files[name] for name in files]
        nodes = [
            Node("File", {"name": file.name, "uploadUrl": self._queries.address_of(file)})
            for file in stored
        ]
        return Node("CreateRunFilesPayload", {"runID": run.id, "uploadHeaders": [], "files": nodes})

    def mark_run_files_uploaded(
        self, *, entity_name: str, project_name: str, run_name: str, files: Sequence[str]
    ) -> Node:
        """Nothing to do: a file is there from its last byte on."""
        project = self._state.project(entity_name, project_name)
        known = project.runs[run_name].files if project and run_name in project.runs else {}
        return Node(
            "MarkRunFilesUploadedPayload", {"success": all(name in known for name in files)}
        )

    def delete_files(self, *, files: Sequence[str], project_id: int | None = None) -> Node:
        found = False
        for project, run in self._state.runs().values():
            if project_id in (None, project.number):
                kept = {name: file for name, file in run.files.items() if file.id not in files}
                found = found or len(kept) < len(run.files)
                run.files = kept
        return Node("DeleteFilesPayload", {"success": found})

    def _run_that_is(
        self, name: str, project_name: str | None, entity_name: str | None
    ) -> tuple[Project, Run, bool]:
        project = self._state.project(entity_name, project_name) or self._new_project(
            entity_name, project_name or "uncategorized"
        )
        if name in project.runs:
            return project, project.runs[name], False
        run = Run(
            name,
            self._state.number(),
            user=self._state.user,
            display_name=name,
            patience=self._state.patience,
        )
        project.runs[name] = run
        return project, run, True

    def _run_of(self, id_: str) -> tuple[Project, Run]:
        try:
            return self._state.runs()[id_]
        except KeyError:
            raise Refused(f"run {id_} not found during upsertBucket", 404) from None

    def _new_project(self, entity_name: str | None, name: str) -> Project:
        entity = entity_name or self._state.user
        if entity not in self._state.entities:
            raise Refused(f"entity {entity} not found during upsertBucket", 404)
        return self._state.new_project(entity, name)
