"""What stands in a folder that files are to be put into: kept if it is the same, never replaced."""

from __future__ import annotations

import fcntl
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from anchored.decisions.restoring import WantedFile
from anchored.errors import WrongUse

ELSEWHERE = "name another folder with --to, or take it away"


class Conflicts:
    """The folder `root`, a real path, which need not be there yet."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._folders: dict[str, bool] = {}

    def split(self, files: Iterable[WantedFile]) -> tuple[list[WantedFile], list[WantedFile]]:
        """Files that are not there yet, and those in whose place a file stands.

        Raises `WrongUse` for what can be neither, and for links that lead out of the folder.
        """
        missing: list[WantedFile] = []
        present: list[WantedFile] = []
        for file in files:
            there = self.holds(posixpath.dirname(file.path)) and self._is_file(file.path)
            (present if there else missing).append(file)
        return missing, present

    def holds(self, folder: str) -> bool:
        """Whether a folder, by its path from the root, is there. Raises as `split`."""
        if folder in self._folders:
            return self._folders[folder]
        there, path = True, ""
        for part in ["", *folder.split("/")] if folder else [""]:
            path = posixpath.join(path, part)
            if path not in self._folders:
                self._folders[path] = there and self._is_folder(path)
            there = self._folders[path]
        return there

    def topmost_missing(self, path: str) -> str:
        """What has to come to the root for a missing file to be there: it, or a folder above."""
        while (folder := posixpath.dirname(path)) and not self.holds(folder):
            path = folder
        return path

    def _is_folder(self, path: str) -> bool:
        name = os.path.join(self.root, path) if path else self.root
        if not os.path.lexists(name):
            return False
        if not os.path.isdir(name):
            raise in_the_way(name, "where a folder has to be")
        self._refuse_leaving(name)
        return True

    def _is_file(self, path: str) -> bool:
        name = os.path.join(self.root, path)
        try:
            mode = os.lstat(name).st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(mode):
            self._refuse_leaving(name)
        if not os.path.isfile(name):
            raise in_the_way(name, "where a file has to be")
        return True

    def _refuse_leaving(self, name: str) -> None:
        real = os.path.realpath(name)
        if real != self.root and not real.startswith(self.root.rstrip(os.sep) + os.sep):
            raise WrongUse(f"{name} is a link that leads elsewhere: {real}", hint=ELSEWHERE)


def in_the_way(name: str, problem: str) -> WrongUse:
    """The error for what stands where a file is to be put."""
    return WrongUse(f"{name} is in the way, {problem}", hint=ELSEWHERE)


@contextmanager
def claimed(folder: str) -> Iterator[None]:
    """Nobody else puts files into the folder meanwhile, made if need be. Raises `WrongUse`."""
    try:
        os.makedirs(folder, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise WrongUse(f"cannot write to {folder}: {error.strerror}", hint=ELSEWHERE) from error
    try:
        _lock(held, folder)
        yield
    finally:
        os.close(held)


def _lock(held: int, folder: str) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise WrongUse(f"another command is writing to {folder}", hint=ELSEWHERE) from error
    except OSError:
        return  # a network's file system that locks no folders
