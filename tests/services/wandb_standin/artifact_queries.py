"""What may be read of artifacts: nodes of collections, versions, memberships and files."""

import json
import mimetypes
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.services.wandb_standin.artifacts import Collection, Membership, Version, file_of
from tests.services.wandb_standin.documents import Unknown
from tests.services.wandb_standin.graphql import Node, page
from tests.services.wandb_standin.state import Project, Run, State, StoredFile, graph_id

if TYPE_CHECKING:
    from tests.services.wandb_standin.queries import Queries

_COMMITTED = {"state": "COMMITTED"}


class ArtifactQueries:
    """The artifact nodes of one request; those of runs and projects come from `queries`."""

    def __init__(self, state: State, queries: "Queries") -> None:
        self._state = state
        self._queries = queries

    def root(self) -> dict[str, Callable[..., Node | None]]:
        """The fields of the query root that are about artifacts."""
        return {
            "artifact": self.artifact_by_id,
            "artifactCollection": self.collection_by_id,
            "clientIDMapping": self.client_id_mapping,
        }

    def artifact_by_id(self, id_: str) -> Node | None:
        version = self._state.versions.get(id_)
        return None if version is None else self.version(version)

    def collection_by_id(self, id_: str) -> Node | None:
        found = (c for p in self._state.projects.values() for c in p.collections.values())
        return next((self.collection(c) for c in found if c.id == id_), None)

    def client_id_mapping(self, client_id: str) -> Node | None:
        """The artifact that a client logged under an id of its own choice."""
        versions = self._state.versions.values()
        found = next((v for v in versions if v.client_id == client_id), None)
        return None if found is None else Node("ClientIDMapping", {"serverID": found.id})

    def of_project(self, project: Project) -> dict[str, Any]:
        """The fields of a project that are about artifacts."""

        def membership(name: str) -> Node | None:
            found = _member(project, name)
            return None if found is None else self.membership(found)

        def artifact(name: str) -> Node | None:
            found = _member(project, name)
            return None if found is None else self.version(found.version)

        def artifact_type(name: str) -> Node | None:
            return self._type(project, name) if name in _types(project) else None

        collections = project.collections
        return {
            "artifact": artifact,
            "artifactCollectionMembership": membership,
            "artifactCollection": lambda name: self._collection_named(project, name),
            "artifactCollections": partial(self._collections, collections.values()),
            "artifactType": artifact_type,
            "artifactTypes": lambda after=None, first=50: page(
                [self._type(project, name) for name in _types(project)], after=after, first=first
            ),
        }

    def of_run(self, run: Run) -> dict[str, Any]:
        """The fields of a run that are about artifacts."""
        versions = self._state.versions.values()
        logged = [v for v in versions if v.logged_by and v.logged_by[1] is run]
        used = [v for v in versions if any(user is run for _, user in v.used_by)]
        return {
            "outputArtifacts": partial(self._versions, logged),
            "inputArtifacts": partial(self._versions, used),
        }

    def collection(self, collection: Collection) -> Node:
        def membership(alias_name: str) -> Node | None:
            found = collection.member(alias_name)
            return None if found is None else self.membership(found)

        def artifacts(
            after: str | None = None,
            first: int = 50,
            order: str | None = None,
            filters: str | None = None,
        ) -> Node:
            if order not in (None, "-created_at") or json.loads(filters or "{}") != _COMMITTED:
                raise Unknown(f"artifacts by order={order!r}, filters={filters!r}")
            members = collection.members[::-1]
            nodes = [self.version(member.version) for member in members]
            return page(
                nodes, after=after, first=first, edges=[{"version": f"v{m.index}"} for m in members]
            )

        def aliases(after: str | None = None, first: int = 50) -> Node:
            nodes = [_alias(collection, name) for name in sorted(collection.aliases)]
            return page(nodes, after=after, first=first)

        latest = collection.members[-1:]
        return Node(
            collection.kind,
            {
                "id": collection.id,
                "name": collection.name,
                "description": collection.description,
                "createdAt": collection.created_at,
                "updatedAt": collection.created_at,
                "project": lambda: self._queries.project(collection.project),
                "defaultArtifactType": lambda: self._type(collection.project, collection.type),
                "digestAlgorithm": "MANIFEST_MD5",
                "tags": page([]),
                "aliases": aliases,
                "artifacts": artifacts,
                "artifactMembership": membership,
                "latestArtifact": lambda: self.version(latest[0].version) if latest else None,
            },
            interfaces=("ArtifactCollection",),
        )

    def version(self, version: Version) -> Node:
        entries = version.entries.values()
        home = version.sequence.membership_of(version)
        aliases = [
            _alias(member.collection, name, self.collection(member.collection))
            for member in version.memberships
            for name in member.aliases
        ]
        return Node(
            "Artifact",
            {
                "id": version.id,
                "artifactSequence": lambda: self.collection(version.sequence),
                "artifactType": lambda: self._type(version.sequence.project, version.sequence.type),
                "versionIndex": None if home is None else home.index,
                "state": version.state,
                "digest": version.digest,
                "digestAlgorithm": version.digest_algorithm,
                "description": version.description,
                "metadata": version.metadata,
                "ttlDurationSeconds": -2,
                "ttlIsInherited": True,
                "tags": [
                    Node("Tag", {"id": graph_id("Tag", tag), "name": tag})
                    for tag in sorted(version.tags)
                ],
                "historyStep": None,
                "size": sum(entry.get("size", 0) for entry in entries),
                "fileCount": len(entries),
                "commitHash": None,
                "createdAt": version.created_at,
                "updatedAt": version.updated_at,
                "aliases": aliases,
                "createdBy": lambda: (
                    self._queries.run(*version.logged_by) if version.logged_by else None
                ),
                "usedBy": lambda: page([self._queries.run(*user) for user in version.used_by]),
                "artifactMemberships": lambda: page(
                    [self.membership(member) for member in version.memberships]
                ),
                "currentManifest": lambda: self._manifest(version),
            },
        )

    def membership(self, member: Membership) -> Node:
        return Node(
            "ArtifactCollectionMembership",
            {
                "id": member.id,
                "versionIndex": member.index,
                "createdAt": member.created_at,
                "aliases": [_alias(member.collection, name) for name in member.aliases],
                "artifactCollection": lambda: self.collection(member.collection),
                "artifact": lambda: self.version(member.version),
                "files": partial(self._files, member.version),
            },
        )

    def upload(self, kind: str, file: StoredFile, **fields: Any) -> Node:
        """A file whose bytes are to come."""
        address = self._queries.address_of(file)
        upload = {
            "id": file.id, "uploadUrl": address, "uploadHeaders": [], "uploadMultipartUrls": None,
        }  # fmt: skip
        return Node(kind, upload | fields)

    def _manifest(self, version: Version) -> Node | None:
        if version.manifest is None:
            return None
        address = self._queries.address_of(version.manifest)
        return Node("ArtifactManifest", {"file": Node("File", {"directUrl": address})})

    def _collection_named(self, project: Project, name: str) -> Node | None:
        found = project.collections.get(name)
        return None if found is None else self.collection(found)

    def _type(self, project: Project, name: str) -> Node:
        of_type = [c for c in project.collections.values() if c.type == name]

        def collection(name: str) -> Node | None:
            return next((self.collection(c) for c in of_type if c.name == name), None)

        return Node(
            "ArtifactType",
            {
                "id": graph_id("ArtifactType", project.id, name),
                "name": name,
                "description": None,
                "createdAt": project.created_at,
                "artifactCollection": collection,
                "artifactCollections": partial(self._collections, of_type),
            },
        )

    def _collections(
        self,
        collections: Iterable[Collection],
        after: str | None = None,
        first: int = 50,
        filters: str | None = None,
        order: str | None = None,
    ) -> Node:
        if filters is not None or order is not None:
            raise Unknown(f"collections by filters={filters!r}, order={order!r}")
        nodes = [self.collection(collection) for collection in collections]
        return page(nodes, after=after, first=first)

    def _versions(
        self, versions: Sequence[Version], after: str | None = None, first: int = 50
    ) -> Node:
        return page([self.version(v) for v in versions], after=after, first=first)

    def _files(
        self,
        version: Version,
        names: Sequence[str] | None = None,
        after: str | None = None,
        first: int = 50,
    ) -> Node:
        nodes = [
            self._file(version, path, entry)
            for path, entry in version.entries.items()
            if not names or path in names
        ]
        return page(nodes, after=after, first=first)

    def _file(self, version: Version, path: str, entry: dict[str, Any]) -> Node:
        file = file_of(entry, version, self._state.versions)
        if file is None:
            raise Unknown(f"{path}, a file that is kept elsewhere")
        address = self._queries.address_of(file)
        return Node(
            "File",
            {
                "id": graph_id("ArtifactFile", version.number, path),
                "name": path,
                "displayName": path,
                "url": address,
                "directUrl": address,
                "sizeBytes": entry["size"],
                "storagePath": f"{version.number}/{path}",
                "mimetype": mimetypes.guess_type(path)[0] or "application/octet-stream",
                "updatedAt": file.updated_at,
                "digest": entry["digest"],
                "md5": entry["digest"],
            },
        )


def _types(project: Project) -> list[str]:
    return sorted({collection.type for collection in project.collections.values()})


def _member(project: Project, name: str) -> Membership | None:
    """`COLLECTION:ALIAS`, or the latest of a collection."""
    collection, _, alias = name.partition(":")
    known = project.collections.get(collection)
    return None if known is None else known.member(alias or "latest")


def _alias(collection: Collection, name: str, node: Node | None = None) -> Node:
    fields = {"id": graph_id("ArtifactAlias", collection.number, name), "alias": name}
    return Node("ArtifactAlias", fields | {"artifactCollection": node})
