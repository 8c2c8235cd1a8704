"""What an audit finds, of each run, by what Git, the DVC remote and the tracker were seen to have.

A finding is rot, but for `unsealed`: a run that failed or was interrupted never was reproducible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import chain, groupby
from typing import Any

from anchored.decisions.audit_facts import Holdings, ObjectName, Subject, Trace
from anchored.decisions.naming import run_ref
from anchored.decisions.tags import ENVIRONMENT
from anchored.display import html
from anchored.errors import AnchoredError
from anchored.records import ENVIRONMENT_DOCUMENT, CommitStanding, Pointer

CHILDREN_NAMED = 100  # of one folder and one run; how many more there are is said


class Problem(StrEnum):
    """What can be wrong with a run."""

    COMMIT_MISSING = "commit-missing"
    COMMIT_UNREACHABLE = "commit-unreachable"
    POINTER_MISMATCH = "pointer-mismatch"
    OBJECT_MISSING = "object-missing"
    OBJECT_CORRUPT = "object-corrupt"
    ENVIRONMENT_MISSING = "environment-missing"
    UNSEALED = "unsealed"
    TAG_MISMATCH = "tag-mismatch"  # the tracker says otherwise than the run's commit
    UNTRACKED_RUN = "untracked-run"  # a run ref whose run the tracker does not show
    REF_MISSING = "ref-missing"
    RECORD_UNREADABLE = "record-unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one run; `detail` names path and object."""

    run_id: str
    name: str
    problem: Problem
    detail: str

    def to_json(self) -> dict[str, str]:
        return {**asdict(self), "problem": str(self.problem)}


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit came to: `anchored audit --json`. `objects` counts distinct ones."""

    runs: int
    reproducible: int
    findings: tuple[Finding, ...] = ()
    objects: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing that was sealed has rotted since."""
        return all(finding.problem == Problem.UNSEALED for finding in self.findings)

    def raise_for_losses(self) -> None:
        """Raises `RunsLost` where a run that was sealed is lost."""
        if not self.is_clean:
            raise RunsLost(self)

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": self.runs,
            "reproducible": self.reproducible,
            "findings": [finding.to_json() for finding in self.findings],
            "objects": self.objects,
            "seconds": round(self.seconds, 3),
        }

    def _repr_html_(self) -> str:
        title = f"{self.reproducible:,} of {self.runs:,} runs can be reproduced"
        rows = [(f.name, f.run_id[:8], f.problem, f.detail) for f in self.findings]
        return html.table(title, rows, ("run", "id", "problem", "detail") if rows else ())


class RunsLost(AnchoredError):
    """An audit found rot; `audit` has the findings."""

    def __init__(self, audit: Audit) -> None:
        rotten = [f for f in audit.findings if f.problem != Problem.UNSEALED]
        lost = len({finding.run_id for finding in rotten})
        counts = Counter(str(finding.problem) for finding in rotten)
        problems = ", ".join(f"{count:,} {problem}" for problem, count in sorted(counts.items()))
        super().__init__(
            f"{lost:,} of {audit.runs:,} runs are not as they were sealed ({problems})",
            hint="`anchored audit` lists what is wrong; what another clone or cache still has can "
            "be pushed again from there (`git push`, `dvc push`)",
        )
        self.audit = audit


def audit_of(
    subjects: Sequence[Subject],
    traces: Mapping[str, Trace],
    holdings: Holdings,
    hashed: Mapping[ObjectName, str],
) -> Audit:
    """The audit of these runs; `traces` are by run id, `hashed` what was hashed and is corrupt.

    The value of `hashed` is what the bytes hash to; empty where the object is gone.
    """
    judge = Judge(holdings, hashed)
    findings = tuple(finding for subject in subjects for finding in judge.findings(subject, traces))
    broken = {finding.run_id for finding in findings}
    return Audit(
        runs=len(subjects),
        reproducible=len(subjects) - len(broken),
        findings=findings,
        objects=holdings.count,
    )


class Judge:
    """Findings on runs; what is wrong with a folder is worked out once, however many share it."""

    def __init__(self, holdings: Holdings, hashed: Mapping[ObjectName, str]) -> None:
        self._holdings = holdings
        self._missing = {*holdings.missing, *(name for name, md5 in hashed.items() if not md5)}
        self._corrupt = {**holdings.corrupt, **{name: md5 for name, md5 in hashed.items() if md5}}
        self._of_folder: dict[ObjectName, tuple[tuple[Problem, str, str], ...]] = {}

    def findings(self, subject: Subject, traces: Mapping[str, Trace]) -> Iterator[Finding]:
        """All that is wrong with one run."""
        run, trace = subject.run, traces.get(subject.run.run_id)
        name = run.name or (trace.name if trace else "")
        found = chain(_of_tracker(subject), self._rot(subject, trace) if trace else ())
        return (Finding(run.run_id, name, problem, detail) for problem, detail in found)

    def _rot(self, subject: Subject, trace: Trace) -> Iterator[tuple[Problem, str]]:
        if trace.ref_trouble:
            yield Problem.REF_MISSING, trace.ref_trouble
        for said in trace.mismatches:
            yield Problem.TAG_MISMATCH, said
        for said in (*subject.unreadable, *trace.all_unreadable):
            yield Problem.RECORD_UNREADABLE, said
        yield from _of_commit(trace)
        yield from _of_pointers(subject, trace)
        for pointer in trace.pointers:
            yield from self._of_object(pointer)
        yield from _of_environment(subject, trace)

    def _of_object(self, pointer: Pointer) -> Iterator[tuple[Problem, str]]:
        name = self._holdings.name_of(pointer)
        if (problem := self._problem(name)) is not None:
            yield problem, f"{pointer.path}: {self._said(name)}"
        if name in self._holdings.unreadable:
            why = self._holdings.unreadable[name]
            yield Problem.RECORD_UNREADABLE, f"{pointer.path}: the listing {name.oid}: {why}"
        if name not in self._of_folder:
            self._of_folder[name] = tuple(self._of_children(name))
        for kind, found in groupby(self._of_folder[name], key=lambda child: child[0]):
            children = list(found)
            for _, path, said in children[:CHILDREN_NAMED]:
                yield kind, f"{pointer.path}/{path}: {said}"
            if (more := len(children) - CHILDREN_NAMED) > 0:
                yield kind, f"{pointer.path}: and {more:,} more objects of this folder"

    def _of_children(self, folder: ObjectName) -> Iterator[tuple[Problem, str, str]]:
        """Problem, path and words for each file of a folder, like problems together."""
        if not self._missing and not self._corrupt:
            return
        listing = self._holdings.folders.get(folder, {})
        children = [(path, ObjectName(folder.hash_name, oid)) for path, oid in listing.items()]
        for wanted in (Problem.OBJECT_MISSING, Problem.OBJECT_CORRUPT):
            for path, name in children:
                if self._problem(name) == wanted:
                    yield wanted, path, self._said(name)

    def _problem(self, name: ObjectName) -> Problem | None:
        if name in self._missing:
            return Problem.OBJECT_MISSING
        return Problem.OBJECT_CORRUPT if name in self._corrupt else None

    def _said(self, name: ObjectName) -> str:
        if name in self._missing:
            return f"object {name.oid} is not in the remote"
        return f"object {name.oid} in the remote hashes to {self._corrupt[name]}"


def _of_tracker(subject: Subject) -> Iterator[tuple[Problem, str]]:
    run = subject.run
    if subject.absence:
        yield (
            Problem.UNTRACKED_RUN,
            f"{run_ref(run.run_id)} is there, the tracker {subject.absence}",
        )
    elif subject.twin_of:
        said = f"a second entry of run {subject.twin_of}: `anchored resume` closes it"
        yield Problem.TAG_MISMATCH, said
    elif not subject.is_sealed:
        yield Problem.UNSEALED, _said_of_state(subject)


def _said_of_state(subject: Subject) -> str:
    error = " ".join(subject.error.split())
    return f"the run is {subject.state}{f': {error}' if error else ''}"


def _of_commit(trace: Trace) -> Iterator[tuple[Problem, str]]:
    commit = trace.commit
    if not commit:
        yield Problem.COMMIT_MISSING, "no tag of the run names its commit"
    elif trace.standing == CommitStanding.MISSING:
        yield Problem.COMMIT_MISSING, f"{commit} is neither here nor under a ref of the Git remote"
    elif trace.standing == CommitStanding.UNREACHABLE:
        yield Problem.COMMIT_UNREACHABLE, f"{commit} is here, but under no ref of the Git remote"


def _of_pointers(subject: Subject, trace: Trace) -> Iterator[tuple[Problem, str]]:
    for difference in trace.lineage.differences:
        yield Problem.POINTER_MISMATCH, difference
    if not subject.is_ours or trace.standing == CommitStanding.MISSING:
        # Whoever took the commit down before versioning the model has no pointer there.
        return
    if not trace.lineage.model:
        yield Problem.POINTER_MISMATCH, "the run names no model"
    there = {pointer.path for pointer in trace.at_commit}
    for pointer in dict.fromkeys((*trace.lineage.data, *trace.lineage.model)):
        if pointer.path not in there and pointer.path not in trace.unreadable_pointers:
            said = f"the run names {pointer.md5}, its commit has no pointer for it"
            yield Problem.POINTER_MISMATCH, f"{pointer.path}: {said}"


def _of_environment(subject: Subject, trace: Trace) -> Iterator[tuple[Problem, str]]:
    recorded = trace.environment_md5
    if subject.absence:
        return  # the record is where the run is
    if not recorded:
        if subject.is_ours:
            yield Problem.ENVIRONMENT_MISSING, f"the run has no tag {ENVIRONMENT}"
    elif not subject.environment_md5:
        yield Problem.ENVIRONMENT_MISSING, f"the run has no artifact {ENVIRONMENT_DOCUMENT}"
    elif subject.environment_md5 != recorded:
        said = f"hashes to {subject.environment_md5}, the run names {recorded}"
        yield Problem.ENVIRONMENT_MISSING, f"{ENVIRONMENT_DOCUMENT} {said}"
