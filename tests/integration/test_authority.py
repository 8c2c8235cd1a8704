"""Git says what a run was; whoever can write to the tracker changes nothing of it, and is found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from anchored.decisions.audit import Problem
from anchored.errors import GitRemoteFailed, NotReady
from anchored.history.find import found
from anchored.history.trace import resolve_run
from anchored.records import FlowLink, RunRecord, Verdict
from anchored.run import open as open_run
from tests.repos import Repo
from tests.services.prefect_server import PrefectServer

Sealed = tuple[Repo, RunRecord]


def client(repo: Repo) -> MlflowClient:
    return MlflowClient(f"sqlite:///{repo.root}/mlflow.db")


def tampered(repo: Repo, run_id: str, **changes: Any) -> None:
    """Somebody who can write to the tracker changes what it says of the run's details."""
    details = json.loads(repo.tags(run_id)["anchored.record"])
    client(repo).set_tag(run_id, "anchored.record", json.dumps(details | changes))


def problems(repo: Repo) -> set[tuple[str, str]]:
    return {(f.name, str(f.problem)) for f in repo.audit().findings}


def test_the_snapshot_commit_records_the_run_and_no_file_of_the_user_does(repo: Repo) -> None:
    run = repo.run("one", params={"power": 2})
    message = repo.git("show", "--no-patch", "--format=%B", run.git.commit)
    subject, _, rest = message.partition("\n\n")
    assert subject == "Version model of run one"
    body, _, trailer = rest.rpartition("\n\n")
    assert trailer == f"Anchored-Run: {run.run_id}"
    record = json.loads(body)
    assert body == json.dumps(record, indent=1, sort_keys=True), "canonical"
    assert record["run_id"] == run.run_id
    assert record["command"] == "python train.py"
    assert record["params"] == {"power": 2}
    assert record["metrics"] == dict(run.metrics)
    assert record["environment"] == run.environment["md5"]
    assert record["model"] == [pointer.to_json() for pointer in run.model]
    assert record["dvc_remote"] == {"name": "store", "url": str(repo.store)}
    assert {"anchored", "dvc", "mlflow"} <= record["versions"].keys()
    files = repo.git("show", "--name-only", "--format=", run.git.commit).split()
    assert set(files) == {"models/.gitignore", "models/model.bin.dvc"}


def test_two_runs_of_one_result_have_a_record_each(repo: Repo) -> None:
    one, two = repo.run("one"), repo.run("two")
    assert one.git.commit != two.git.commit
    workspace = repo.open()
    for run in (one, two):
        assert resolve_run(workspace, found(workspace, run.name)).run.run_id == run.run_id


def test_a_command_in_the_tracker_is_never_run(sealed: Sealed) -> None:
    repo, one = sealed
    tampered(
        repo, one.run_id, command=f"touch {repo.root}/PWNED; python train.py", params={"power": 3}
    )
    tags = client(repo)
    tags.set_tag(one.run_id, "git_commit", one.git.source_commit)
    tags.log_metric(one.run_id, "total", 7.0)
    reproduction = repo.reproduce("one")
    assert reproduction.verdict == Verdict.IDENTICAL, "what was sealed is what is compared"
    assert not (repo.root / "PWNED").exists()
    assert ("one", "tag-mismatch") in problems(repo)
    details = " ".join(f.detail for f in repo.audit().findings)
    for what in ("command", "git_commit", "param power", "metric total"):
        assert what in details


def test_a_tag_that_names_another_runs_model_neither_restores_nor_promotes_it(
    repo: Repo, tmp_path: Path
) -> None:
    repo.configure(
        "[train.params]", '[retrain]\nmetric = "total"\nregistered_model = "m"\n\n[train.params]'
    )
    one, two = repo.run("one"), repo.run("two", params={"power": 2})
    for key in ("dvc_model_md5", "dvc_model_md5/models/model.bin"):
        client(repo).set_tag(one.run_id, key, two.model[0].md5)
    done = repo.anchored("restore", "one", "--to", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/models/model.bin").read_text() == f"{one.metrics['total']:.0f}\n"
    assert "dvc_model_md5" in done.stderr
    assert repo.promote("one").run_id == one.run_id
    (version,) = client(repo).search_model_versions(f"run_id = '{one.run_id}'")
    assert version.tags["dvc_model_md5"] == one.model[0].md5


def test_the_environment_of_a_run_is_the_one_whose_hash_is_sealed(sealed: Sealed) -> None:
    repo, one = sealed
    folder = Path(client(repo).get_run(one.run_id).info.artifact_uri.removeprefix("file://"))
    document = folder / "anchored/environment.json"
    packages = json.loads(document.read_bytes()) | {"packages": {"evil": "1.0"}}
    document.write_text(json.dumps(packages))
    with pytest.raises(NotReady, match="environment"):
        repo.reproduce("one", environment="recorded")


def legacy(repo: Repo) -> RunRecord:
    """A run as it was sealed before records stood in commits."""
    run = repo.run("one")
    message = f"Version model of run one\n\nAnchored-Run: {run.run_id}"
    tree, parent = f"{run.git.commit}^{{tree}}", run.git.source_commit
    commit = repo.git("commit-tree", tree, "-p", parent, "-m", message)
    repo.git("update-ref", run.git.ref, commit)
    repo.git("push", "--quiet", "--force", "origin", run.git.ref)
    repo.git("reset", "--quiet", "--hard", commit)
    client(repo).set_tag(run.run_id, "git_commit", commit)
    return run.with_(git=replace(run.git, commit=commit))


@pytest.fixture
def old(prepared_by: Callable[..., Sealed]) -> Sealed:
    return prepared_by(legacy)


def test_of_a_run_sealed_before_a_command_that_the_commit_does_not_give_is_refused(
    old: Sealed, prefect_server: PrefectServer
) -> None:
    repo, one = old
    assert repo.reproduce("one").verdict == Verdict.IDENTICAL
    assert problems(repo) == set()
    tampered(repo, one.run_id, command=f"touch {repo.root}/PWNED; python train.py")
    with pytest.raises(NotReady, match="touch") as refused:
        repo.reproduce("one")
    assert "--trust-tracker" in str(refused.value.hint)
    assert not (repo.root / "PWNED").exists()
    done = repo.anchored("reproduce", "one", "--trust-tracker", **prefect_server.env)
    assert done.returncode == 0, done.stderr
    assert (repo.root / "PWNED").exists()


def test_of_a_run_sealed_before_the_audit_says_what_a_restore_goes_by(old: Sealed) -> None:
    repo, one = old
    two = repo.run("two", params={"power": 2})
    for key in ("dvc_model_md5", "dvc_model_md5/models/model.bin"):
        client(repo).set_tag(one.run_id, key, two.model[0].md5)
    client(repo).set_tag(one.run_id, "git_source_commit", two.git.source_commit)
    past = resolve_run(repo.open(), found(repo.open(), one.run_id))
    assert past.lineage.model == one.model, "what the commit under the ref names"
    assert past.mismatches
    said = [(str(f.problem), f.detail) for f in repo.audit().findings]
    assert sorted(said) == sorted(("tag-mismatch", line) for line in past.mismatches)


def gone(repo: Repo) -> None:
    (repo.root / "mlflow.db").unlink()


def renamed(repo: Repo) -> None:
    experiment = client(repo).get_experiment_by_name("sums")
    client(repo).rename_experiment(experiment.experiment_id, "totals")


def configured_otherwise(repo: Repo) -> None:
    repo.configure('experiment = "sums"', 'experiment = "others"')


def deleted(repo: Repo) -> None:
    client(repo).delete_run(repo.runs()[0].run_id)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (gone, {"untracked-run"}),
        (renamed, set()),
        (configured_otherwise, set()),
        (deleted, {"untracked-run"}),
    ],
)
def test_an_audit_starts_from_the_refs(
    sealed: Sealed, harm: Callable[[Repo], None], expected: set[str]
) -> None:
    repo, _ = sealed
    harm(repo)
    audit = repo.audit()
    assert (audit.runs, {str(f.problem) for f in audit.findings}) == (1, expected)
    assert audit.is_clean == (not expected)
    if expected:
        assert audit.findings[0].name == "one", "the commit says what it was called"


def test_a_fresh_clone_without_the_tracker_is_not_clean(
    sealed: Sealed, tmp_path: Path, prefect_server: PrefectServer
) -> None:
    repo, _ = sealed
    clone = Repo(tmp_path / "clone/work")
    repo.git("clone", "--quiet", str(repo.origin), str(clone.root), cwd=tmp_path)
    clone.git("push", "--quiet", "origin", "origin/main:refs/heads/other")
    clone.write(
        ".dvc/config.local",
        f'["remote \\"store\\""]\n    url = {repo.store}\n'.replace('\\"', '"')
        .replace('["', "['")
        .replace('"]', "']"),
    )
    done = clone.anchored("audit", "--json", **prefect_server.env)
    assert done.returncode == 1, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["problem"] == "untracked-run"


def test_a_run_that_says_sealed_without_a_ref_of_its_own(sealed: Sealed) -> None:
    repo, one = sealed
    repo.git("push", "--quiet", "origin", f":{one.git.ref}")
    repo.git("push", "--quiet", "origin", "HEAD:main")
    assert problems(repo) == {("one", "ref-missing")}
    assert Problem.REF_MISSING in {f.problem for f in repo.audit().findings}
    forged = repo.foreign(
        "forged", git_commit=one.git.commit, dvc_model_md5=one.model[0].md5,
        dvc_data_md5=one.data[0].md5, **{"anchored.state": "sealed"},
    )  # fmt: skip
    assert ("forged", "ref-missing") in problems(repo)
    assert resolve_run(repo.open(), found(repo.open(), forged)).is_recorded is False


def test_an_id_that_a_tracker_gives_twice_moves_no_ref(sealed: Sealed) -> None:
    repo, run = sealed
    workspace = repo.open()
    key = open_run.open_run(workspace, open_run.RunRequest(name="two"), FlowLink()).key
    journal = workspace.journal(key)
    theirs, ours = run.git.ref, f"refs/anchored/runs/{journal.run.run_id}"
    repo.git("push", "--quiet", "origin", f"{theirs}:{ours}")
    with pytest.raises(GitRemoteFailed, match="stale info"):
        repo.finish(key)
    assert repo.git("ls-remote", "origin", ours).split()[0] == run.git.commit
    workspace.journals.claim(key)
    workspace.journals.write(journal.at(journal.step, run_id=run.run_id))
    with pytest.raises(NotReady, match="another run's already"):
        repo.finish(key)
    assert repo.git("rev-parse", theirs) == run.git.commit
