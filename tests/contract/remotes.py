"""The remotes of the contract tests, looked at and harmed without DVC."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from anchored.adapters.dvc.store import DvcStore
from anchored.ports import Silent
from anchored.records import Pointer
from tests.repos import Repo
from tests.services.dvc_remote import add_remote
from tests.services.process import Server
from tests.services.s3 import S3Server
from tests.services.sshd import SshServer

QUIET = Silent()
LINES = b"1\r\n2\r\n"  # which DVC 2 hashed with other line ends


class Remote(Protocol):
    """One kind of remote, looked at and harmed without DVC."""

    server: Server | None

    def use(self, repo: Repo, *, port: int | None = None) -> None:
        """Makes it the repo's default remote; `port` is that of a proxy in between."""

    def refuse(self, repo: Repo) -> None:
        """The same, with credentials or rights that it does not accept."""

    def objects(self) -> set[str]:
        """The hashes of all objects that it holds, whole or not."""

    def read(self, md5: str) -> bytes: ...

    def write(self, md5: str, content: bytes) -> None: ...

    def delete(self, md5: str) -> None: ...


@dataclass
class Folder:
    """Objects as files: of a local remote, and behind an SSH server."""

    folder: Path
    server: Server | None = None

    def use(self, repo: Repo, *, port: int | None = None) -> None:  # noqa: ARG002 - no server
        add_remote(repo.root, str(self.folder), options={}, private={})

    def refuse(self, repo: Repo) -> None:
        self.folder.write_text("a file where a folder should be")
        self.use(repo)

    def _file(self, md5: str) -> Path:
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def objects(self) -> set[str]:
        files = self.folder.glob("files/md5/??/*")
        return {f.parent.name + f.name for f in files if "." not in f.name.removesuffix(".dir")}

    def read(self, md5: str) -> bytes:
        return self._file(md5).read_bytes()

    def write(self, md5: str, content: bytes) -> None:
        self._file(md5).chmod(0o644)
        self._file(md5).write_bytes(content)

    def delete(self, md5: str) -> None:
        self._file(md5).unlink()


@dataclass
class Ssh(Folder):
    ssh: SshServer | None = None

    def use(self, repo: Repo, *, port: int | None = None, key: Path | None = None) -> None:
        assert self.ssh is not None
        self.folder.mkdir(exist_ok=True)
        private = {"keyfile": str(key or self.ssh.keyfile)}
        add_remote(repo.root, self.ssh.url(self.folder, port=port), options={}, private=private)

    def refuse(self, repo: Repo) -> None:
        stranger = repo.root.parent / "stranger"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
        self.use(repo, key=stranger)


@dataclass
class S3:
    s3: S3Server
    bucket: str
    server: Server | None = None

    def use(self, repo: Repo, *, port: int | None = None) -> None:
        self.s3.create(self.bucket)
        self.s3.configure(repo.root, self.bucket, port=port)

    def refuse(self, repo: Repo) -> None:
        self.s3.create(self.bucket)
        self.s3.configure(repo.root, self.bucket, secret_key="0" * 40)

    def _key(self, md5: str) -> str:
        return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"

    def objects(self) -> set[str]:
        keys = self.s3.keys(self.bucket)
        return {k.removeprefix("dvc/files/md5/").replace("/", "") for k in keys if "files" in k}

    def read(self, md5: str) -> bytes:
        answer = self.s3.client().get_object(Bucket=self.bucket, Key=self._key(md5))
        return bytes(answer["Body"].read())

    def write(self, md5: str, content: bytes) -> None:
        self.s3.client().put_object(Bucket=self.bucket, Key=self._key(md5), Body=content)

    def delete(self, md5: str) -> None:
        self.s3.delete(self.bucket, self._key(md5))


def made(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    name = f"t{hashlib.md5(str(tmp_path).encode()).hexdigest()[:16]}"
    if kind == "s3":
        s3: S3Server = request.getfixturevalue("s3_server")
        return S3(s3, name, s3.process)
    if kind == "ssh":
        ssh: SshServer = request.getfixturevalue("ssh_server")
        return Ssh(ssh.folder / name, ssh.process, ssh)
    return Folder(tmp_path / "remote")


def port_of(remote: Remote) -> int:
    if isinstance(remote, S3):
        return remote.s3.port
    assert isinstance(remote, Ssh)
    assert remote.ssh is not None
    return remote.ssh.port


def filled_folder(repo: Repo) -> Path:
    """Six files of 60 KB, one of them in a subfolder, and two alike."""
    for n in range(6):
        content = bytes([min(n, 4)]) * 10 + os.urandom(60_000) if n < 5 else None
        path = f"data/set/{'deep/' if n == 3 else ''}part {n}.bin"
        repo.write(path, content or (repo.root / "data/set/part 4.bin").read_bytes())
    return repo.root / "data/set"


def store(repo: Repo) -> DvcStore:
    """A store that knows nothing of what another one has seen."""
    return DvcStore(repo.root)


def forget(repo: Repo) -> None:
    shutil.rmtree(repo.root / ".dvc/cache")


def left_by_dvc_2(repo: Repo) -> Path:
    """Writes an input's pointer as DVC 2 left it, and its object in the folder remote: this file."""
    old = hashlib.md5(LINES.replace(b"\r\n", b"\n")).hexdigest()
    file = repo.store / old[:2] / old[2:]
    file.parent.mkdir(parents=True)
    file.write_bytes(LINES)
    repo.write("data/numbers.csv.dvc", f"outs:\n- md5: {old}\n  size: 6\n  path: numbers.csv\n")
    return file


def children(repo: Repo, pointer: Pointer) -> list[str]:
    listing = repo.root / ".dvc/cache/files/md5" / pointer.md5[:2] / pointer.md5[2:]
    return sorted({entry["md5"] for entry in json.loads(listing.read_text())})
