"""An S3 server that checks signatures: SeaweedFS, from its wheel, in an environment of its own."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.config  # type: ignore[import-untyped]
import botocore.exceptions  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]

from tests.services import ServiceMissing
from tests.services.dvc_remote import add_remote
from tests.services.environment import clean_env
from tests.services.loopback import answers, free_port
from tests.services.process import Server, start

_WEED = Path(__file__).parents[2] / ".venv-services" / "bin" / "weed"
_REGION = "us-east-1"
_PROBE = "ready"


@dataclass(frozen=True)
class S3Server:
    """A server whose only identity may do everything; any other key or secret is refused."""

    port: int
    access_key: str
    secret_key: str = field(repr=False)
    process: Server

    @property
    def endpoint(self) -> str:
        """What clients call `endpoint_url`."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """A botocore client that tries once; what a test uses to look behind DVC's back."""
        return _client(self.endpoint, self.access_key, self.secret_key)

    def create(self, bucket: str) -> str:
        """Make the bucket (3 to 63 lower-case letters, digits, `-`); return its `s3://` address."""
        self.client().create_bucket(Bucket=bucket)
        return f"s3://{bucket}"

    def keys(self, bucket: str) -> list[str]:
        """The keys of all objects in the bucket, sorted."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def delete(self, bucket: str, key: str) -> None:
        """Remove one object without DVC knowing."""
        self.client().delete_object(Bucket=bucket, Key=key)

    def dvc_remote(self, *, port: int | None = None) -> dict[str, str]:
        """The remote's options but for its address and secrets; `port` is that of a proxy."""
        return {"endpointurl": f"http://127.0.0.1:{port or self.port}", "region": _REGION}

    def configure(
        self, repo: Path, bucket: str, *, port: int | None = None, secret_key: str | None = None
    ) -> None:
        """Make s3://<bucket>/dvc the repo's default remote; the secrets go to `config.local`."""
        options = self.dvc_remote(port=port)
        private = {
            "access_key_id": self.access_key,
            "secret_access_key": secret_key or self.secret_key,
        }
        add_remote(repo, f"s3://{bucket}/dvc", options=options, private=private)


@contextmanager
def serve_s3(root: Path) -> Iterator[S3Server]:
    """Serve S3 from folders under `root` until the end of the block; killed there, not drained.

    (SeaweedFS 4.48 takes 15 s for an orderly end, and nobody reads the data afterwards.)
    """
    weed = str(_WEED) if _WEED.exists() else shutil.which("weed")
    if weed is None:
        raise ServiceMissing("weed (SeaweedFS)", how="run tests/services/install.sh")
    root.mkdir(parents=True, exist_ok=True)
    access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
    _write_identity(root / "s3.json", access_key, secret_key)
    ports = {f"{part}{kind}": free_port() for part in _PARTS for kind in ("port", "port.grpc")}
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    client = _client(endpoint, access_key, secret_key)
    status = f"http://127.0.0.1:{ports['master.port']}/dir/status"
    try:
        server = start(
            [
                weed,
                "-logtostderr=true",
                "server",
                *_FLAGS,
                *(f"-{k}={v}" for k, v in ports.items()),
            ],
            cwd=root,
            # One volume for a new bucket instead of seven, which would use up the volumes soon.
            env=clean_env(root, WEED_MASTER_VOLUME_GROWTH_COPY_1="1"),
            log=root / "weed.log",
            ready=lambda: answers(status) and _stores(client),
            timeout=60,
        )
        try:
            yield S3Server(ports["s3.port"], access_key, secret_key, server)
        finally:
            server.kill()
    finally:
        for part in _PARTS:
            # Fixed names of SeaweedFS 4.48 that no option or TMPDIR moves elsewhere.
            name = f"seaweedfs-{part.removesuffix('.')}-grpc-{ports[f'{part}port.grpc']}.sock"
            Path("/tmp", name).unlink(missing_ok=True)


_PARTS = ("master.", "volume.", "filer.", "s3.")
_FLAGS = (
    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=.", "-filer", "-s3", "-s3.config=s3.json"),
    *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),
    *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
    "-master.telemetry=false",  # on by default, to a host on the internet
    # A master that waits for others leads after a random second or two; the volume server may
    # report before that, and then tries again only after 5 s.
    # A master that remembers volumes may refuse writes for 15 s after a start, and elects itself
    # only after 10 s; a forgetful one learns the volumes from the volume server at once.
    *("-master.peers=none", "-master.resumeState=false"),
    *("-master.volumeSizeLimitMB=64", "-volume.max=500", "-volume.minFreeSpace=0"),
)


def _write_identity(path: Path, access_key: str, secret_key: str) -> None:
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    path.write_text(json.dumps({"identities": [identity]}))
    path.chmod(0o600)


def _client(endpoint: str, access_key: str, secret_key: str) -> Any:
    session = botocore.session.get_session()
    session.set_credentials(access_key, secret_key)
    config = botocore.config.Config(
        connect_timeout=2,
        read_timeout=20,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        proxies={},
    )
    return session.create_client("s3", region_name=_REGION, endpoint_url=endpoint, config=config)


def _stores(client: Any) -> bool:
    """Whether a stored object comes back: the gateway listens before it can store anything."""
    with suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        client.create_bucket(Bucket=_PROBE)
    with suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        client.put_object(Bucket=_PROBE, Key="probe", Body=b"x")
        return bool(client.get_object(Bucket=_PROBE, Key="probe")["Body"].read() == b"x")
    return False
