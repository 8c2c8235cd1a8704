"""The folder of Anchored's in the user's cache: for what can be recreated."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

NAME = "anchored"


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/anchored`, else where the system keeps caches: `~/.cache` on Linux.

    An absolute path; the folder may not exist yet.
    """
    # https://specifications.freedesktop.org/basedir-spec: a relative path is to be ignored, which
    # platformdirs 4.0 does not do.
    named = Path(os.environ.get("XDG_CACHE_HOME", "")).expanduser()
    found = named / NAME if named.is_absolute() else user_cache_path(NAME, appauthor=False)
    return found if found.is_absolute() else Path("~/.cache", NAME).expanduser()
