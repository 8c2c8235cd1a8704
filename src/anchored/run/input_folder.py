"""The inputs in the user's folder, compared with what the branch has recorded of them.

Git moves the pointers and leaves the data in the folder: after a retrain, or a `git pull` without
`dvc pull`, it still has an earlier version. Versioned again, that would undo the newer one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from anchored.decisions.pointers import LEGACY_HASH, pointer_path, readable_pointers
from anchored.errors import AnchoredError, BadInput, ServiceFailed
from anchored.records import Pointer
from anchored.run.version_data import committed_pointer
from anchored.training_repo import TrainingRepo


class Content(StrEnum):
    """What the folder holds at an input's path."""

    MISSING = "missing"
    UNVERSIONED = "unversioned"  # the commit has no pointer to compare with
    CURRENT = "current"
    BEHIND = "behind"  # an earlier version, and not the newest
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Input:
    """An input in the user's folder; `md5` is that of an earlier version, else empty."""

    path: str
    content: Content
    md5: str = ""


def refuse_behind(repo: TrainingRepo, commit: str, *, snapshot: bool) -> None:
    """Raises `BadInput` where the folder holds an earlier version of an input than the branch.

    With `snapshot`, the newest is what the working tree's pointer says. Caches no data.
    """
    inputs = repo.config.data.inputs
    found = compare(repo, inputs, commit, snapshot=snapshot)
    if behind := [one.path for one in found if one.content == Content.BEHIND]:
        others = f", and of {', '.join(behind[1:])}," if behind[1:] else ""
        raise BadInput(
            behind[0],
            f"your folder has an earlier version of it{others} than the branch",
            hint="`dvc pull` brings the newest; --data-from-folder takes yours all the same",
        )


def behind_in_folder(repo: TrainingRepo, *, pull: bool = False) -> tuple[str, ...]:
    """The inputs of which the user's folder has an earlier version than HEAD.

    With `pull`, each of them, and those that are missing, is first brought to what HEAD's pointer
    names. Only bytes that an earlier commit has are replaced: what is new in the folder is left,
    with a warning, and so is what is behind a link out of the repository.
    """
    if repo.code.managed:
        return ()
    try:
        head = repo.code.head()
        found = compare(repo, repo.config_at(head).data.inputs, head)
    except AnchoredError as error:  # what this is asked after has been done, and stays done
        repo.report.warn(f"whether your folder is behind is not known: {error.message}")
        return ()
    return tuple(
        one.path
        for one in found
        if not (pull and _is_pulled(repo, one, head)) and one.content == Content.BEHIND
    )


def check_stays_inside(repo: TrainingRepo, path: str) -> None:
    """Raises `BadInput` where a folder on the way, or the path itself, is a link out of the repo.

    What DVC has linked into its cache, wherever that is, is the data store's to judge.
    """
    parent = (repo.root / path).parent
    real, home = os.path.realpath(parent), os.path.realpath(repo.root)
    if real != home and not real.startswith(home + os.sep):
        raise BadInput(path, f"is behind a link that leaves the repository: {Path(real)}")
    repo.store.check_link(path)


def compare(
    repo: TrainingRepo, inputs: Sequence[str], commit: str, *, snapshot: bool = False
) -> tuple[Input, ...]:
    """What the folder has of each input, by the commit's pointers and by those of its history.

    Each content is hashed once, and DVC remembers the hash; history is read only where some is not
    what the commit names. Raises `NotReady` and `GitRemoteFailed` where that history is not here.
    """
    files = [pointer_path(path) for path in inputs]
    if snapshot:
        texts = [f.read_bytes() if (f := repo.root / file).is_file() else None for file in files]
    else:
        texts = repo.code.read_many([(commit, file) for file in files])
    found: dict[str, Input] = {}
    contents: dict[str, _Hashes] = {}
    for path, text in zip(inputs, texts, strict=True):
        newest = _pointers(path, [text] if text else [])
        if not (repo.root / path).exists():
            found[path] = Input(path, Content.MISSING if newest else Content.UNVERSIONED)
        elif not newest:
            found[path] = Input(path, Content.UNVERSIONED)
        elif (here := _Hashes(repo, path)).is_any(newest):
            found[path] = Input(path, Content.CURRENT)
        else:
            contents[path] = here
    if contents:
        versions = repo.code.versions(commit, [pointer_path(path) for path in contents])
        for path, here in contents.items():
            is_behind = here.is_any(_pointers(path, versions[pointer_path(path)]))
            found[path] = (
                Input(path, Content.BEHIND, here.md5) if is_behind else Input(path, Content.NEW)
            )
    return tuple(found[path] for path in inputs)


class _Hashes:
    """The hashes of what the folder has at a path, each computed when it is first asked for."""

    def __init__(self, repo: TrainingRepo, path: str) -> None:
        self._repo, self._path = repo, path
        self._known: dict[str, Pointer] = {}

    @property
    def md5(self) -> str:
        return self._hashed("md5").md5

    def is_any(self, pointers: Sequence[Pointer]) -> bool:
        """Whether it is what one of these names; what cannot be versioned never is."""
        try:
            return any(map(self._is, pointers))
        except BadInput:
            return False

    def _is(self, pointer: Pointer) -> bool:
        here = self._hashed("md5")
        if here.md5 == pointer.md5:
            return True
        # Of DVC 2, which overlooked line ends. Hashing so, DVC forgets the other hash again.
        is_legacy = pointer.hash_name == LEGACY_HASH and pointer.size in {0, here.size}
        return is_legacy and self._hashed(LEGACY_HASH).md5 == pointer.md5

    def _hashed(self, hash_name: str) -> Pointer:
        if hash_name not in self._known:
            place, report = self._repo.root / self._path, self._repo.report
            hashed = self._repo.store.hashed_content(place, self._path, hash_name, report)
            self._known[hash_name] = hashed
        return self._known[hash_name]


def _pointers(path: str, texts: Iterable[bytes]) -> tuple[Pointer, ...]:
    """What versions of a path's `.dvc` file name as its content."""
    file = pointer_path(path)
    return tuple(p for text in texts for p in readable_pointers(text, file) if p.path == path)


def _is_pulled(repo: TrainingRepo, one: Input, commit: str) -> bool:
    """Whether an input was brought to what a commit names."""
    if one.content == Content.NEW:
        repo.report.warn(f"{one.path} in your folder is of no commit of the branch: left as it is")
    if one.content not in {Content.BEHIND, Content.MISSING}:
        return False
    try:
        check_stays_inside(repo, one.path)
        pointer = committed_pointer(repo, one.path, commit)
        with repo.journals.scratch() as scratch:
            done = pointer is not None and repo.store.renew(pointer, one.md5, scratch, repo.report)
    except (BadInput, ServiceFailed) as error:
        repo.report.warn(f"{one.path} could not be brought to your folder: {error.message}")
        return False
    if done:
        repo.report.say(f"{one.path} in your folder is the newest version now")
    else:
        repo.report.warn(f"{one.path} is left: something else is there, or a file that DVC ignores")
    return done
