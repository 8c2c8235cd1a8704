"""The clones of training repos given by their URLs, in the user's cache folder.

One folder for each URL and branch, for the user's eyes only: Git keeps in it what it logs in with.
The clone is in it under the repository's own name, which is what an experiment is called after.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from anchored.adapters.git.managed_clone import MARKED, ManagedClone, locked
from anchored.decisions.git_address import GitAddress
from anchored.errors import NotReady
from anchored.ports import Report
from anchored.system.cache_folder import cache_folder


class Clones:
    """The clones that this user has."""

    def __init__(self) -> None:
        self._folder = cache_folder() / "clones"

    def folder(self, address: GitAddress) -> Path:
        """Where the clone of an address is, or will be."""
        return self._folder / address.folder / address.name

    def opened(self, address: GitAddress, report: Report) -> Path:
        """The clone of an address, at the tip of its branch; made where there is none.

        Other processes that open it wait meanwhile. One whose making is interrupted does not exist.
        Raises `GitRemoteFailed`, `NotReady`.
        """
        root = self.folder(address)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NotReady(
                f"the clone of {address.shown} has no place: {error}",
                hint="let XDG_CACHE_HOME name a folder that can be written to",
            ) from error
        with locked(self._folder / address.folder):
            if not root.exists():
                report.say(f"cloning {address.shown}")
                self._make(address)
                return root
            report.say(f"fetching from {address.shown}")
            clone = ManagedClone(root)
            if not clone.managed:
                raise NotReady(f"{root} is no clone of Anchored's", hint="move it out of the way")
            clone.use(address.url)
            clone.follow(address.branch)
        return root

    def _make(self, address: GitAddress) -> None:
        """A clone under another name, until it is complete."""
        begun = f"{address.folder}.new-"
        for leftover in self._folder.glob(f"{begun}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=begun, dir=self._folder))  # of mode 0700
        try:
            clone = ManagedClone.cloned(address.url, folder / address.name, MARKED)
            clone.follow(address.branch)
            folder.rename(self._folder / address.folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
