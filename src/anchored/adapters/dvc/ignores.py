"""DVC's ignore rules for content that does not lie in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class RulesElsewhere:
    """`.dvcignore` for a folder at `here`, as if it already lay at `there`.

    What training left lies below `.dvc/tmp`, all of which DVC ignores: by its own rules such a
    folder is empty (seen with DVC 3.67.1). DVC's `build` asks for `walk` and `find` alone.
    """

    def __init__(self, rules: Callable[..., Any], *, here: str, there: str) -> None:
        self._rules, self._here, self._there = rules, here, there

    def walk(self, fs: Any, path: str, **options: Any) -> Iterator[Any]:
        """The folder's walk without what is ignored."""
        for folder, folders, files in fs.walk(path, **options):
            place = self._there + folder[len(self._here) :]
            kept_folders, kept_files = self._rules(place, list(folders), list(files))
            for kept, names in ((kept_folders, folders), (kept_files, files)):
                for name in set(names) - set(kept):
                    names.pop(name) if isinstance(names, dict) else names.remove(name)
            yield folder, folders, files

    def find(self, fs: Any, path: str, **options: Any) -> Iterator[str]:
        """Every file below the folder that is not ignored."""
        for folder, _, files in self.walk(fs, path, **options):
            yield from (f"{folder}{fs.sep}{name}" for name in files)
