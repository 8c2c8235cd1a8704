"""What an audit goes by: what Git, the DVC remote and the tracker were seen to have of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from anchored.decisions.lineage import Lineage
from anchored.decisions.tags import (
    COMMIT,
    DATA,
    ENVIRONMENT,
    ERROR,
    MODEL,
    REPRODUCES,
    STATE,
    record_of,
)
from anchored.records import CommitStanding, Pointer, RunRecord, State, TrackedRun


class ObjectName(NamedTuple):
    """An object in cache or remote: the kind of its hash, and the hash."""

    hash_name: str
    oid: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a DVC remote was seen to hold of the objects that pointers need.

    `sizes` has every object that is there, in bytes; `folders` the object by path of every folder
    whose listing could be read; `corrupt` what the bytes of an object hash to instead. `suspects`
    have another size than is known of them: their bytes have to be hashed. `hash_names` tells the
    kind of hash of an object whose pointer does not.
    """

    sizes: Mapping[ObjectName, int] = field(default_factory=dict)
    missing: Collection[ObjectName] = frozenset()
    corrupt: Mapping[ObjectName, str] = field(default_factory=dict)
    folders: Mapping[ObjectName, Mapping[str, str]] = field(default_factory=dict)
    suspects: tuple[ObjectName, ...] = ()
    hash_names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, pointer: Pointer) -> ObjectName:
        """The object that a pointer names."""
        hash_name = pointer.hash_name or self.hash_names.get(pointer.md5, "md5")
        return ObjectName(hash_name, pointer.md5)

    @property
    def count(self) -> int:
        """How many distinct objects are needed."""
        return len(self.sizes) + len(self.missing)


@dataclass(frozen=True, slots=True)
class Subject:
    """A run to be audited, as the tracker has it.

    `state` is what its tag says, empty for a run that Anchored did not make; `environment_md5` the
    hash of its environment record, empty without one.
    """

    run: RunRecord
    state: str
    error: str = ""
    environment_md5: str = ""

    @property
    def is_ours(self) -> bool:
        return bool(self.state)

    @property
    def is_sealed(self) -> bool:
        """Whether it claims to be whole, by its state or by having been made elsewhere."""
        return self.state in {"", State.SEALED}


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a run's commit stands, the pointers in it, and its lineage by these and its tags."""

    standing: CommitStanding
    lineage: Lineage
    at_commit: tuple[Pointer, ...] = ()

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """All that the run needs, by its tags or by its commit; one of each."""
        stated = (*self.lineage.data, *self.lineage.model)
        paths = {pointer.path for pointer in stated}
        return tuple(dict.fromkeys((*stated, *(p for p in self.at_commit if p.path in paths))))


def is_subject(tracked: TrackedRun) -> bool:
    """Whether a run is audited: made by Anchored, or tagged as by it, and no reproduction."""
    tags = tracked.tags
    if REPRODUCES in tags:
        return False
    named = (COMMIT, DATA, MODEL)
    return STATE in tags or any(
        key in named or key.startswith((f"{DATA}/", f"{MODEL}/")) for key in tags
    )


def subject_of(tracked: TrackedRun, environment: bytes | None, *, kind: str, uri: str) -> Subject:
    """The subject that a tracker's run is, with the bytes of its environment record."""
    return Subject(
        run=record_of(tracked, kind=kind, uri=uri),
        state=tracked.tags.get(STATE, ""),
        error=tracked.tags.get(ERROR, ""),
        environment_md5=_md5(environment) if environment is not None else "",
    )


def claims_environment(tracked: TrackedRun) -> bool:
    """Whether a run should have an environment record."""
    return tracked.tags.get(STATE) == State.SEALED or ENVIRONMENT in tracked.tags


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
