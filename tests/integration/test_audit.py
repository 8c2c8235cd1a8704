"""`anchored audit`: whatever can rot is harmed here by plain means, and has to be named."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.tracking import MlflowClient

from anchored.audit import runs as steps
from anchored.decisions.audit import Audit, Problem
from anchored.errors import GitRemoteFailed, NotReady, RemoteFailed, RunFailed
from anchored.ports import Silent
from anchored.records import RunRecord
from tests.repos import Repo
from tests.services.prefect_server import PrefectServer

FOLDER = ("data/set/a.csv", "data/set/deep/b.csv")


def found(repo: Repo, *, deep: bool = False) -> list[tuple[str, str]]:
    """Name of the run and problem of every finding."""
    return [(f.name, str(f.problem)) for f in repo.audit(deep=deep).findings]


def in_store(repo: Repo, md5: str) -> Path:
    return repo.store / "files/md5" / md5[:2] / md5[2:]


def overwrite(file: Path, content: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def client(repo: Repo) -> MlflowClient:
    return MlflowClient(f"sqlite:///{repo.root}/mlflow.db")


def folder_run(repo: Repo) -> RunRecord:
    """A sealed run on a file and a folder."""
    for path in FOLDER:
        repo.write(path, f"{path}\n")
    repo.configure('["data/numbers.csv"]', '["data/numbers.csv", "data/set"]')
    return repo.run("one")


def two_runs(repo: Repo) -> tuple[RunRecord, RunRecord]:
    """That run, and one with another model."""
    return folder_run(repo), repo.run("two", params={"power": 2})


Single = tuple[Repo, RunRecord]
Pair = tuple[Repo, tuple[RunRecord, RunRecord]]


@pytest.fixture
def single(prepared_by: Callable[..., Single]) -> Single:
    return prepared_by(folder_run)


@pytest.fixture
def pair(prepared_by: Callable[..., Pair]) -> Pair:
    return prepared_by(two_runs)


def child(repo: Repo, run: RunRecord, path: str) -> str:
    listing = json.loads(in_store(repo, run.data[1].md5).read_text())
    return {entry["relpath"]: str(entry["md5"]) for entry in listing}[path]


def test_what_was_sealed_is_clean_and_the_repo_is_left_alone(pair: Pair) -> None:
    repo, _ = pair
    before, refs = repo.state(), repo.git("show-ref")
    audit = repo.audit(deep=True)
    assert replace(audit, seconds=0.0).to_json() == {
        "runs": 2, "reproducible": 2, "findings": [], "objects": 6, "seconds": 0.0,
    }  # fmt: skip
    assert audit.is_clean
    assert (repo.state(), repo.git("show-ref")) == (before, refs)


@pytest.mark.parametrize("cold", [False, True])
def test_objects_that_the_remote_lost_are_named_for_every_run_that_shared_them(
    pair: Pair, cold: bool
) -> None:
    repo, (one, two) = pair
    lost = {
        f"{one.data[0].path}: ": one.data[0].md5,
        "data/set/deep/b.csv: ": child(repo, one, "deep/b.csv"),
    }
    for md5 in (*lost.values(), two.model[0].md5):
        in_store(repo, md5).unlink()
    if cold:
        shutil.rmtree(repo.root / ".dvc/cache")
    audit = repo.audit()
    assert (audit.runs, audit.reproducible, audit.is_clean) == (2, 0, False)
    assert {f.problem for f in audit.findings} == {Problem.OBJECT_MISSING}
    for run in (one, two):
        details = [f.detail for f in audit.findings if f.run_id == run.run_id]
        for path, md5 in lost.items():
            assert any(d.startswith(path) and md5 in d for d in details), details
        assert any(two.model[0].md5 in d for d in details) == (run is two)


@pytest.mark.parametrize("cold", [False, True])
def test_a_folder_whose_listing_is_gone(single: Single, cold: bool) -> None:
    repo, one = single
    in_store(repo, one.data[1].md5).unlink()
    if cold:
        shutil.rmtree(repo.root / ".dvc/cache")
    (finding,) = repo.audit().findings
    assert finding.problem == Problem.OBJECT_MISSING
    assert finding.detail == f"data/set: object {one.data[1].md5} is not in the remote"


@pytest.mark.parametrize("cold", [False, True])
def test_an_object_of_another_size_is_corrupt(single: Single, cold: bool) -> None:
    repo, one = single
    b, model = child(repo, one, "deep/b.csv"), one.model[0].md5
    for md5 in (b, model):
        overwrite(in_store(repo, md5), b"something else")
    if cold:
        shutil.rmtree(repo.root / ".dvc/cache")
    audit = repo.audit()
    assert {f.problem for f in audit.findings} == {Problem.OBJECT_CORRUPT}
    actual = hashlib.md5(b"something else").hexdigest()
    assert [f.detail for f in audit.findings] == [
        f"data/set/deep/b.csv: object {b} in the remote hashes to {actual}",
        f"models/model.bin: object {model} in the remote hashes to {actual}",
    ]


def test_an_object_of_the_same_size_is_found_by_its_bytes_alone(single: Single) -> None:
    repo, one = single
    file = in_store(repo, child(repo, one, "a.csv"))
    overwrite(file, bytes(len(file.read_bytes())))
    assert found(repo) == []
    assert found(repo, deep=True) == [("one", "object-corrupt")]


def test_a_corrupt_listing_is_found_in_the_cache_and_in_the_remote(single: Single) -> None:
    repo, one = single
    md5 = one.data[1].md5
    cached = repo.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    overwrite(cached, b"[]")
    assert found(repo) == [], "the remote's own is whole"
    overwrite(in_store(repo, md5), b"[]")
    (finding,) = repo.audit().findings
    assert (finding.problem, md5 in finding.detail) == (Problem.OBJECT_CORRUPT, True)


def test_a_corrupt_cache_and_a_stale_size_are_no_rot(single: Single) -> None:
    repo, one = single
    for md5 in (one.model[0].md5, child(repo, one, "a.csv")):
        overwrite(repo.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:], b"spoilt")
    assert found(repo) == []


def test_a_commit_that_only_this_clone_has_is_unreachable(single: Single) -> None:
    repo, one = single
    repo.git("push", "--quiet", "origin", ":" + one.git.ref)
    repo.git("push", "--quiet", "origin", "HEAD:main")
    assert found(repo) == [("one", "ref-missing")], "the branch leads to it"
    squashed = repo.git("commit-tree", "-m", "Squashed", "HEAD^{tree}", "-p", "HEAD~3")
    repo.git("push", "--quiet", "--force", "origin", f"{squashed}:main")
    lost, finding = repo.audit().findings
    assert (lost.problem, "but not on the Git remote" in lost.detail) == (Problem.REF_MISSING, True)
    assert (finding.problem, one.git.commit in finding.detail) == (
        Problem.COMMIT_UNREACHABLE, True,
    )  # fmt: skip


def test_a_commit_that_is_nowhere_is_missing_and_its_objects_are_looked_for(single: Single) -> None:
    repo, one = single
    repo.git("push", "--quiet", "origin", ":" + one.git.ref)
    repo.git("reset", "--quiet", "--hard", "HEAD~2")
    repo.git("update-ref", "-d", one.git.ref)
    repo.git("reflog", "expire", "--expire=now", "--all")
    for place in (repo.root, repo.origin):
        repo.git("gc", "--quiet", "--prune=now", cwd=place)
    in_store(repo, one.model[0].md5).unlink()
    assert found(repo) == [
        ("one", "ref-missing"), ("one", "commit-missing"), ("one", "object-missing"),
    ]  # fmt: skip


def test_a_fresh_clone_sees_all_and_keeps_its_refs(pair: Pair, tmp_path: Path) -> None:
    repo, (one, _) = pair
    main = repo.git("rev-parse", "origin/main")
    clone = Repo(tmp_path / "clone/work")
    repo.git("clone", "--quiet", str(repo.origin), str(clone.root), cwd=tmp_path)
    shutil.copy(repo.root / "mlflow.db", clone.root)
    subprocess.run(["git", "config", "remote.origin.url"], cwd=clone.root, check=True)
    shutil.copytree(repo.store, clone.store)
    repo.git("push", "--quiet", "origin", "HEAD:main")
    refs = clone.git("show-ref")
    assert main in refs
    audit = clone.audit()
    assert (audit.runs, audit.findings) == (2, ())
    assert clone.git("show-ref") == refs
    repo.git("push", "--quiet", "origin", ":" + one.git.ref)
    shallow = Repo(tmp_path / "shallow/work")
    url = f"file://{repo.origin}"
    repo.git("clone", "--quiet", "--depth=1", url, str(shallow.root), cwd=tmp_path)
    shutil.copy(repo.root / "mlflow.db", shallow.root)
    shutil.copytree(repo.store, shallow.store)
    between = Repo(tmp_path / "between/work")
    repo.git("clone", "--quiet", "--depth=1", url, str(between.root), cwd=tmp_path)
    shallow.git("remote", "set-url", "origin", between.root.as_uri())
    with pytest.raises(NotReady, match="shallow, and so is the Git remote"):
        shallow.audit()
    shallow.git("remote", "set-url", "origin", url)
    refs = shallow.git("show-ref")
    assert found(shallow) == [("one", "ref-missing")], "its commit was found in the history"
    assert shallow.git("show-ref") == refs


def test_without_a_git_remote_local_refs_count(repo: Repo) -> None:
    repo.git("remote", "remove", "origin")
    run = repo.run("one")
    assert found(repo) == []
    repo.git("reset", "--quiet", "--hard", "HEAD~2")
    repo.git("update-ref", "-d", run.git.ref)
    assert found(repo) == [("one", "ref-missing"), ("one", "commit-unreachable")]


def test_tags_that_were_tampered_with_do_not_match_the_commit(pair: Pair) -> None:
    repo, (one, other) = pair
    mismatch = [("one", "tag-mismatch")]
    client(repo).set_tag(one.run_id, "dvc_model_md5/models/model.bin", other.model[0].md5)
    assert found(repo) == mismatch
    client(repo).set_tag(one.run_id, "dvc_model_md5/models/model.bin", one.model[0].md5)
    assert found(repo) == []
    client(repo).set_tag(one.run_id, "dvc_data_md5", "../../../../etc/passwd")
    assert found(repo) == mismatch
    client(repo).set_tag(one.run_id, "dvc_data_md5", one.data[0].md5)
    client(repo).set_tag(one.run_id, "git_commit", "--upload-pack=touch /tmp/x")
    assert found(repo) == mismatch
    client(repo).set_tag(one.run_id, "anchored.record", "")  # as where it is too long for a tag
    client(repo).set_tag(one.run_id, "git_commit", one.git.commit)
    assert found(repo) == []
    client(repo).set_tag(one.run_id, "git_commit", one.git.source_commit)
    assert found(repo) == mismatch


def test_the_tags_of_an_external_run_are_all_that_says_what_it_was(single: Single) -> None:
    repo, one = single
    commit, data = one.git.commit, one.data[0].md5
    repo.foreign("model", git_commit=commit, dvc_data_md5=data, dvc_model_md5="0" * 32)
    repo.foreign("path", git_commit=commit, dvc_data_md5="../../../../etc/passwd")
    repo.foreign("commit", git_commit="--upload-pack=touch /tmp/x", dvc_data_md5=data)
    assert sorted(found(repo)) == [
        ("commit", "commit-missing"),
        ("model", "object-missing"),
        ("model", "pointer-mismatch"),
        ("path", "pointer-mismatch"),
    ]


def test_the_environment_record_has_to_be_there_and_the_same(single: Single) -> None:
    repo, one = single
    folder = Path(client(repo).get_run(one.run_id).info.artifact_uri.removeprefix("file://"))
    record = folder / "anchored/environment.json"
    text = record.read_bytes()
    record.write_bytes(text + b" ")
    assert found(repo) == [("one", "environment-missing")]
    record.unlink()
    assert found(repo) == [("one", "environment-missing")]
    record.write_bytes(text)
    assert found(repo) == []
    client(repo).delete_tag(one.run_id, "anchored.environment_md5")
    assert found(repo) == [], "the commit has the hash"


def test_runs_that_never_were_whole_are_told_apart_and_reproductions_left_out(pair: Pair) -> None:
    repo, (one, two) = pair
    client(repo).set_tag(two.run_id, "anchored.state", "trained")
    repo.foreign("again", **{"anchored.state": "trained", "anchored.reproduces": one.run_id})
    repo.script("raise SystemExit(3)\n")
    with pytest.raises(RunFailed):
        repo.run("bad")
    audit = repo.audit()
    assert (audit.runs, audit.reproducible, audit.is_clean) == (3, 1, True)
    said = {f.name: (f.problem, f.detail) for f in audit.findings}
    assert said["two"] == (Problem.UNSEALED, "the run is trained")
    problem, detail = said["bad"]
    assert problem == Problem.UNSEALED
    assert detail.startswith("the run is failed: ")


def test_services_that_do_not_answer_are_no_findings(single: Single) -> None:
    repo, _ = single
    repo.store.rename(repo.store.with_name("elsewhere"))
    with pytest.raises(RemoteFailed, match="does not exist"):
        repo.audit()
    repo.store.with_name("elsewhere").rename(repo.store)
    repo.origin.rename(repo.origin.with_name("gone.git"))
    with pytest.raises(GitRemoteFailed):
        repo.audit()


def test_the_command_and_its_flow(single: Single, prefect_server: PrefectServer) -> None:
    repo, one = single
    clean = repo.anchored("audit", "--deep", **prefect_server.env)
    assert clean.returncode == 0, clean.stderr
    assert clean.stdout.startswith("the one run can be reproduced (5 objects, ")
    assert clean.stdout.count("\n") == 1
    assert "ask dvc remote" in clean.stderr
    in_store(repo, one.model[0].md5).unlink()
    asked = datetime.now(UTC).isoformat()
    rotten = repo.anchored("audit", "--json", **prefect_server.env)
    assert rotten.returncode == 1, rotten.stderr
    document = json.loads(rotten.stdout)
    assert document.keys() == {"runs", "reproducible", "findings", "objects", "seconds"}
    (finding,) = document["findings"]
    assert finding == {
        "run_id": one.run_id,
        "name": "one",
        "problem": "object-missing",
        "detail": f"models/model.bin: object {one.model[0].md5} is not in the remote",
    }

    def api(path: str, **body: Any) -> Any:
        answer = httpx.post(f"{prefect_server.api_url}/{path}", json=body, timeout=30)
        return answer.raise_for_status().json()

    begun = {"name": {"any_": ["audit sums"]}, "start_time": {"after_": asked}}
    (flow_run,) = api("flow_runs/filter", flow_runs=begun)
    assert flow_run["state_type"] == "FAILED"
    said = flow_run["state"]["message"]
    assert (
        "1 of 1 runs are not as they were sealed (1 object-missing)\nhint: `anchored audit`" in said
    )
    ours = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    artifacts = {a["type"]: a for a in api("artifacts/filter", **ours)}
    assert finding["detail"] in artifacts["table"]["data"]
    assert "**0 of 1 runs**" in artifacts["markdown"]["data"]
    logs = api("logs/filter", logs={"flow_run_id": {"any_": [flow_run["id"]]}})
    assert any(finding["detail"] in entry["message"] for entry in logs)
    steps_run = {step["name"]: step for step in api("task_runs/filter", **ours)}
    assert set(steps_run) == {
        "ask git remote", "ask tracker", "trace runs in git", "ask dvc remote", "judge",
    }  # fmt: skip
    assert steps_run["trace runs in git"]["task_inputs"]["subjects"]

    told = repo.anchored("audit", **prefect_server.env)
    assert told.returncode == 1
    assert finding["detail"] in told.stdout
    assert "0 of 1 runs can be reproduced, 1 broken" in told.stdout
    repo.origin.rename(repo.origin.with_name("gone.git"))
    silent = repo.anchored("audit", "--json", **prefect_server.env)
    assert (silent.returncode, silent.stdout) == (3, "")
    assert "give the command again" in silent.stderr


def test_nothing_to_audit(repo: Repo) -> None:
    assert replace(repo.audit(), seconds=0.0) == Audit(runs=0, reproducible=0)


def test_hashing_tells_how_far_it_is(single: Single) -> None:
    repo, _ = single
    told: list[tuple[int, int, str]] = []

    class Watching(Silent):
        def progress(self, _: str, done: int, total: int, *, unit: str = "") -> None:
            told.append((done, total, unit))

    workspace = repo.open(Watching())
    refs = steps.refs(workspace)
    traces = steps.traces(workspace, steps.subjects(workspace, refs), refs)
    held = steps.holdings(workspace, traces)
    (batch,) = steps.batches(held, deep=True)
    assert steps.find_corrupt(workspace, batch) == {}
    assert told[-1] == (sum(held.sizes.values()), sum(held.sizes.values()), "B")
