"""An SSH server with SFTP: OpenSSH's sshd, configured from nothing, for the user who runs it."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.services import ServiceMissing
from tests.services.dvc_remote import add_remote
from tests.services.environment import clean_env
from tests.services.loopback import free_port
from tests.services.process import Server, start

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
AuthorizedKeysFile {root}/key.pub
PidFile none
AllowUsers {user}
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
MaxStartups 200
MaxSessions 200
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class SshServer:
    """Lets `user` in with the key of `keyfile`, and nobody else; `folder` is theirs to fill."""

    port: int
    user: str
    keyfile: Path
    known_hosts: Path
    folder: Path
    process: Server
    host: str = "127.0.0.1"

    def url(self, path: Path | str, *, port: int | None = None) -> str:
        """The ssh:// address of an absolute path; `port` is that of a proxy in between."""
        return f"ssh://{self.user}@{self.host}:{port or self.port}{path}"

    def git_ssh_command(self) -> str:
        """A GIT_SSH_COMMAND that logs in here, for Git over SSH; it checks the host key."""
        return (
            f"ssh -i {self.keyfile} -o IdentitiesOnly=yes -o BatchMode=yes -F none"
            f" -o UserKnownHostsFile={self.known_hosts} -o HostKeyAlias=anchored-tests"
        )

    def configure(self, repo: Path, name: str, *, port: int | None = None) -> Path:
        """Make a new folder here the repo's default remote; return the folder."""
        path = self.folder / name
        path.mkdir()
        private = {"keyfile": str(self.keyfile)}
        add_remote(repo, self.url(path, port=port), options={}, private=private)
        return path


@contextmanager
def serve_ssh(root: Path) -> Iterator[SshServer]:
    """Serve SSH until the end of the block.

    As root sshd insists on the empty folder /run/sshd; it is made if missing, and stays.
    """
    # Its full path: sshd starts itself anew for every connection.
    sshd = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}")
    if sshd is None:
        raise ServiceMissing("sshd", how="run tests/services/install.sh, or install openssh-server")
    user, port, folder = getpass.getuser(), free_port(), root / "files"
    folder.mkdir(parents=True)
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name]
        subprocess.run([*command, "-f", str(root / name)], check=True, stdin=subprocess.DEVNULL)
    host_key = (root / "host_key.pub").read_text()
    (root / "known_hosts").write_text(f"anchored-tests {host_key}")
    config = root / "sshd_config"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    _write_config(config, sshd, _CONFIG.format(port=port, root=root, user=user))
    server = start(
        [sshd, "-D", "-e", "-f", str(config)],
        cwd=root,
        env=clean_env(root),
        log=root / "sshd.log",
        ready=lambda: _greets(port),
        timeout=30,
    )
    try:
        yield SshServer(port, user, root / "key", root / "known_hosts", folder, server)
    finally:
        server.stop()


def _write_config(path: Path, sshd: str, text: str) -> None:
    # OpenSSH from 9.8 on locks out an address whose connections were cut; older ones do not know
    # the option that says no to that.
    for extra in ("PerSourcePenalties no\n", ""):
        path.write_text(text + extra)
        tried = subprocess.run([sshd, "-t", "-f", str(path)], capture_output=True, check=False)
        if tried.returncode == 0:
            return


def _greets(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return connection.recv(8).startswith(b"SSH-2.0")
    return False
