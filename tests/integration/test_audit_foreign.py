"""`anchored audit` of what others made: runs and remotes that are none of Anchored's own."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from anchored.errors import RemoteFailed
from tests.contract.remotes import left_by_dvc_2, made
from tests.integration.test_audit import FOLDER, found, in_store
from tests.repos import Repo


def foreign_repo(repo: Repo) -> tuple[str, str]:
    """Data and model versioned with DVC alone; the commits with the data, and with both."""
    repo.dvc("add", "--quiet", "data/numbers.csv")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "-m", "Data")
    first = repo.head
    repo.write("models/model.bin", "model\n")
    repo.dvc("add", "--quiet", "models/model.bin")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "-m", "Model")
    repo.dvc("push", "--quiet")
    repo.git("push", "--quiet", "origin", "main")
    return first, repo.head


def md5_of(repo: Repo, path: str) -> str:
    return hashlib.md5((repo.root / path).read_bytes()).hexdigest()


def test_runs_that_anchored_did_not_make(repo: Repo) -> None:
    first, second = foreign_repo(repo)
    data, model = md5_of(repo, "data/numbers.csv"), md5_of(repo, "models/model.bin")
    repo.foreign("plain")
    repo.foreign("early", git_commit=first, dvc_data_md5=data, dvc_model_md5=model)
    repo.foreign("short", git_commit=second[:10], dvc_data_md5=data)
    repo.foreign("both", git_commit=second, dvc_data_md5=data, dvc_model_md5=model)
    assert found(repo) == []
    assert repo.audit().runs == 3
    repo.foreign("other", git_commit=second, dvc_data_md5=data, dvc_model_md5="0" * 32)
    assert found(repo) == [("other", "pointer-mismatch"), ("other", "object-missing")]
    in_store(repo, model).unlink()
    broken = [name for name, problem in found(repo) if problem == "object-missing"]
    assert set(broken) == {"early", "both", "other"}


def test_a_size_that_a_pointer_kept_from_before_is_no_rot(repo: Repo) -> None:
    foreign_repo(repo)
    pointer = repo.root / "models/model.bin.dvc"
    pointer.write_text(pointer.read_text().replace("size: 6", "size: 7"))
    repo.git("commit", "--quiet", "--all", "-m", "Stale")
    repo.git("push", "--quiet", "origin", "main")
    repo.foreign("one", git_commit=repo.head, dvc_model_md5=md5_of(repo, "models/model.bin"))
    assert found(repo) == []


def test_pointers_of_dvc_2_are_looked_up_where_it_kept_its_objects(repo: Repo) -> None:
    file = left_by_dvc_2(repo)
    old = file.parent.name + file.name
    repo.git("add", "--force", "data/numbers.csv.dvc")
    repo.git("commit", "--quiet", "--message", "As DVC 2 left it")
    repo.git("push", "--quiet", "origin", "main")
    repo.foreign("old", git_commit=repo.head, dvc_data_md5=old)
    repo.foreign("lost", git_commit="0" * 40, dvc_data_md5=old)
    assert found(repo, deep=True) == [("lost", "commit-missing")]
    file.write_bytes(b"3\r\n2\r\n")
    assert ("old", "object-corrupt") in found(repo, deep=True)
    file.unlink()
    assert ("old", "object-missing") in found(repo)


def test_a_folder_of_dvc_2(repo: Repo) -> None:
    def stored(content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest()
        file = repo.store / md5[:2] / (md5[2:] + suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return md5 + suffix

    inside = stored(b"text\r\n")
    folder = stored(json.dumps([{"md5": inside, "relpath": "a.csv"}]).encode(), ".dir")
    text = f"outs:\n- md5: {folder}\n  size: 6\n  nfiles: 1\n  path: numbers.csv\n"
    repo.write("data/numbers.csv.dvc", text)
    repo.git("add", "--force", "data/numbers.csv.dvc")
    repo.git("commit", "--quiet", "--message", "As DVC 2 left it")
    repo.git("push", "--quiet", "origin", "main")
    repo.foreign("old", git_commit=repo.head, dvc_data_md5=folder)
    assert found(repo, deep=True) == []
    (repo.store / inside[:2] / inside[2:]).unlink()
    (finding,) = repo.audit().findings
    assert finding.detail == f"data/numbers.csv/a.csv: object {inside} is not in the remote"


def test_a_commit_that_only_a_ref_of_the_remote_leads_to_is_found_there(
    repo: Repo, tmp_path: Path
) -> None:
    other = Repo(tmp_path / "other/work")
    repo.git("clone", "--quiet", str(repo.origin), str(other.root), cwd=tmp_path)
    commits = []
    for name in ("refs/heads/side", "refs/tags/old", "refs/pull/7/head"):
        other.git("checkout", "--quiet", "--detach", "origin/main")
        other.write("notes.txt", name)
        commits.append(other.commit("Notes"))
        other.git("commit", "--quiet", "--allow-empty", "-m", "Above")
        other.git("tag", "-f", "-a", "-m", "Annotated", "above")
        other.git("push", "--quiet", "origin", f"{'above' if 'tags' in name else 'HEAD'}:{name}")
        commits.append(other.head)
    other.git("checkout", "--quiet", "--detach", "origin/main")
    other.git("commit", "--quiet", "--allow-empty", "-m", "Never pushed")
    refs = repo.git("show-ref")
    for commit in (*commits, other.head):
        repo.foreign(commit[:7], git_commit=commit)
    # What only a pull request holds may be a stranger's: no ref of this repository vouches for it.
    strangers = {commit[:7] for commit in (*commits[-2:], other.head)}
    assert sorted(found(repo)) == sorted((name, "commit-missing") for name in strangers)
    assert repo.git("show-ref") == refs


def test_on_s3(repo: Repo, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    remote = made("s3", request, tmp_path)
    remote.use(repo)
    repo.commit("On S3")
    for path in FOLDER:
        repo.write(path, f"{path}\n")
    repo.configure('["data/numbers.csv"]', '["data/numbers.csv", "data/set"]')
    run = repo.run("one")
    assert found(repo, deep=True) == []
    listing = json.loads(remote.read(run.data[1].md5))
    lost, rotten = (entry["md5"] for entry in listing)
    remote.delete(lost)
    remote.write(rotten, bytes(len(remote.read(rotten))))
    remote.write(run.model[0].md5, b"")
    shutil.rmtree(repo.root / ".dvc/cache")
    assert found(repo) == [("one", "object-missing"), ("one", "object-corrupt")]
    assert [problem for _, problem in found(repo, deep=True)] == [
        "object-missing", "object-corrupt", "object-corrupt",
    ]  # fmt: skip
    assert remote.server is not None
    with remote.server.down(), pytest.raises(RemoteFailed):
        repo.audit()
