"""Where MLflow keeps its runs, by the tracking URI: a database, a server, or a folder of old."""

from __future__ import annotations

import re
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


def folder_of(uri: str) -> Path:
    """The folder of a resolved file store."""
    return Path(unquote(urlsplit(uri).path))
