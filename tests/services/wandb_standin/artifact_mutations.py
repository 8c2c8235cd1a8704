"""What may be changed of artifacts: logging, committing, using, aliases, links, deletion."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.services.wandb_standin.artifact_queries import ArtifactQueries
from tests.services.wandb_standin.artifacts import Collection, Version, committed
from tests.services.wandb_standin.documents import Unknown
from tests.services.wandb_standin.graphql import Node, Refused, page
from tests.services.wandb_standin.state import Project, State, StoredFile, now

_Alias = Mapping[str, str]


class ArtifactMutations:
    """The artifact mutations of one request."""

    def __init__(self, state: State, queries: ArtifactQueries) -> None:
        self._state = state
        self._queries = queries

    def root(self) -> dict[str, Callable[..., Node]]:
        """The fields of the mutation root that are about artifacts."""
        return {
            "createArtifact": self.create,
            "createArtifactManifest": self.create_manifest,
            "updateArtifactManifest": self.update_manifest,
            "createArtifactFiles": self.create_files,
            "commitArtifact": self.commit,
            "updateArtifact": self.update,
            "useArtifact": self.use,
            "addAliases": self.add_aliases,
            "deleteAliases": self.delete_aliases,
            "deleteArtifact": self.delete,
            "linkArtifact": self.link,
            "unlinkArtifact": self.unlink,
        }

    def create(
        self,
        *,
        entity_name: str,
        project_name: str,
        artifact_type_name: str,
        digest: str,
        digest_algorithm: str,
        enable_digest_deduplication: bool,
        artifact_collection_name: str | None = None,
        artifact_collection_names: Sequence[str] = (),
        run_name: str | None = None,
        client_id: str | None = None,
        sequence_client_id: str | None = None,
        description: str | None = None,
        metadata: str = "{}",
        aliases: Sequence[_Alias] = (),
        tags: Sequence[Mapping[str, str]] = (),
    ) -> Node:
        """A version to be filled and committed, or the committed one that has the same content."""
        if digest_algorithm != "MANIFEST_MD5" or not enable_digest_deduplication:
            raise Unknown(f"{digest_algorithm}, deduplication={enable_digest_deduplication}")
        project = self._project(entity_name, project_name)
        (name,) = artifact_collection_names or (artifact_collection_name or "",)
        sequence = self._collection(project, name, artifact_type_name, "ArtifactSequence")
        sequence.client_id = sequence.client_id or sequence_client_id
        names = [alias["alias"] for alias in aliases]
        same = next((m for m in sequence.members if m.version.digest == digest), None)
        if same is not None:
            sequence.aliases |= dict.fromkeys(names, same)
            return self._payload("CreateArtifactPayload", same.version)
        version = Version(
            self._state.number(), sequence, digest, client_id,
            logged_by=(project, project.runs[run_name]) if run_name else None,
            description=description, metadata=metadata, aliases=names,
            tags={tag["tagName"] for tag in tags},
        )  # fmt: skip
        self._state.versions[version.id] = version
        return self._payload("CreateArtifactPayload", version)

    def create_manifest(
        self,
        *,
        artifact_id: str,
        name: str,
        digest: str,
        entity_name: str,
        project_name: str,
        run_name: str,
        type_: str,
        base_artifact_id: str | None = None,
    ) -> Node:
        if type_ != "FULL":
            raise Unknown(f"a manifest that is {type_}")
        version = self._version(artifact_id)
        version.manifest = self._state.new_file(name)
        return self._manifest("CreateArtifactManifestPayload", version.manifest)

    def update_manifest(self, *, artifact_manifest_id: str, digest: str) -> Node:
        versions = self._state.versions.values()
        found = (
            v.manifest for v in versions if v.manifest and v.manifest.id == artifact_manifest_id
        )
        manifest = next(found, None)
        if manifest is None:
            raise Refused(f"manifest {artifact_manifest_id} not found", 404)
        return self._manifest("UpdateArtifactManifestPayload", manifest)

    def create_files(
        self,
        *,
        artifact_files: Sequence[Mapping[str, Any]],
        storage_layout: str,
        digest_algorithm: str,
    ) -> Node:
        """Addresses for bytes; none for a file whose bytes an earlier version brought."""
        if (storage_layout, digest_algorithm) != ("V2", "MANIFEST_MD5"):
            raise Unknown(f"the storage layout {storage_layout} with {digest_algorithm}")
        nodes = [
            self._file(file["artifactID"], file["name"], file["md5"]) for file in artifact_files
        ]
        return Node("CreateArtifactFilesPayload", {"files": page(nodes, first=len(nodes))})

    def commit(self, *, artifact_id: str) -> Node:
        version = self._version(artifact_id)
        committed(version, self._state.versions)
        return self._payload("CommitArtifactPayload", version)

    def update(
        self,
        *,
        artifact_id: str,
        description: str | None = None,
        metadata: str | None = None,
        tags_to_add: Sequence[Mapping[str, str]] = (),
        tags_to_delete: Sequence[Mapping[str, str]] = (),
    ) -> Node:
        version = self._version(artifact_id)
        version.description = version.description if description is None else description
        version.metadata = version.metadata if metadata is None else metadata
        version.tags |= {tag["tagName"] for tag in tags_to_add}
        version.tags -= {tag["tagName"] for tag in tags_to_delete}
        version.updated_at = now()
        return self._payload("UpdateArtifactPayload", version)

    def use(
        self,
        *,
        artifact_id: str,
        entity_name: str,
        project_name: str,
        run_name: str,
        used_as: str | None = None,
        artifact_entity_name: str | None = None,
        artifact_project_name: str | None = None,
    ) -> Node:
        """The version becomes an input of the run; as what it is used is not remembered."""
        version = self._version(artifact_id)
        project = self._project(entity_name, project_name)
        user = (project, project.runs[run_name])
        if user not in version.used_by:
            version.used_by.append(user)
        return self._payload("UseArtifactPayload", version)

    def add_aliases(self, *, artifact_id: str, aliases: Sequence[_Alias]) -> Node:
        """Each alias leaves the version of its collection that had it."""
        version = self._version(artifact_id)
        for alias in aliases:
            collection = self._collection_of(alias)
            member = collection.membership_of(version)
            if member is None:
                raise Refused(f"{version.id} is not in {collection.name}", 404)
            collection.aliases[alias["alias"]] = member
        return Node("AddAliasesPayload", {"success": True})

    def delete_aliases(self, *, artifact_id: str, aliases: Sequence[_Alias]) -> Node:
        version = self._version(artifact_id)
        for alias in aliases:
            collection = self._collection_of(alias)
            member = collection.aliases.get(alias["alias"])
            if member is not None and member.version is version:
                del collection.aliases[alias["alias"]]
        return Node("DeleteAliasesPayload", {"success": True})

    def delete(self, *, artifact_id: str, delete_aliases: bool = False) -> Node:
        version = self._version(artifact_id)
        if not delete_aliases and any(member.aliases for member in version.memberships):
            raise Refused("cannot delete an artifact that has aliases", 400)
        for member in list(version.memberships):
            member.collection.remove(member)
        version.state = "DELETED"
        return self._payload("DeleteArtifactPayload", version)

    def link(
        self,
        *,
        entity_name: str,
        project_name: str,
        artifact_portfolio_name: str,
        artifact_id: str | None = None,
        client_id: str | None = None,
        aliases: Sequence[_Alias] = (),
    ) -> Node:
        """The version becomes the next of the portfolio, which is made if it is not there."""
        if artifact_id is None:
            mapping = self._queries.client_id_mapping(client_id or "")
            artifact_id = mapping.fields["serverID"] if mapping else ""
        version = self._version(artifact_id)
        project = self._project(entity_name, project_name)
        type_ = version.sequence.type
        portfolio = self._collection(project, artifact_portfolio_name, type_, "ArtifactPortfolio")
        member = portfolio.add(version)
        portfolio.aliases |= {alias["alias"]: member for alias in aliases}
        fields = {
            "versionIndex": member.index, "artifactMembership": self._queries.membership(member),
        }  # fmt: skip
        return Node("LinkArtifactPayload", fields)

    def unlink(self, *, artifact_id: str, artifact_portfolio_id: str) -> Node:
        for member in list(self._version(artifact_id).memberships):
            if member.collection.id == artifact_portfolio_id:
                member.collection.remove(member)
                return Node("UnlinkArtifactPayload", {"success": True})
        raise Refused(f"{artifact_id} is not in {artifact_portfolio_id}", 404)

    def _payload(self, kind: str, version: Version) -> Node:
        return Node(kind, {"artifact": self._queries.version(version)})

    def _manifest(self, kind: str, file: StoredFile) -> Node:
        manifest = {"id": file.id, "file": self._queries.upload("File", file)}
        return Node(kind, {"artifactManifest": Node("ArtifactManifest", manifest)})

    def _file(self, artifact_id: str, name: str, md5: str) -> Node:
        version = self._version(artifact_id)
        earlier = [member.version for member in version.sequence.members]
        owner = next((v for v in earlier if md5 in v.files), version)
        file = owner.files.setdefault(md5, self._state.new_file(name))
        birth = Node("Artifact", {"id": owner.id})
        more = {"storagePath": f"{owner.number}/{name}", "artifact": birth}
        more |= {"uploadUrl": None} if file.content is not None else {}
        return self._queries.upload("File", file, **more)

    def _version(self, artifact_id: str) -> Version:
        version = self._state.versions.get(artifact_id)
        if version is None or version.state == "DELETED":
            raise Refused(f"artifact {artifact_id} not found", 404)
        return version

    def _project(self, entity_name: str, project_name: str) -> Project:
        project = self._state.project(entity_name, project_name)
        if project is None:
            raise Refused(f"project {entity_name}/{project_name} not found", 404)
        return project

    def _collection(self, project: Project, name: str, type_: str, kind: str) -> Collection:
        known = project.collections.get(name)
        if known is None:
            known = Collection(self._state.number(), project, name, type_, kind)
            project.collections[name] = known
        if (known.type, known.kind) != (type_, kind):
            raise Refused(f"{name} is an {known.kind} of the type {known.type}", 400)
        return known

    def _collection_of(self, alias: _Alias) -> Collection:
        project = self._project(alias["entityName"], alias["projectName"])
        name = alias["artifactCollectionName"]
        if name not in project.collections:
            raise Refused(f"collection {name} not found", 404)
        return project.collections[name]
