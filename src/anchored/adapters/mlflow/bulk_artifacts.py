"""One artifact of many runs: from this machine's disk where they are on it, else many at a time."""

from __future__ import annotations

import errno
import os
import posixpath
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from anchored.system.parallel import Stop, in_parallel

AT_ONCE = 16
LONGEST = 1 << 26  # bytes: more of a document than anybody would go on to read
MISSING = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES,
}  # fmt: skip
# Places that hold many runs: one client for all of them asks the server's facts once.
SHARED = {"mlflow-artifacts", "http", "https", "s3", "gs"}

# From a place, the artifact of this path, into a file; False where there is none.
Fetch = Callable[[str, str, str], bool]


def artifacts_at(places: Mapping[str, str], path: str, fetch: Fetch) -> dict[str, bytes]:
    """The bytes of one artifact by run id, for the runs that have it; `places` are URIs."""
    found: dict[str, bytes | None] = {}
    elsewhere: dict[str, tuple[str, str]] = {}
    for run_id, place in places.items():
        if not _is_address(place):
            continue
        if (folder := _local_folder(place)) is None:
            elsewhere[run_id] = _split(place, run_id)
        else:
            found[run_id] = _read(folder / path)
    with tempfile.TemporaryDirectory(prefix="anchored-artifacts-") as into:

        def fetched(run_id: str, _: Stop) -> bytes | None:
            file, (base, folder) = os.path.join(into, run_id), elsewhere[run_id]
            return _read(Path(file)) if fetch(base, posixpath.join(folder, path), file) else None

        found |= in_parallel(fetched, list(elsewhere), AT_ONCE)
    return {run_id: content for run_id, content in found.items() if content is not None}


def _is_address(place: str) -> bool:
    try:
        urlsplit(place)
    except ValueError:  # whoever wrote it; the run has no such artifact
        return False
    return True


def _local_folder(place: str) -> Path | None:
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return Path(unquote(parts.path))
    return Path(place) if os.path.isabs(place) else None


def _split(place: str, run_id: str) -> tuple[str, str]:
    """A place that runs have in common where they do, and the folder of this one below it."""
    base, own, rest = place.rpartition(f"/{run_id}/")
    shared = own and urlsplit(place).scheme in SHARED
    return (base, posixpath.join(run_id, rest)) if shared else (place, "")


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            return stream.read(LONGEST)
    except ValueError:  # NUL in a path
        return None
    except OSError as error:
        if error.errno in MISSING:
            return None
        raise
