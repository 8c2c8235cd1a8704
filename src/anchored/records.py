"""The values that Anchored speaks of: frozen, comparable, and the same after a trip through JSON.

The JSON is that of `anchored show --json` and of the artifact `anchored/run.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from typing import Any, Self

from anchored.display import html
from anchored.tracker_names import title_of

ParamValue = str | int | float | bool
RUN_DOCUMENT, ENVIRONMENT_DOCUMENT = "anchored/run.json", "anchored/environment.json"


def _checked(value: Any, kind: Any) -> Any:
    """The value, if it is of this kind: what comes from a tracker may be anything at all."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ValueError(f"a {type(value).__name__} is where none is expected")
    return value


def _checked_mapping(value: Any, kinds: Any) -> dict[str, Any]:
    return {key: _checked(item, kinds) for key, item in _checked(value, Mapping).items()}


@cache  # of a hundred thousand runs
def _names(kind: Any) -> frozenset[str]:
    return frozenset(f.name for f in fields(kind))


def rendered(value: Mapping[str, Any]) -> bytes:
    """A document as a tracker's artifact holds it: JSON for people, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


class State(StrEnum):
    """What the tag `anchored.state` may say of a run."""

    RUNNING = "running"
    TRAINED = "trained"
    SEALED = "sealed"
    FAILED = "failed"


class CommitStanding(StrEnum):
    """Where a commit stands: held by a ref of the repository, here but held by none, or nowhere.

    One that no ref holds may be anybody's: servers hand out commits of strangers' forks by name.
    """

    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class CommitText:
    """A commit's message, and its first parent; empty where it has none."""

    parent: str
    message: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was handed to training: enough to see that nobody wrote to it since."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a `.dvc` file says of one output: a path from the repo's root and its content.

    `md5` ends in `.dir` for a folder; `size` is in bytes, over all files of a folder.
    `hash_name` is DVC's own: `md5`, or `md5-dos2unix` for pointers written by DVC 2.
    """

    path: str
    md5: str
    size: int = 0
    nfiles: int = 1
    hash_name: str = "md5"

    @property
    def is_folder(self) -> bool:
        return self.md5.endswith(".dir")

    def to_json(self) -> dict[str, Any]:
        value = {"path": self.path, "md5": self.md5, "size": self.size, "nfiles": self.nfiles}
        return value if self.hash_name == "md5" else {**value, "hash": self.hash_name}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            path=_checked(value["path"], str),
            md5=_checked(value["md5"], str),
            size=_checked(value.get("size") or 0, int),
            nfiles=_checked(value.get("nfiles") or 1, int),
            hash_name=_checked(value.get("hash") or "md5", str),
        )


@dataclass(frozen=True, slots=True)
class GitFacts:
    """Where a run's code and pointers stand; `repo_url` never holds credentials."""

    commit: str = ""
    source_commit: str = ""
    branch: str = ""
    repo_url: str = ""
    ref: str = ""

    def with_(self, **changes: str) -> Self:
        """These facts with some of them replaced."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the training interpreter was: the document `anchored/environment.json`."""

    python: str = ""
    implementation: str = ""
    platform: str = ""
    machine: str = ""
    cpu: str = ""
    cpus: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    kind: str = "inherit"

    def render(self) -> bytes:
        """The document's bytes: sorted, so that equal environments have equal hashes."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        return text.encode() + b"\n"

    def with_(self, **changes: Any) -> Self:
        """This environment with some of its facts replaced."""
        return replace(self, **changes)

    @property
    def md5(self) -> str:
        return hashlib.md5(self.render(), usedforsecurity=False).hexdigest()

    @classmethod
    def parse(cls, document: bytes | str) -> Self:
        """Of a document of our own; what others may have written is decoded elsewhere."""
        return cls.from_json(json.loads(document))

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises `ValueError` for a value that is no environment's."""
        facts = _checked(value, Mapping)
        items = {f.name: facts[f.name] for f in fields(cls) if f.name in facts}
        for key, item in items.items():
            if key in {"packages", "variables"}:
                _checked_mapping(item, str)
            else:
                _checked(item, int if key == "cpus" else str)
        return cls(**items)

    def to_json(self) -> dict[str, Any]:
        return {
            "md5": self.md5,
            "python": self.python,
            "platform": self.platform,
            "packages": dict(sorted(self.packages.items())),
        }


@dataclass(frozen=True, slots=True)
class TrackerLink:
    """Which tracker holds the run, and where a person finds it."""

    kind: str = ""
    uri: str = ""
    url: str = ""

    @property
    def title(self) -> str:
        return title_of(self.kind)

    @property
    def place(self) -> str:
        """The run's page; without one, the tracker in which its id is to be looked for."""
        return self.url or f"{self.title} at {self.uri}"


@dataclass(frozen=True, slots=True)
class FlowLink:
    """The Prefect flow run that made the run; empty when there was none."""

    flow_run_id: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything known of one run. `started` and `ended` are ISO 8601 in UTC."""

    run_id: str
    name: str
    experiment: str
    state: State = State.RUNNING
    git: GitFacts = field(default_factory=GitFacts)
    data: tuple[Pointer, ...] = ()
    model: tuple[Pointer, ...] = ()
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    tracker: TrackerLink = field(default_factory=TrackerLink)
    prefect: FlowLink = field(default_factory=FlowLink)
    started: str = ""
    ended: str = ""
    reproduces: str | None = None
    verdict: str | None = None

    def with_(self, **changes: Any) -> Self:
        """This record with some fields replaced."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("git", "tracker", "prefect"):
            value[name] = asdict(value[name])
        for name in ("data", "model"):
            value[name] = [pointer.to_json() for pointer in value[name]]
        for name in ("params", "metrics", "environment"):
            value[name] = dict(value[name])
        value["state"] = str(self.state)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Raises `ValueError` and `KeyError` for a value that is no run's."""
        known: frozenset[str] = _names(RunRecord)
        items = {key: item for key, item in value.items() if key in known}
        items["state"] = State(items.get("state", State.RUNNING))
        for name, kind in (("git", GitFacts), ("tracker", TrackerLink), ("prefect", FlowLink)):
            parts = _checked_mapping(items.get(name, {}), object).items()
            items[name] = kind(**{k: _checked(v, str) for k, v in parts if k in _names(kind)})
        for name, kinds in (("params", ParamValue), ("metrics", (int, float)),
                            ("environment", object)):  # fmt: skip
            items[name] = _checked_mapping(items.get(name, {}), kinds)
        for name in ("run_id", "name", "experiment", "command", "started", "ended"):
            _checked(items.get(name, ""), str)
        for name in ("data", "model"):
            items[name] = tuple(
                Pointer.from_json(_checked(item, Mapping))
                for item in _checked(items.get(name, ()), (list, tuple))
            )
        return cls(**items)

    def _repr_html_(self) -> str:
        outputs = [("data", p) for p in self.data] + [("model", p) for p in self.model]
        rows = [
            ("state", self.state),
            ("id", self.run_id),
            ("commit", self.git.commit),
            *((f"{kind} {pointer.path}", pointer.md5) for kind, pointer in outputs),
            *((f"param {name}", value) for name, value in self.params.items()),
            *((f"metric {name}", value) for name, value in self.metrics.items()),
            ("verdict", self.verdict),
            ("reproduces", self.reproduces),
            ("tracker", self.tracker.place),
        ]
        return html.facts(self.name, rows)


class Verdict(StrEnum):
    """What a reproduction found."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared; `within`, of a metric alone, says that it is near enough."""

    what: str
    recorded: str | float | None
    reproduced: str | float | None
    equal: bool
    within: bool | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in asdict(self).items()
            if key != "within" or value is not None
        }


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A verdict on a run, with all that it rests on: `anchored reproduce --json`."""

    run: str
    name: str
    verdict: Verdict
    reproduction: str
    checks: tuple[Check, ...] = ()
    causes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "name": self.name,
            "verdict": str(self.verdict),
            "reproduction": self.reproduction,
            "checks": [check.to_json() for check in self.checks],
            "causes": list(self.causes),
            "seconds": round(self.seconds, 3),
        }

    def _repr_html_(self) -> str:
        rows = [
            (c.what, c.recorded, c.reproduced, "yes" if c.equal else "near" if c.within else "no")
            for c in self.checks
        ]
        header = ("", "recorded", "reproduced", "equal")
        title = ". ".join([f"{self.name} is {self.verdict}", *self.causes])
        return html.table(title, rows, header)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version in a registry of models, made of a run's model; `aliases` are those it bears.

    `run_id` is empty where the registry names no run. `usage` is the Python that brings the model
    back, empty where that is not known.
    """

    model: str
    version: str
    run_id: str
    aliases: tuple[str, ...] = ()
    url: str = ""
    usage: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "aliases": list(self.aliases)}

    def _repr_html_(self) -> str:
        aliases = ", ".join(f"@{alias}" for alias in self.aliases)
        rows = [
            ("aliases", aliases),
            ("run", self.run_id),
            ("page", self.url),
            ("load", self.usage),
        ]
        return html.facts(f"{self.model} version {self.version}", rows)


class Ended(StrEnum):
    """How a tracker run ended, in the trackers' common words."""

    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as the tracker has it, but for metrics that are no finite numbers: JSON has none.

    Times are in milliseconds since the epoch; None is unknown. `artifacts` is the URI under which
    the tracker keeps them. `deleted`: it can be restored there, and is in no listing.
    """

    run_id: str
    name: str
    experiment: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    url: str
    started: int | None = None
    ended: int | None = None
    ending: Ended | None = None
    artifacts: str = ""
    deleted: bool = False
