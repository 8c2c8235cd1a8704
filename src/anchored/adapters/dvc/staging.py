"""Files that are on their way into a folder: complete and proven before one has its final name.

They are made in a hidden folder of their own inside of it, as the tree that they will be, and whole
folders are then renamed into place: a rename for each of many small files would cost as much again
as making it (seen with ext4, Linux 6.18).
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Sequence

from anchored.adapters.dvc.conflicts import Conflicts, in_the_way
from anchored.adapters.dvc.hashed_copy import md5_of_file
from anchored.decisions.objects import md5_of
from anchored.decisions.restoring import WantedFile, folders_of

PREFIX = ".anchored-restoring-"


class Staging:
    """A tree in the making, to be placed into `conflicts`."""

    def __init__(self, conflicts: Conflicts) -> None:
        self._standing = conflicts
        root = conflicts.root
        self._left = [os.path.join(root, n) for n in os.listdir(root) if n.startswith(PREFIX)]
        self.root = os.path.join(root, PREFIX + uuid.uuid4().hex[:8])

    def prepare(self, files: Sequence[WantedFile]) -> None:
        """Makes the folders that the files need."""
        os.mkdir(self.root)
        for folder in folders_of(file.path for file in files):
            os.mkdir(os.path.join(self.root, folder))

    def place_of(self, file: WantedFile) -> str:
        """Where the file is made."""
        return os.path.join(self.root, file.path)

    def took_up(self, file: WantedFile) -> bool:
        """Whether a call that was killed has left this file whole; it is taken over then."""
        for left in self._left:
            name = os.path.join(left, file.path)
            if (
                file.hash_name == "md5"
                and os.path.isfile(name)
                and not os.path.islink(name)
                and md5_of_file(name) == md5_of(file.oid)
            ):
                os.rename(name, self.place_of(file))
                return True
        return False

    def place(self, files: Iterable[WantedFile]) -> None:
        """Gives files that are made their final names. Raises `WrongUse`, replacing nothing."""
        for path in dict.fromkeys(self._standing.topmost_missing(f.path) for f in files):
            goal = os.path.join(self._standing.root, path)
            if os.path.lexists(goal):
                raise in_the_way(goal, "it came to be there meanwhile")
            os.rename(os.path.join(self.root, path), goal)

    def give_up(self) -> None:
        """Takes away what this call has made."""
        shutil.rmtree(self.root, ignore_errors=True)

    def drop(self) -> None:
        """Takes away what is left of this call and of those that were killed."""
        for folder in (self.root, *self._left):
            shutil.rmtree(folder, ignore_errors=True)
