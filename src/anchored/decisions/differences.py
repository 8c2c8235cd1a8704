"""What differs between two runs, as values: the document of `anchored diff --json`.

"From" is the first run, "to" the second; None means that one of them has none.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from anchored.decisions.ignores import ignore_file, ignore_line, reopen_lines
from anchored.decisions.pointers import pointer_path
from anchored.display import html
from anchored.records import Environment, Pointer

Values = Mapping[str, Any]


class Change(StrEnum):
    """What became of a file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Sides:
    """One thing as the two runs have it."""

    before: Any
    after: Any

    @property
    def change(self) -> float | None:
        """By how much a number has grown; None where one of the two is none."""
        both = (self.before, self.after)
        return None if None in both else self.after - self.before

    def to_json(self) -> dict[str, Any]:
        return {"from": self.before, "to": self.after}


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file of an output, by its path from the repo's root; sizes in bytes, None if unknown."""

    path: str
    change: Change
    before: int | None = None
    after: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "change": str(self.change),
            "from": self.before,
            "to": self.after,
        }


@dataclass(frozen=True, slots=True)
class OutputChange:
    """An input or model that differs, by its hashes; `problem` is why its files are not listed."""

    path: str
    before: str | None
    after: str | None
    files: tuple[FileChange, ...] = ()
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        value = {
            "path": self.path,
            "from": self.before,
            "to": self.after,
            "files": [file.to_json() for file in self.files],
        }
        return value | ({"problem": self.problem} if self.problem else {})


@dataclass(frozen=True, slots=True)
class CodeChange:
    """The source commits (empty where a run names none) and the files that differ between them.

    `problem` says why files are not listed; `patch` is None where nobody asked for it.
    """

    before: str
    after: str
    files: tuple[tuple[str, Change], ...] = ()
    patch: str | None = None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "from": self.before,
            "to": self.after,
            "files": [{"path": path, "change": str(change)} for path, change in self.files],
        }
        if self.patch is not None:
            value["patch"] = self.patch
        return value | ({"problem": self.problem} if self.problem else {})


@dataclass(frozen=True, slots=True)
class Differences:
    """All that differs between two runs."""

    data: tuple[OutputChange, ...]
    code: CodeChange
    params: Mapping[str, Sides] = field(default_factory=dict)
    metrics: Mapping[str, Sides] = field(default_factory=dict)
    environment: Mapping[str, Sides] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether the two are the same in everything that is known of them."""
        code = self.code.files or self.code.problem
        return not (self.data or code or self.params or self.metrics or self.environment)

    def to_json(self) -> dict[str, Any]:
        return {
            "data": [output.to_json() for output in self.data],
            "code": self.code.to_json(),
            "params": {name: sides.to_json() for name, sides in self.params.items()},
            "metrics": {
                name: {**sides.to_json(), "change": sides.change}
                for name, sides in self.metrics.items()
            },
            "environment": {name: sides.to_json() for name, sides in self.environment.items()},
        }

    def _repr_html_(self) -> str:
        rows = [("data", output.path, output.before, output.after) for output in self.data]
        if self.code.files or self.code.problem:
            rows.append(("code", self.code.problem, self.code.before, self.code.after))
        rows += [("code", path, "", change) for path, change in self.code.files]
        for kind, values in (
            ("params", self.params),
            ("metrics", self.metrics),
            ("environment", self.environment),
        ):
            rows += [(kind, name, sides.before, sides.after) for name, sides in values.items()]
        if not rows:
            return html.table("nothing differs", ())
        return html.table("what differs", rows, ("", "", "from", "to"))


def differing(before: Values, after: Values) -> dict[str, Sides]:
    """The names whose values differ, in the order of the runs.

    A foreign run's params are texts: what is written alike is alike.
    """
    names = [*before, *(name for name in after if name not in before)]
    sides = {name: Sides(before.get(name), after.get(name)) for name in names}
    return {name: s for name, s in sides.items() if _text(s.before) != _text(s.after)}


def differing_outputs(
    before: Iterable[Pointer], after: Iterable[Pointer]
) -> list[tuple[Pointer | None, Pointer | None]]:
    """Pairs, by path, of the outputs whose content differs."""
    one, other = ({p.path: p for p in pointers} for pointers in (before, after))
    pairs = [(one.get(path), other.get(path)) for path in dict.fromkeys([*one, *other])]
    return [(a, b) for a, b in pairs if a is None or b is None or a.md5 != b.md5]


def differing_environment(
    before: Environment | None, after: Environment | None
) -> dict[str, Sides]:
    """The facts of two environment records that differ, packages as `packages/NAME` and variables
    as `variables/NAME`; of a record that is not there, `record` by its hash.
    """
    if before is None or after is None:
        hashes = [None if one is None else one.md5 for one in (before, after)]
        return differing({"record": hashes[0]}, {"record": hashes[1]})
    return differing(_facts(before), _facts(after))


def differing_files(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Change]:
    """What became of each file, by path, whose object is not the same."""
    changes = {}
    for path in sorted({*before, *after}):
        if path not in before:
            changes[path] = Change.ADDED
        elif path not in after:
            changes[path] = Change.REMOVED
        elif before[path] != after[path]:
            changes[path] = Change.CHANGED
    return changes


def is_pointer(path: str) -> bool:
    """Whether a file of a commit is a DVC pointer: its content is shown as data."""
    return path.endswith(".dvc")


def same_but_for_outputs(before: bytes, after: bytes, outputs: Sequence[str], file: str) -> bool:
    """Whether two states of a `.gitignore` differ by nothing but the lines that outputs need."""
    own = _own_lines(outputs, file)
    one, other = (
        [line for line in text.decode(errors="surrogateescape").splitlines() if line not in own]
        for text in (before, after)
    )
    return one == other


def _own_lines(outputs: Sequence[str], file: str) -> set[str]:
    """Lines of a `.gitignore` that ignore an output, or open the way to its pointer."""
    folder = posixpath.dirname(file)
    lines = {ignore_line(output) for output in outputs if ignore_file(output) == file}
    for output in outputs:
        pointer = pointer_path(output)
        parts = pointer.split("/")
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            if not folder or above.startswith(f"{folder}/"):
                lines.update(reopen_lines(pointer, file, above))
    return lines


def _facts(environment: Environment) -> dict[str, Any]:
    names = ("python", "implementation", "platform", "machine", "cpu", "cpus", "kind")
    facts = {name: getattr(environment, name) for name in names}
    for group in ("packages", "variables"):
        items = sorted(getattr(environment, group).items())
        facts |= {f"{group}/{name}": value for name, value in items}
    return facts


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
