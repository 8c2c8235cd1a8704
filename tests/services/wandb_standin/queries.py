"""What may be read: one function for each field of the query root, and the nodes below it."""

import json
import mimetypes
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from tests.services.wandb_standin import history
from tests.services.wandb_standin.artifact_queries import ArtifactQueries
from tests.services.wandb_standin.artifacts import digest_of
from tests.services.wandb_standin.documents import Unknown
from tests.services.wandb_standin.filters import fits, ordered
from tests.services.wandb_standin.graphql import Node, Refused, page
from tests.services.wandb_standin.state import Project, Run, State, StoredFile, graph_id

# Which of the client's optional requests the stand-in has answers for.
FEATURES = (
    "ARTIFACT_DIGEST_ALGORITHM",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "ARTIFACT_TAGS",
    "ARTIFACT_V2_DOWNLOAD_HANDLER_SUPPORTS_ARTIFACT_ID",
    "CLIENT_IDS",
    "FILESTREAM_GZIP",
    "MARK_RUN_FILES_UPLOADED",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
)


class Queries:
    """The nodes of one request; URLs in them follow the address by which the client came."""

    def __init__(self, state: State, origin: str) -> None:
        self._state = state
        self._origin = origin
        self.artifacts = ArtifactQueries(state, self)

    def root(self) -> Node:
        return Node(
            "Query",
            {
                "viewer": self.viewer,
                "serverInfo": self.server_info,
                "entity": self.entity,
                "models": self.projects,
                "project": self.project_named,
                "model": self.project_named,
                **self.artifacts.root(),
            },
        )

    def viewer(self) -> Node:
        state = self._state
        teams = [Node("Entity", {"name": name}) for name in (state.user, state.team)]
        return Node(
            "User",
            {
                "id": graph_id("User", 1),
                "name": "Ada Lovelace",
                "username": state.user,
                "email": "ada@example.org",
                "entity": state.user,
                "admin": False,
                "flags": "{}",
                "deletedAt": None,
                "apiKeys": lambda: page([]),
                "teams": lambda: page(teams),
            },
        )

    def server_info(self) -> Node:
        features = [Node("Feature", {"name": name, "isEnabled": True}) for name in FEATURES]
        return Node(
            "ServerInfo",
            {
                "features": features,
                "cliVersionInfo": {"max_cli_version": "0.31.0"},
                "latestLocalVersionInfo": None,
            },
        )

    def entity(self, name: str) -> Node | None:
        if name not in self._state.entities:
            return None
        personal = name == self._state.user
        of_user = Node("User", {"organizations": [self.organization()]}) if personal else None
        return Node(
            "Entity",
            {
                "id": graph_id("Entity", name),
                "name": name,
                "organization": None if personal else self.organization,
                "user": of_user,
            },
        )

    def organization(self) -> Node:
        state = self._state
        return Node(
            "Organization",
            {
                "id": graph_id("Organization", state.organization),
                "name": state.organization,
                "coreWeaveOrganizationId": None,
                "orgEntity": lambda: self.entity(state.registry_entity),
            },
        )

    def projects(
        self, *, entity_name: str | None = None, after: str | None = None, first: int = 50
    ) -> Node:
        entity = entity_name or self._state.user
        known = [project for project in self._state.projects.values() if project.entity == entity]
        return page([self.project(project) for project in known], after=after, first=first)

    def project_named(
        self, *, name: str | None = None, entity_name: str | None = None
    ) -> Node | None:
        project = self._state.project(entity_name, name)
        return None if project is None else self.project(project)

    def project(self, project: Project) -> Node:
        def runs(
            filters: str | None = None,
            after: str | None = None,
            first: int = 50,
            order: str | None = None,
        ) -> Node:
            found = ordered(_fitting(project, filters), order)
            return page([self.run(project, run) for run in found], after=after, first=first)

        def bucket(name: str, *, missing_ok: bool = False) -> Node | None:
            if name not in project.runs and not missing_ok:
                raise Refused(f"run {name} not found", 404)
            return self.run_named(project, name)

        return Node(
            "Project",
            {
                "id": project.id,
                "internalId": str(project.number),
                "name": project.name,
                "entityName": project.entity,
                "entity": lambda: self.entity(project.entity),
                "createdAt": project.created_at,
                "description": "",
                "access": "USER_READ",
                "views": "{}",
                "isBenchmark": False,
                "readOnly": False,
                "user": self.viewer,
                "runCount": lambda filters=None: len(_fitting(project, filters)),
                "runs": runs,
                "run": lambda name: self.run_named(project, name),
                "bucket": bucket,
                **self.artifacts.of_project(project),
            },
        )

    def run_named(self, project: Project, name: str) -> Node | None:
        return self.run(project, project.runs[name]) if name in project.runs else None

    def run(self, project: Project, run: Run) -> Node:
        lines = run.lines["wandb-history.jsonl"]
        events = run.lines["wandb-events.jsonl"]
        return Node(
            "Run",
            {
                "id": run.id,
                "name": run.name,
                "displayName": run.display_name,
                "projectId": project.number,
                "project": lambda: self.project(project),
                "state": run.state,
                "createdAt": run.created_at,
                "heartbeatAt": run.heartbeat_at,
                "tags": run.tags,
                "description": run.description,
                "notes": run.notes,
                "group": run.group,
                "jobType": run.job_type,
                "commit": run.commit,
                "sweepName": None,
                "readOnly": False,
                "user": self.viewer,
                "config": lambda: json.dumps(run.config),
                "wandbConfig": lambda keys: _telemetry(run, keys),
                "summaryMetrics": lambda: json.dumps(run.summary),
                "systemMetrics": "{}",
                "historyLineCount": len(lines),
                "eventsLineCount": len(events),
                "logLineCount": len(run.lines["output.log"]),
                "historyTail": json.dumps(lines[-1:]),
                "eventsTail": json.dumps(events[-1:]),
                "historyKeys": lambda: history.keys(lines),
                "history": partial(history.between, lines),
                "events": lambda samples=500: events[-samples:],
                "sampledHistory": lambda specs: [history.sampled(lines, s) for s in specs],
                "parquetHistory": partial(history.live, lines),
                "fileCount": lambda: len(_present(run)),
                "files": partial(self.files, project, run),
                **self.artifacts.of_run(run),
            },
        )

    def files(
        self,
        project: Project,
        run: Run,
        *,
        names: Sequence[str] = (),
        pattern: str | None = None,
        after: str | None = None,
        first: int = 50,
    ) -> Node:
        if pattern is not None:
            raise Unknown("files by a pattern")
        found = [file for file in _present(run) if not names or file.name in names]
        nodes = [self.file(f"{project.entity}/{project.name}/{run.name}", file) for file in found]
        return page(nodes, after=after, first=first)

    def file(self, folder: str, file: StoredFile) -> Node:
        """`url` asks for the API key, `directUrl` does not, as with the service."""

        def url(*, upload: bool = False) -> str:
            if upload:
                raise Unknown("the upload URL of a file that is there")
            return f"{self._origin}/files/{folder}/{quote(file.name)}"

        content = file.content or b""
        return Node(
            "File",
            {
                "id": file.id,
                "name": file.name,
                "url": url,
                "directUrl": self.address_of(file),
                "sizeBytes": len(content),
                "mimetype": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                "updatedAt": file.updated_at,
                "md5": digest_of(content),
            },
        )

    def address_of(self, file: StoredFile) -> str:
        """Where the bytes go up and come down; who knows the address needs no key."""
        return f"{self._origin}/storage/{file.key}"


def _fitting(project: Project, filters: str | None) -> list[Run]:
    wanted = json.loads(filters) if filters else {}
    return [run for run in project.runs.values() if fits(run, wanted)]


def _present(run: Run) -> list[StoredFile]:
    return [file for _, file in sorted(run.files.items()) if file.content is not None]


def _telemetry(run: Run, keys: Sequence[str]) -> str:
    known = run.config.get("_wandb", {}).get("value", {})
    return json.dumps({key: known[key] for key in keys if key in known})
