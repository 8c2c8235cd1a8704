"""What an audit goes by: what Git, the DVC remote and the tracker were seen to have of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from anchored.decisions.lineage import Lineage
from anchored.decisions.objects import md5_of_bytes
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
    """A run to be audited, as the tracker has it; of one that has a ref alone, nothing but its id.

    `state` is what its tag says, empty for a run that Anchored did not make; `environment_md5` the
    hash of its environment record, empty without one. `absence` says why the tracker does not show
    the run, empty where it does; `twin_of` is the run that its entry in the tracker doubles.
    """

    run: RunRecord
    state: str
    error: str = ""
    environment_md5: str = ""
    absence: str = ""
    twin_of: str = ""

    @property
    def is_ours(self) -> bool:
        return bool(self.state)

    @property
    def is_sealed(self) -> bool:
        """Whether it claims to be complete, by its state or by having been made elsewhere."""
        return self.state in {"", State.SEALED} and not self.twin_of


@dataclass(frozen=True, slots=True)
class Trace:
    """A run as Git has it: where its commit stands, the pointers in it, and its lineage.

    Name and hash of the environment are what the commit records, else what the tags say. Of a run
    that Anchored sealed, `ref_trouble` says what is wrong with its ref, `mismatches` where the
    tracker says otherwise than the commit, and `unreadable` what of the commit cannot be read.
    """

    standing: CommitStanding
    lineage: Lineage
    at_commit: tuple[Pointer, ...] = ()
    name: str = ""
    commit: str = ""
    environment_md5: str = ""
    ref_trouble: str = ""
    mismatches: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

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


def untracked(run_id: str) -> Subject:
    """The subject that a run ref is whose run the tracker does not know."""
    return Subject(
        RunRecord(run_id, name="", experiment=""), State.SEALED, absence="has no such run"
    )


def subject_of(tracked: TrackedRun, environment: bytes | None, *, kind: str, uri: str) -> Subject:
    """The subject that a tracker's run is, with the bytes of its environment record."""
    return Subject(
        run=record_of(tracked, kind=kind, uri=uri),
        state=tracked.tags.get(STATE, ""),
        error=tracked.tags.get(ERROR, ""),
        absence="has deleted the run" if tracked.deleted else "",
        environment_md5=md5_of_bytes(environment) if environment is not None else "",
    )


def claims_environment(tracked: TrackedRun) -> bool:
    """Whether a run should have an environment record."""
    return tracked.tags.get(STATE) == State.SEALED or ENVIRONMENT in tracked.tags
