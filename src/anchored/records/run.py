"""The run record: the JSON of `anchored show --json` and of the artifact `anchored/run.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from anchored.display import html
from anchored.records.code import GitFacts
from anchored.records.data import Pointer
from anchored.records.decoding import checked, checked_mapping, field_names
from anchored.tracker_names import title_of

RUN_DOCUMENT = "anchored/run.json"
ParamValue = str | int | float | bool


def rendered(value: Mapping[str, Any]) -> bytes:
    """A document as a tracker's artifact holds it: JSON for people, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


class State(StrEnum):
    """What the tag `anchored.state` may say of a run."""

    RUNNING = "running"
    TRAINED = "trained"
    SEALED = "sealed"
    FAILED = "failed"


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
        known: frozenset[str] = field_names(RunRecord)
        items = {key: item for key, item in value.items() if key in known}
        items["state"] = State(items.get("state", State.RUNNING))
        for name, kind in (("git", GitFacts), ("tracker", TrackerLink), ("prefect", FlowLink)):
            parts = checked_mapping(items.get(name, {}), object).items()
            items[name] = kind(**{k: checked(v, str) for k, v in parts if k in field_names(kind)})
        for name, kinds in (("params", ParamValue), ("metrics", (int, float)),
                            ("environment", object)):  # fmt: skip
            items[name] = checked_mapping(items.get(name, {}), kinds)
        for name in ("run_id", "name", "experiment", "command", "started", "ended"):
            checked(items.get(name, ""), str)
        for name in ("data", "model"):
            items[name] = tuple(
                Pointer.from_json(checked(item, Mapping))
                for item in checked(items.get(name, ()), (list, tuple))
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
