"""The real W&B client is content with the stand-in: artifacts, their aliases, and the registry."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.errors import CommError

from tests.contract.wandb_client import Client

REGISTRY = "wandb-registry-model"


def model(folder: Path, content: str, **metadata: Any) -> wandb.Artifact:
    file = folder / "model.bin"
    file.write_text(content)
    artifact = wandb.Artifact("m", type="model", metadata=metadata)
    artifact.add_file(str(file))
    return artifact


def data(folder: Path, content: str) -> wandb.Artifact:
    """A folder with one file that never changes and one that holds `content`."""
    (folder / "data/deep").mkdir(parents=True, exist_ok=True)
    (folder / "data/deep/same.bin").write_bytes(bytes(range(256)))
    (folder / "data/a b.txt").write_text(content)
    artifact = wandb.Artifact("d", type="dataset")
    artifact.add_dir(str(folder / "data"))
    return artifact


def logged(client: Client, run_id: str, artifact: wandb.Artifact, *aliases: str) -> wandb.Artifact:
    run = client.init(run_id, resume="allow")
    run.log_artifact(artifact, aliases=list(aliases))
    artifact.wait(timeout=30)
    run.finish()
    return artifact


def versions(client: Client, name: str, type_: str = "model") -> dict[str, list[str]]:
    """Version and aliases of each, as somebody reads them who has not read anything yet."""
    found = client.api(entity=client.server.team).artifacts(type_, name, per_page=2)
    return {version.version: sorted(version.aliases) for version in found}


def test_versions_are_made_by_content_and_found_by_alias(client: Client, tmp_path: Path):
    first = logged(client, "r1", model(tmp_path, "one", md5="abc"), "best")
    assert (first.version, first.metadata, first.size) == ("v0", {"md5": "abc"}, 3)
    assert logged(client, "r2", model(tmp_path, "two"), "best").version == "v1"
    assert logged(client, "r3", model(tmp_path, "three")).version == "v2"
    name = f"{client.path}/m"
    assert versions(client, name) == {"v2": ["latest"], "v1": ["best"], "v0": []}

    again = logged(client, "r4", model(tmp_path, "one", md5="other"), "again")
    assert (again.version, again.metadata) == ("v0", {"md5": "abc"})
    assert versions(client, name) == {"v2": [], "v1": ["best"], "v0": ["again", "latest"]}
    assert client.api().artifact(f"{name}:best").version == "v1"
    assert [c.name for c in client.api().artifact_collections(client.path, "model")] == ["m"]


def test_files_come_back_as_they_went(client: Client, tmp_path: Path):
    logged(client, "r1", data(tmp_path, "one"))
    logged(client, "r2", data(tmp_path, "two"))
    for version, content in (("v0", "one"), ("v1", "two")):
        artifact = client.api().artifact(f"{client.path}/d:{version}")
        root = Path(artifact.download(root=str(tmp_path / version), skip_cache=True))
        assert (root / "a b.txt").read_text() == content
        assert (root / "deep/same.bin").read_bytes() == bytes(range(256))
        assert {file.name: file.size for file in artifact.files()} == {
            "a b.txt": 3,
            "deep/same.bin": 256,
        }
    alone = artifact.get_entry("a b.txt").download(root=str(tmp_path / "alone"), skip_cache=True)
    assert Path(alone).read_text() == "two"


def test_an_artifact_knows_its_runs_and_they_know_it(client: Client, tmp_path: Path):
    logged(client, "maker", model(tmp_path, "one"))
    run = client.init("user")
    run.use_artifact("m:latest")
    run.finish()

    artifact = client.api().artifact(f"{client.path}/m:v0")
    assert artifact.logged_by().id == "maker"
    assert [user.id for user in artifact.used_by()] == ["user"]
    assert [a.name for a in client.run("maker").logged_artifacts()] == ["m:v0"]
    assert [a.name for a in client.run("user").used_artifacts()] == ["m:v0"]


def test_an_artifact_is_changed_and_deleted(client: Client, tmp_path: Path):
    logged(client, "r1", model(tmp_path, "one"))
    name = f"{client.path}/m"
    artifact = client.api().artifact(f"{name}:v0")
    artifact.aliases.append("prod")
    artifact.metadata["score"], artifact.description = 1, "good"
    artifact.save()
    artifact = client.api().artifact(f"{name}:prod")
    assert (artifact.metadata, artifact.description) == ({"score": 1}, "good")
    artifact.aliases.remove("prod")
    artifact.save()
    assert versions(client, name) == {"v0": ["latest"]}

    with pytest.raises(CommError, match="has aliases"):
        artifact.delete()
    artifact.delete(delete_aliases=True)
    for gone in ("v0", "latest", "prod"):
        with pytest.raises(CommError, match="not found"):
            client.api().artifact(f"{name}:{gone}")
    assert logged(client, "r2", model(tmp_path, "one")).version == "v1"


@pytest.mark.parametrize("by", ["run", "artifact"])
def test_a_version_is_linked_to_the_registry_and_promoted(client: Client, tmp_path: Path, by: str):
    collection = client.project
    for content in ("one", "two"):
        run = client.init(content)
        artifact = run.log_artifact(model(tmp_path, content)).wait()
        linking = artifact.link if by == "artifact" else partial(run.link_artifact, artifact)
        linking(f"{REGISTRY}/{collection}", aliases=["candidate"])
        run.finish()

    organization = client.server.organization
    name = f"{organization}/{REGISTRY}/{collection}"
    assert versions(client, name) == {"v1": ["candidate", "latest"], "v0": []}
    api = client.api(entity=client.server.team)
    first, second = api.artifact(f"{name}:v0"), api.artifact(f"{name}:candidate")
    assert first.source_artifact.qualified_name == f"{client.path}/m:v0"
    assert (first.logged_by().id, second.source_artifact.logged_by().id) == ("one", "two")

    for version in (second, first):
        version.aliases.append("production")
        version.save()
        production = client.api(entity=client.server.team).artifact(f"{name}:production")
        assert production.version == version.version
    assert versions(client, name) == {"v1": ["candidate", "latest"], "v0": ["production"]}
    source = client.api().artifact(f"{client.path}/m:v0")
    assert [link.version for link in source.linked_artifacts] == ["v0"]
    first.unlink()
    assert versions(client, name) == {"v1": ["candidate", "latest"]}


def test_a_registry_is_reached_by_its_organization_only(client: Client, tmp_path: Path):
    artifact = logged(client, "r1", model(tmp_path, "one"))
    artifact.link(f"{client.server.organization}/{REGISTRY}/{client.project}")
    name = f"{REGISTRY}/{client.project}:v0"
    for entity in (client.server.team, client.server.user):
        api = client.api(entity=entity)
        assert api.artifact(f"{client.server.organization}/{name}").version == "v0"
        assert api.artifact(name).version == "v0"
        with pytest.raises(CommError, match="organization"):
            api.artifact(f"Other/{name}")


def test_what_the_registry_does_not_have_is_said_to_be_missing(client: Client, tmp_path: Path):
    artifact = logged(client, "r1", model(tmp_path, "one"))
    api = client.api(entity=client.server.team)
    with pytest.raises(CommError, match="not found"):
        api.artifact(f"{REGISTRY}/{client.project}:v0")
    with pytest.raises(CommError, match="not found"):
        api.artifact(f"wandb-registry-none/{client.project}:v0")
    with pytest.raises(ValueError, match="Unable to parse"):
        list(api.artifacts("model", f"{REGISTRY}/{client.project}"))
    with pytest.raises(CommError, match="not found"):
        artifact.link(f"wandb-registry-none/{client.project}")
