"""What of a repo's stack runs, and where: asked, not remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anchored.stack.parts import deployments, tests_of
from anchored.stack.processes import memory_of, tree_of
from anchored.stack.record import (
    FOLDER,
    KEY,
    PREFECT,
    TRACKER,
    WORKER,
    StackRecord,
    read_key,
    read_stack,
)


@dataclass(frozen=True, slots=True)
class PartStanding:
    """A process as it is: its start in ISO 8601, the memory (RSS) of its tree in bytes."""

    pid: int
    since: str
    memory: int
    answers: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "since": self.since,
            "memory": self.memory,
            "answers": self.answers,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """The stack as it is. URLs of what does not run are empty; None is a part that does not.

    `title` is the tracker's name, `hint` how to look at it where no browser does. `key` is the file
    of what Prefect asks for, None where it asks for nothing.
    """

    folder: Path
    was_up: bool
    prefect: str = ""
    tracker: str = ""
    title: str = ""
    hint: str = ""
    key: Path | None = None
    deployments: dict[str, tuple[str, ...]] = field(default_factory=dict)  # with schedules
    parts: dict[str, PartStanding | None] = field(default_factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether every part is there and answers."""
        return bool(self.parts) and all(part and part.answers for part in self.parts.values())

    @property
    def memory(self) -> int:
        """Bytes of all parts together."""
        return sum(part.memory for part in self.parts.values() if part)

    @property
    def logs(self) -> Path:
        return logs_of(self.folder)

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "up": self.is_up,
            "prefect": self.prefect,
            "api": self.prefect and f"{self.prefect}/api",
            "key": str(self.key or ""),
            "tracker": self.tracker,
            "deployments": list(self.deployments),
            "schedules": {name: list(when) for name, when in self.deployments.items() if when},
            "processes": {name: part and part.to_json() for name, part in self.parts.items()},
            "data": str(self.folder),
            "logs": str(self.logs),
        }


def logs_of(folder: Path) -> Path:
    """Where a stack's logs lie, a file for each part."""
    return folder / "logs"


def standing(root: Path) -> Standing:
    """What runs of the repo's stack. Changes nothing."""
    record, folder = read_stack(root), root / FOLDER
    known = Standing(folder, was_up=bool(record.ports))
    if not record.processes:
        return known
    names = [PREFECT, *([TRACKER] if record.shows else []), WORKER]
    key = read_key(root)
    tests = tests_of(record.ports, key)
    parts = {name: _part(record, name, tests[name]) for name in names}
    prefect = parts[PREFECT]
    return Standing(
        folder,
        was_up=True,
        prefect=record.url(PREFECT) if prefect else "",
        title=record.title,
        hint=record.hint,
        key=folder / KEY if prefect and key else None,
        tracker=record.url(TRACKER) if parts.get(TRACKER) else record.elsewhere,
        deployments=deployments(record.url(PREFECT), key) if prefect and prefect.answers else {},
        parts=parts,
    )


def _part(record: StackRecord, name: str, answers: Any) -> PartStanding | None:
    if (process := record.process(name)) is None:
        return None
    started = record.processes[name]
    return PartStanding(
        pid=started.pid,
        since=datetime.fromtimestamp(started.created, UTC).isoformat(timespec="seconds"),
        memory=memory_of(tree_of(process)),
        answers=answers(started.created),
    )
