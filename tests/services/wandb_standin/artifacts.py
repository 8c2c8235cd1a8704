"""Artifacts as the stand-in remembers them: collections, their versions, and aliases.

A version is committed into the sequence that it was logged to and may be linked into portfolios,
as the collections of a registry are called; each collection counts and names it on its own.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.services.wandb_standin.graphql import Refused
from tests.services.wandb_standin.state import Project, Run, StoredFile, graph_id, now

_VERSION = re.compile(r"v(\d+)")


@dataclass
class Version:
    """One artifact; `files` are its own bytes by their digest, not those of earlier versions."""

    number: int
    sequence: "Collection"
    digest: str
    client_id: str | None
    logged_by: tuple[Project, Run] | None
    description: str | None
    metadata: str
    aliases: list[str]
    digest_algorithm: str = "MANIFEST_MD5"
    state: str = "PENDING"
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)
    manifest: StoredFile | None = None
    files: dict[str, StoredFile] = field(default_factory=dict)
    used_by: list[tuple[Project, Run]] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    memberships: list["Membership"] = field(default_factory=list)

    @property
    def id(self) -> str:
        return graph_id("Artifact", self.number)

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """What the manifest lists: digest, size and birth artifact by path."""
        if self.manifest is None or self.manifest.content is None:
            return {}
        contents: dict[str, dict[str, Any]] = json.loads(self.manifest.content)["contents"]
        return contents


@dataclass
class Membership:
    """A version in a collection, as the `index`-th that came there."""

    collection: "Collection"
    version: Version
    index: int
    created_at: str = field(default_factory=now)

    @property
    def id(self) -> str:
        return graph_id("ArtifactCollectionMembership", self.collection.number, self.index)

    @property
    def aliases(self) -> list[str]:
        return sorted(a for a, member in self.collection.aliases.items() if member is self)


@dataclass
class Collection:
    """`kind` is ArtifactSequence or ArtifactPortfolio; an alias points to one version at a time."""

    number: int
    project: Project
    name: str
    type: str
    kind: str
    client_id: str | None = None
    description: str | None = None
    created_at: str = field(default_factory=now)
    members: list[Membership] = field(default_factory=list)
    aliases: dict[str, Membership] = field(default_factory=dict)
    count: int = 0

    @property
    def id(self) -> str:
        return graph_id(self.kind, self.number)

    def member(self, alias: str) -> Membership | None:
        """The version that `v3`, `latest` or another alias means."""
        if found := _VERSION.fullmatch(alias):
            return next((m for m in self.members if m.index == int(found[1])), None)
        return self.aliases.get(alias)

    def membership_of(self, version: Version) -> Membership | None:
        return next((m for m in self.members if m.version is version), None)

    def add(self, version: Version) -> Membership:
        """The version's place here; a new one becomes `latest`, one that is here stays."""
        if known := self.membership_of(version):
            return known
        member = Membership(self, version, self.count)
        self.count += 1  # an index is not given twice, even if its version was deleted
        self.members.append(member)
        version.memberships.append(member)
        self.aliases["latest"] = member
        return member

    def remove(self, member: Membership) -> None:
        self.members.remove(member)
        member.version.memberships.remove(member)
        self.aliases = {a: m for a, m in self.aliases.items() if m is not member}


def committed(version: Version, born: dict[str, Version]) -> None:
    """Make the version one of its sequence; Refused while any byte of it is missing or wrong.

    `born` are all versions by id: an unchanged file's bytes are those of an earlier one.
    """
    if version.manifest is None or version.manifest.content is None:
        raise Refused("the manifest is missing", 400)
    for path, entry in version.entries.items():
        content = content_of(entry, version, born)
        if "ref" not in entry and content is None:
            raise Refused(f"the bytes of {path} are missing", 400)
        if content is not None and digest_of(content) != entry["digest"]:
            raise Refused(f"the bytes of {path} are others than the manifest says", 400)
    version.state, version.updated_at = "COMMITTED", now()
    member = version.sequence.add(version)
    version.sequence.aliases |= dict.fromkeys(version.aliases, member)


def content_of(entry: dict[str, Any], version: Version, born: dict[str, Version]) -> bytes | None:
    """The bytes of a manifest's entry."""
    file = file_of(entry, version, born)
    return None if file is None else file.content


def file_of(entry: dict[str, Any], version: Version, born: dict[str, Version]) -> StoredFile | None:
    owner = born.get(entry.get("birthArtifactID") or version.id)
    return None if owner is None else owner.files.get(entry["digest"])


def digest_of(content: bytes) -> str:
    """As manifests and the service's file list have it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()
