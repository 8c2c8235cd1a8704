"""What the stand-in remembers: projects, their runs, and the bytes of files."""

import base64
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.services.wandb_standin.artifacts import Collection, Version

RUN_FILES = ("wandb-history.jsonl", "wandb-events.jsonl", "output.log")


def now() -> str:
    """As the service writes a time: UTC to the second, here with a fraction so that it orders."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def graph_id(kind: str, *parts: object) -> str:
    """An opaque id as the service makes them: base64 of what it names."""
    return base64.b64encode(":".join(map(str, (kind, *parts))).encode()).decode()


@dataclass
class StoredFile:
    """A file by name; `content` is None until its bytes came up."""

    name: str
    content: bytes | None = None
    updated_at: str = ""
    key: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def id(self) -> str:
        return graph_id("File", self.key)


@dataclass
class Patience:
    """After how many seconds without a word from its client a run is called crashed."""

    seconds: float = 300


@dataclass
class Run:
    """One run; `lines` are what its file stream appended, by file."""

    name: str
    number: int
    user: str
    display_name: str
    patience: Patience
    created_at: str = field(default_factory=now)
    group: str | None = None
    job_type: str | None = None
    description: str | None = None
    notes: str | None = None
    commit: str | None = None
    host: str | None = None
    program: str | None = None
    repo: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in RUN_FILES})
    files: dict[str, StoredFile] = field(default_factory=dict)
    heartbeat_at: str = field(default_factory=now)
    _ended: str | None = None
    _heard: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """What mutations take; what clients call the run's id is its `name` here."""
        return graph_id("Run:v1", self.name, self.number)

    @property
    def state(self) -> str:
        """`crashed` is what the service calls a run from which it has not heard for a while."""
        if self._ended:
            return self._ended
        return "running" if time.monotonic() - self._heard < self.patience.seconds else "crashed"

    def hear(self) -> None:
        """A client said that the run goes on."""
        self._ended, self._heard, self.heartbeat_at = None, time.monotonic(), now()

    def end(self, state: str) -> None:
        self._ended, self.heartbeat_at = state, now()


@dataclass
class Project:
    """Runs and collections of artifacts by name, in the order of their creation."""

    entity: str
    name: str
    number: int
    created_at: str = field(default_factory=now)
    runs: dict[str, Run] = field(default_factory=dict)
    collections: dict[str, "Collection"] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return graph_id("Project:v1", self.name, self.entity)


@dataclass
class State:
    """Everything; `user` is also an entity, `team` another one, both of one organization.

    The organization's registry of models is there from the start, as with the service.
    """

    user: str = "ada"
    team: str = "lab"
    organization: str = "Lab Inc"
    registry_entity: str = "lab-inc_registry"
    patience: Patience = field(default_factory=Patience)
    projects: dict[tuple[str, str], Project] = field(default_factory=dict)
    versions: dict[str, "Version"] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        self.new_project(self.registry_entity, "wandb-registry-model")

    @property
    def entities(self) -> tuple[str, ...]:
        return (self.user, self.team, self.registry_entity)

    def number(self) -> int:
        """A number that nothing else has."""
        self.count += 1
        return self.count

    def project(self, entity: str | None, name: str | None) -> Project | None:
        return self.projects.get((entity or self.user, name or ""))

    def new_project(self, entity: str, name: str) -> Project:
        project = self.projects[entity, name] = Project(entity, name, self.number())
        return project

    def new_file(self, name: str) -> StoredFile:
        """A file whose bytes are put and got by its key."""
        file = StoredFile(name)
        self.files[file.key] = file
        return file

    def runs(self) -> dict[str, tuple[Project, Run]]:
        """Every run by the id that mutations take."""
        return {
            run.id: (project, run)
            for project in self.projects.values()
            for run in project.runs.values()
        }
