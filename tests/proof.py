"""Proof that a run is sealed, with plain git, PyYAML and md5: nothing of Anchored is asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from anchored.records import RunRecord
from tests.repos import Repo, pointers_at


def assert_sealed(repo: Repo, run: RunRecord, *, git_remote: bool = True) -> None:
    """Commit, pointers, objects, ref and tags of a run agree, in the remotes as well as here."""
    tags = repo.tags(run.run_id)
    commit, source = tags["git_commit"], tags["git_source_commit"]
    assert tags["anchored.state"] == "sealed"
    assert tags["mlflow.source.git.commit"] == source
    assert repo.git("cat-file", "-t", commit) == "commit"
    repo.git("merge-base", "--is-ancestor", source, commit)
    ref = f"refs/anchored/runs/{run.run_id}"
    assert repo.git("rev-parse", ref) == commit
    if git_remote:
        assert repo.git("ls-remote", "origin", ref).split()[0] == commit
    pointers = pointers_at(repo, commit)
    for kind in ("dvc_data_md5", "dvc_model_md5"):
        paths = [key.removeprefix(f"{kind}/") for key in tags if key.startswith(f"{kind}/")]
        assert paths, f"no {kind} tags"
        assert tags[kind] in {tags[f"{kind}/{path}"] for path in paths}
    for pointer in (*run.data, *run.model):
        out = pointers[f"{pointer.path}.dvc"]["outs"][0]
        assert (out["md5"], out["size"]) == (pointer.md5, pointer.size)
        assert out["hash"] == "md5"
        assert_stored(repo.store, pointer.md5)
    data_at_source = pointers_at(repo, source)
    for pointer in run.data:
        assert data_at_source[f"{pointer.path}.dvc"]["outs"][0]["md5"] == pointer.md5
    document = json.loads(repo.artifact(run.run_id, "anchored/run.json") or b"{}")
    # The document is of the moment of sealing: verdicts come later, as tags.
    then = run.with_(environment=document["environment"], verdict=None)
    assert document == then.to_json()
    environment = repo.artifact(run.run_id, "anchored/environment.json") or b""
    assert hashlib.md5(environment).hexdigest() == tags["anchored.environment_md5"]


def assert_stored(store: Path, md5: str) -> None:
    """The object, and for a folder every child, lies in the remote and hashes to its name."""
    file = store / "files" / "md5" / md5[:2] / md5[2:]
    content = file.read_bytes()
    assert hashlib.md5(content).hexdigest() == md5.removesuffix(".dir")
    if md5.endswith(".dir"):
        for child in json.loads(content):
            assert_stored(store, child["md5"])
