"""What a remote's client raised, as one of our errors: a refusal to mend, or a failure to retry.

The clients (botocore, asyncssh, aiohttp, the local file system) share no base class, so types are
looked at where they are Python's own and words where they are not.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from anchored.decisions.redaction import redact
from anchored.errors import AGAIN, AnchoredError, DiskFull, NotReady, RemoteFailed

REFUSALS = (PermissionError, NotADirectoryError, IsADirectoryError, FileNotFoundError)
REFUSING_ERRNOS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
REFUSING_WORDS = (
    "accessdenied", "access denied", "invalidaccesskeyid", "signaturedoesnotmatch", "nosuchbucket",
    "permission denied", "permissiondenied", "forbidden", "unable to locate credentials",
    "authentication", "the security token", "not allowed", "invalid credentials",
)  # fmt: skip
# Before a run is begun a refusal means wrong use; later the remote has changed, and the run waits.
PROBING = {"open", "write to"}


def remote_failure(error: Exception, verb: str, url: str) -> AnchoredError:
    """The error to raise for what went wrong while trying to `verb` the remote at `url`."""
    causes = list(_causes(error))
    words = [f"{type(cause).__name__} {cause}".lower() for cause in causes]
    silent = any("timeout" in type(cause).__name__.lower() for cause in causes)
    said = redact(str(error).strip() or ("no answer" if silent else type(error).__name__))
    refused = any(
        isinstance(cause, REFUSALS)
        or (isinstance(cause, OSError) and cause.errno in REFUSING_ERRNOS)
        for cause in causes
    )
    refused |= any(word in text for text in words for word in REFUSING_WORDS)
    if refused and verb in PROBING:
        return NotReady(
            f"cannot {verb} the DVC remote {url}: {said}",
            hint="check the remote's URL, its rights and the credentials in .dvc/config.local",
        )
    full = DiskFull.is_meant_by(error)
    if full and verb == "fetch from":
        return DiskFull(said)  # what is written to then is here
    return RemoteFailed(
        f"cannot {verb} the DVC remote {url}: {said}",
        transient=not full and not refused,
        silent=silent,
        hint=f"once the remote answers again, {AGAIN}",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it; bounded, for contexts can form long chains."""
    for _ in range(5):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
