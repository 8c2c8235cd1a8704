"""Facts to findings: what is wrong with a run, by what was seen of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from anchored.decisions.audit import CHILDREN_NAMED, Audit, Finding, Problem, audit_of
from anchored.decisions.audit_facts import (
    Holdings,
    ObjectName,
    Subject,
    Trace,
    is_subject,
    subject_of,
    untracked,
)
from anchored.decisions.lineage import lineage_of
from anchored.decisions.tags import render_tags
from anchored.records import CommitStanding, GitFacts, Pointer, RunRecord, State, TrackedRun
from tasks.presenting_audit import summary

COMMIT, MD5 = "c" * 40, "e" * 32


def oid(n: int) -> str:
    return f"{n:032x}"


DATA = Pointer("data", f"{oid(1)}.dir", size=3, nfiles=3)
MODEL = Pointer("model.bin", oid(2), size=9)
FOLDER, CHILDREN = ObjectName("md5", DATA.md5), {"a": oid(11), "b/c": oid(12), "d": oid(11)}
RUN = RunRecord(
    run_id="r1", name="one", experiment="e", state=State.SEALED, git=GitFacts(commit=COMMIT),
    data=(DATA,), model=(MODEL,), environment={"md5": MD5},
)  # fmt: skip
SUBJECT = Subject(run=RUN, state="sealed", environment_md5=MD5)
ALL = [FOLDER, *(ObjectName("md5", o) for o in (oid(2), oid(11), oid(12)))]
HELD = Holdings(sizes=dict.fromkeys(ALL, 1), folders={FOLDER: CHILDREN})


def trace(run: RunRecord = RUN, at_commit: tuple[Pointer, ...] = (DATA, MODEL)) -> Trace:
    lineage = lineage_of(run, at_commit, inputs=["data"], model="model.bin")
    md5 = str(run.environment.get("md5", ""))
    return Trace(
        CommitStanding.REACHABLE, lineage, at_commit, commit=run.git.commit, environment_md5=md5
    )


def without(*oids: str) -> Holdings:
    gone = {name for name in ALL if name.oid in oids}
    sizes = {name: 1 for name in ALL if name not in gone}
    return replace(HELD, sizes=sizes, missing=gone)


def found(
    subject: Subject = SUBJECT,
    traced: Trace | None = None,
    held: Holdings = HELD,
    hashed: dict[ObjectName, str] | None = None,
) -> list[tuple[str, str]]:
    traces = {subject.run.run_id: traced or trace(subject.run)}
    audit = audit_of([subject], traces, held, hashed or {})
    assert audit.reproducible == (0 if audit.findings else 1)
    return [(str(finding.problem), finding.detail) for finding in audit.findings]


def test_a_whole_run_has_no_findings() -> None:
    assert found() == []
    assert audit_of([SUBJECT], {"r1": trace()}, HELD, {}) == Audit(1, 1, objects=4)


def test_objects_are_named_by_the_path_that_lacks_them() -> None:
    assert found(held=without(oid(2), oid(11))) == [
        ("object-missing", f"data/a: object {oid(11)} is not in the remote"),
        ("object-missing", f"data/d: object {oid(11)} is not in the remote"),
        ("object-missing", f"model.bin: object {oid(2)} is not in the remote"),
    ]
    corrupt = {ObjectName("md5", oid(12)): MD5, ObjectName("md5", oid(2)): ""}
    assert found(hashed=corrupt) == [
        ("object-corrupt", f"data/b/c: object {oid(12)} in the remote hashes to {MD5}"),
        ("object-missing", f"model.bin: object {oid(2)} is not in the remote"),
    ]


def test_a_listing_that_is_gone_or_corrupt_is_named_by_the_folder() -> None:
    gone = replace(without(DATA.md5), folders={})
    assert found(held=gone) == [("object-missing", f"data: object {DATA.md5} is not in the remote")]
    corrupt = replace(HELD, folders={}, corrupt={FOLDER: MD5})
    assert [problem for problem, _ in found(held=corrupt)] == ["object-corrupt"]


def test_the_children_of_a_lost_folder_are_counted_where_they_are_too_many() -> None:
    children = {f"f{n}": oid(n) for n in range(100, 100 + 3 * CHILDREN_NAMED)}
    gone = frozenset(ObjectName("md5", md5) for md5 in children.values())
    held = replace(HELD, folders={FOLDER: children}, missing=gone)
    said = found(held=held)
    assert len(said) == CHILDREN_NAMED + 1
    assert said[-1] == ("object-missing", "data: and 200 more objects of this folder")


@pytest.mark.parametrize(("standing", "problem"), [
    (CommitStanding.MISSING, "commit-missing"),
    (CommitStanding.UNREACHABLE, "commit-unreachable"),
])  # fmt: skip
def test_where_the_commit_stands(standing: CommitStanding, problem: str) -> None:
    ((said, detail),) = found(traced=replace(trace(), standing=standing))
    assert (said, COMMIT in detail) == (problem, True)
    unnamed = replace(SUBJECT, run=RUN.with_(git=GitFacts()))
    assert found(unnamed)[0][0] == "commit-missing"


def test_what_git_and_the_tracker_say_otherwise() -> None:
    said = replace(trace(), mismatches=("git_commit is 1, 2",), record_trouble="broken")
    assert found(traced=replace(said, ref_trouble="not there")) == [
        ("ref-missing", "not there"),
        ("tag-mismatch", "git_commit is 1, 2"),
        ("record-unreadable", "broken"),
    ]
    lost = replace(trace(), name="as sealed")
    audit = audit_of([untracked("r9")], {"r9": lost}, HELD, {})
    (finding,) = audit.findings
    assert (finding.name, finding.problem) == ("as sealed", Problem.UNTRACKED_RUN)
    assert not audit.is_clean
    twin = replace(SUBJECT, state="running", twin_of="r0")
    assert [problem for problem, _ in found(twin)] == ["tag-mismatch"]


def test_pointers_have_to_say_what_the_tags_say() -> None:
    other = replace(MODEL, md5=oid(3))
    ((problem, detail), *_) = found(traced=trace(at_commit=(DATA, other)))
    assert problem == "pointer-mismatch"
    assert all(text in detail for text in (MODEL.path, MODEL.md5, other.md5))
    ((problem, detail),) = found(traced=trace(at_commit=(DATA,)))
    assert (problem, detail.split(":")[0]) == ("pointer-mismatch", "model.bin")
    bare = replace(SUBJECT, run=RUN.with_(model=()))
    assert ("pointer-mismatch", "the run names no model") in found(bare)


def test_what_a_differing_pointer_names_is_needed_too() -> None:
    other = replace(MODEL, md5=oid(3))
    held = replace(HELD, missing={ObjectName("md5", oid(3))})
    problems = [problem for problem, _ in found(traced=trace(at_commit=(DATA, other)), held=held)]
    assert problems == ["pointer-mismatch", "object-missing"]


def test_a_foreign_run_may_lack_the_models_pointer_and_the_environment() -> None:
    foreign = Subject(run=RUN.with_(environment={}), state="")
    assert found(foreign, trace(foreign.run, at_commit=(DATA,))) == []
    legacy = ObjectName("md5-dos2unix", oid(2))
    held = replace(HELD, hash_names={oid(2): "md5-dos2unix"}, missing={legacy})
    bare = RUN.with_(model=(replace(MODEL, size=0),), environment={})
    subject = Subject(run=bare, state="")
    assert [p for p, _ in found(subject, trace(bare, (DATA,)), held)] == ["object-missing"]
    claiming = Subject(run=RUN, state="")
    assert [p for p, _ in found(claiming)] == ["environment-missing"]


@pytest.mark.parametrize(("claimed", "there"), [("", MD5), (MD5, ""), (MD5, "f" * 32)])
def test_a_sealed_run_has_its_environment_record(claimed: str, there: str) -> None:
    run = RUN.with_(environment={"md5": claimed} if claimed else {})
    said = found(replace(SUBJECT, run=run, environment_md5=there))
    assert [problem for problem, _ in said] == ["environment-missing"]


@pytest.mark.parametrize("state", ["failed", "running", "trained", "weird"])
def test_an_unsealed_run_is_no_rot(state: str) -> None:
    audit = audit_of([Subject(RUN, state, error="it\nbroke")], {}, Holdings(), {})
    (finding,) = audit.findings
    assert (finding.problem, finding.detail) == (
        Problem.UNSEALED, f"the run is {state}: it broke",
    )  # fmt: skip
    assert (audit.is_clean, audit.reproducible) == (True, 0)
    rot = Finding("r2", "two", Problem.OBJECT_MISSING, "x")
    assert not replace(audit, findings=(finding, rot)).is_clean


def tracked(**tags: str) -> TrackedRun:
    named = {key.replace("__", "."): value for key, value in tags.items()}
    return TrackedRun("r1", "one", "e", named, {}, {}, url="")


def test_who_is_audited() -> None:
    assert is_subject(tracked(anchored__state="running"))
    assert is_subject(tracked(git_commit="x"))
    assert is_subject(TrackedRun("r", "n", "e", {"dvc_data_md5/a": "x"}, {}, {}, url=""))
    assert not is_subject(tracked(mlflow__user="x"))
    assert not is_subject(tracked(anchored__state="sealed", anchored__reproduces="r0"))
    made = TrackedRun("r1", "one", "e", render_tags(RUN), {}, {}, url="")
    subject = subject_of(made, b"x", kind="mlflow", uri="")
    assert (subject.is_ours, subject.is_sealed) == (True, True)
    assert subject.environment_md5 == hashlib.md5(b"x").hexdigest()
    assert subject_of(tracked(git_commit="x"), None, kind="mlflow", uri="").is_sealed


def test_the_summary_counts_problems() -> None:
    findings = tuple(
        Finding("r", "n", problem, "") for problem in (*[Problem.OBJECT_MISSING] * 2, "unsealed")
    )
    lines = summary(Audit(4, 2, findings, 10, 1.234)).splitlines()
    assert lines == [
        "**2 of 4 runs** can be reproduced; 10 objects looked at in 1.2 s.",
        "- object-missing: 2",
        "- unsealed: 1",
    ]
