"""Where MLflow keeps its runs, by the tracking URI: a database, a server, or an old folder."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit


def is_file_store(uri: str) -> bool:
    """Whether a tracking URI names a folder: `file:…`, or a plain path such as `mlruns`."""
    return uri.startswith("file:") or "://" not in uri


def resolved(uri: str, root: Path) -> str:
    """The tracking URI with a relative path made absolute, from the repo's root."""
    if match := re.fullmatch(r"sqlite:///(?!/)(.+)", uri):
        return f"sqlite:///{root / match[1]}"
    if not is_file_store(uri):
        return uri
    path = unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
    return Path(root.absolute() / Path(path).expanduser()).as_uri()


def database_of(uri: str) -> Path | None:
    """The file of a resolved SQLite URI; None for anything else, a database in memory too."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///(/[^?]+)(?:\?.*)?", uri)
    return Path(match[1]) if match else None


def make_database(uri: str) -> None:
    """Makes the file of a SQLite URI where there is none, for the owner and at most the group.

    SQLite would let everybody read it who has an account here; the umask may let in fewer.
    """
    if file := database_of(uri):
        with suppress(OSError):  # it exists, or MLflow says better why it cannot
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o660))


def artifacts_here(place: str, own: Path) -> str:
    """Where a run's artifacts are, if MLflow recorded them below a folder that was moved to `own`.

    MLflow's places are absolute. They are taken as they are where they are below `own`, on no disk,
    or below another folder that is still there and has them; so is what is no place at all, for
    anybody who can write to the tracker can write that.
    """
    try:
        return _artifacts_here(place, own)
    except (OSError, ValueError):
        return place


def _artifacts_here(place: str, own: Path) -> str:
    parts = urlsplit(place)
    if place.startswith(f"{own.as_uri()}/") or parts.scheme != "file":
        return place
    recorded = Path(unquote(parts.path))
    if own.name not in recorded.parts or ".." in recorded.parts:
        return place
    below = recorded.parts[::-1].index(own.name)
    here = own.joinpath(*recorded.parts[len(recorded.parts) - below :])
    gone = not recorded.parents[below - 1].exists() if below else True
    return here.as_uri() if below and (gone or here.is_dir()) else place


def folder_of(uri: str) -> Path:
    """The folder of a resolved file store."""
    return Path(unquote(urlsplit(uri).path))
