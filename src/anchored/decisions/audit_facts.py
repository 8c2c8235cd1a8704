"""What an audit goes by: what Git, the DVC remote and the tracker were seen to have of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from anchored.decisions.decoding import json_value
from anchored.decisions.lineage import Lineage
from anchored.decisions.objects import md5_of_bytes
from anchored.decisions.pointers import pointer_path
from anchored.decisions.tags import (
    COMMIT,
    DATA,
    ENVIRONMENT,
    ERROR,
    MODEL,
    RECORD,
    REPRODUCES,
    STATE,
    record_of,
    unreadable_details,
)
from anchored.records import (
    ENVIRONMENT_DOCUMENT,
    CommitStanding,
    Environment,
    Pointer,
    RunRecord,
    State,
    TrackedRun,
)


class ObjectName(NamedTuple):
    """An object in cache or remote: the kind of its hash, and the hash."""

    hash_name: str
    oid: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a DVC remote was seen to hold of the objects that pointers need.

    `sizes` has every object that is there, in bytes; `folders` the object by path of every folder
    whose listing could be read; `corrupt` what the bytes of an object hash to instead; `unreadable`
    why a listing whose hash is right is none. `suspects` have another size than is known of them:
    their bytes have to be hashed. `hash_names` tells the kind of hash of an object whose pointer
    does not.
    """

    sizes: Mapping[ObjectName, int] = field(default_factory=dict)
    missing: Collection[ObjectName] = frozenset()
    corrupt: Mapping[ObjectName, str] = field(default_factory=dict)
    unreadable: Mapping[ObjectName, str] = field(default_factory=dict)
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
    hash of its environment record, empty without one; `unreadable` says what of its record in the
    tracker cannot be read. `absence` says why the tracker does not show the run, empty where it
    does; `twin_of` is the run that its entry in the tracker doubles.
    """

    run: RunRecord
    state: str
    error: str = ""
    environment_md5: str = ""
    unreadable: tuple[str, ...] = ()
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
    """A run as Git has it: whether its commit is reachable, the pointers in it, and its lineage.

    Name and hash of the environment are what the commit records, else what the tags say. Of a run
    that Anchored sealed, `ref_trouble` says what is wrong with its ref, and `mismatches` where the
    tracker says otherwise than the commit. `record_trouble` says why the commit's record cannot be
    read, `unreadable` by file why pointers cannot.
    """

    standing: CommitStanding
    lineage: Lineage
    at_commit: tuple[Pointer, ...] = ()
    name: str = ""
    commit: str = ""
    environment_md5: str = ""
    ref_trouble: str = ""
    mismatches: tuple[str, ...] = ()
    record_trouble: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_unreadable(self) -> tuple[str, ...]:
        """What of the run's commit cannot be read, in words."""
        return (*filter(None, (self.record_trouble,)), *self.unreadable_pointers.values())

    @property
    def unreadable_pointers(self) -> dict[str, str]:
        """By path of an output of this run, why its pointer cannot be read.

        What else a commit has in its `.dvc` files is not the run's.
        """
        paths = (pointer.path for pointer in (*self.lineage.data, *self.lineage.model))
        return {p: self.unreadable[f] for p in paths if (f := pointer_path(p)) in self.unreadable}

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
    details = unreadable_details(tracked.tags)
    return Subject(
        run=record_of(tracked, kind=kind, uri=uri),
        state=tracked.tags.get(STATE, ""),
        error=tracked.tags.get(ERROR, ""),
        absence="has deleted the run" if tracked.deleted else "",
        environment_md5=md5_of_bytes(environment) if environment is not None else "",
        unreadable=(
            *((f"the tag {RECORD}: {details}",) if details else ()),
            *((f"{ENVIRONMENT_DOCUMENT}: {why}",) if (why := unreadable(environment)) else ()),
        ),
    )


def unreadable(environment: bytes | None) -> str:
    """Why an environment record cannot be read; empty where it can, or is not there."""
    return _unreadable(environment) if environment is not None else ""


@lru_cache(maxsize=64)  # most runs were made in an environment that others were made in, too
def _unreadable(environment: bytes) -> str:
    try:
        Environment.from_json(json_value(environment))
    except ValueError as error:
        return str(error)
    return ""


def claims_environment(tracked: TrackedRun) -> bool:
    """Whether a run should have an environment record."""
    return tracked.tags.get(STATE) == State.SEALED or ENVIRONMENT in tracked.tags
