"""What a run has done so far, on disk: by it a run that was interrupted is resumed.

One folder a run in `.dvc/anchored/runs/`: the journal itself, the log, the worktree while
training runs, and what training left. Not in `.dvc/tmp`, which DVC's users may delete at any time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import IO, Any, Self

from anchored.errors import DiskFull, UnknownRun
from anchored.records import Environment, RunRecord
from anchored.system.file_lock import locked
from anchored.system.own_folder import OWN, own_folder

SCRATCH = "scratch-"  # prefix of a folder's name
KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
ROOM = 1 << 20  # bytes: enough for a journal and for the names of what training left
FOLDER = OWN / "runs"
# Runs that an earlier version opened are finished from there.
EARLIER = Path(".dvc") / "tmp" / "anchored"


class Step(IntEnum):
    """The last boundary that a run has passed; each is written after its effects are complete."""

    OPENING = 0  # nothing but the intention
    OPENED = 1  # the tracker has the run
    DATA_VERSIONED = 2  # inputs are in the cache, the source commit exists
    DATA_PUSHED = 3  # inputs were seen in the remote
    TRAINING = 4  # the command was started; beyond resuming
    TRAINED = 5  # it ended well; model, artifacts and log are set aside
    LOGGED = 6  # the tracker has params, metrics, artifacts
    MODEL_VERSIONED = 7  # the model is in the cache
    MODEL_PUSHED = 8  # and was seen in the remote
    COMMITTED = 9  # the snapshot commit exists, under its run ref, here
    PUBLISHED = 10  # and on the Git remote
    SEALED = 11  # tags were read back


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run is recorded and published: fixed when it opens, whatever is configured later.

    `tracker` is `[tracker]` with what the environment said, `dvc_remote` the remote's options and
    `name`, and `git_remote` its `name` and `url`. Secrets are not among them: they are looked up
    when they are needed. `checkout` has the settings of Git's by which its worktrees are written.
    """

    experiment: str = ""
    tracker: Mapping[str, Any] = field(default_factory=dict)
    dvc_remote: Mapping[str, Any] = field(default_factory=dict)
    git_remote: Mapping[str, str] = field(default_factory=dict)
    checkout: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Journal:
    """A run on its way. `key` names its folder.

    `base` is the commit of HEAD, `pinned` the one that its data is versioned upon:
    the same, or with `snapshot` a commit of the uncommitted changes as they were at its start.
    Of a run of `retrain` both are the branch's commit, and the user's folder plays no part.
    `places` is None in a journal of an earlier version.
    """

    key: str
    run: RunRecord
    step: Step
    base: str
    pinned: str
    snapshot: bool = False
    retrain: bool = False
    places: Places | None = None
    environment: Environment = field(default_factory=Environment)
    output_files: tuple[str, ...] = ()

    def at(self, step: Step, **changes: Any) -> Self:
        """This journal one boundary on, with some fields of its run replaced."""
        return replace(self, step=step, run=self.run.with_(**changes))

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "run": self.run.to_json(),
            "step": self.step.name,
            "base": self.base,
            "pinned": self.pinned,
            "snapshot": self.snapshot,
            "retrain": self.retrain,
            "places": self.places and asdict(self.places),
            "environment": json.loads(self.environment.render()),
            "output_files": list(self.output_files),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            key=value["key"],
            run=RunRecord.from_json(value["run"]),
            step=Step[value["step"]],
            base=value["base"],
            pinned=value["pinned"],
            snapshot=value["snapshot"],
            retrain=value.get("retrain", False),
            places=Places(**value["places"]) if value.get("places") else None,
            environment=Environment.parse(json.dumps(value["environment"])),
            output_files=tuple(value["output_files"]),
        )


def new_key() -> str:
    """A key that no other run has."""
    return uuid.uuid4().hex


# Locks of the runs that this process owns, whichever `Journals` took them.
_OWNED: dict[Path, IO[str]] = {}


def owns_any() -> bool:
    """Whether this process owns a run, or a folder for a moment."""
    return bool(_OWNED)


@contextmanager
def _written_to_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if DiskFull.is_meant_by(error):
            raise DiskFull(str(error)) from error
        raise


class Journals:
    """The journals of one repository. Each write is atomic and on disk before it returns."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder, self._earlier = root / FOLDER, root / EARLIER

    def home(self, key: str) -> Path:
        """The run's own folder. Raises `UnknownRun` for what is no key: it may be anybody's."""
        if not KEY.fullmatch(key):
            raise UnknownRun(f"{key!r} is no key of a run")
        earlier = self._earlier / key
        return earlier if earlier.is_dir() else self.folder / key

    def _homes(self) -> list[Path]:
        """The folders of all runs."""
        places = [place for place in (self.folder, self._earlier) if place.is_dir()]
        homes = (home for place in places for home in place.iterdir())
        return sorted(home for home in homes if home.is_dir() and KEY.fullmatch(home.name))

    def tree(self, key: str) -> Path:
        """The run's worktree."""
        return self.home(key) / f"tree-{key[:8]}"

    def outputs(self, key: str) -> Path:
        """Where what training left is set aside, under its paths from the repo's root."""
        return self.home(key) / "outputs"

    def log(self, key: str) -> Path:
        """Training's output."""
        return self.home(key) / "train.log"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for a moment, on the file system that the DVC cache can be linked on."""
        with ExitStack() as ended:
            with self.locked():  # a folder that nobody owns yet is swept
                folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self.folder))
                self._own(folder.name)
            ended.callback(self.close, folder.name)
            yield folder

    @contextmanager
    def room_kept(self, key: str) -> Iterator[None]:
        """Keeps some room on the disk, for what must be written once the block has ended.

        Raises `DiskFull` where there is not even that much.
        """
        room = self.home(key) / "room"
        try:
            with _written_to_disk():
                # Not zeros, which some file systems keep without room.
                room.write_bytes(os.urandom(ROOM))
            yield
        finally:
            room.unlink(missing_ok=True)

    def begin(self, journal: Journal) -> Journal:
        """Puts a new run's journal on disk; this process owns the run from now on."""
        with self.locked():
            self.home(journal.key).mkdir()
            self._own(journal.key)
            return self.write(journal)

    def write(self, journal: Journal) -> Journal:
        """Puts a journal on disk and returns it. Raises `DiskFull`; what was there stays."""
        home = self.home(journal.key)
        new = home / "journal.json.new"
        with _written_to_disk(), new.open("w", encoding="utf-8") as stream:
            json.dump(journal.to_json(), stream, ensure_ascii=False)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(home / "journal.json")
        return journal

    def read(self, key: str) -> Journal | None:
        """The journal of this key; None where there is none."""
        try:
            text = (self.home(key) / "journal.json").read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):  # the folder holds lock files too
            return None
        return Journal.from_json(json.loads(text))

    def all(self) -> Iterator[Journal]:
        """Every journal: the runs that have not come to their end."""
        for home in self._homes():
            if (journal := self.read(home.name)) is not None:
                yield journal

    def claim(self, key: str) -> Journal | None:
        """Makes this process the owner of a run that no live process owns; None otherwise."""
        with self.locked():
            return self.read(key) if self.home(key).is_dir() and self._own(key) else None

    def live_runs(self) -> set[str]:
        """The ids of the runs that a live process works on, be it this one."""
        alive = set()
        for journal in self.all():
            if self.owns(journal.key) or self.claim(journal.key) is None:
                alive.add(journal.run.run_id)
            else:
                self.release(journal.key)
        return alive

    def owns(self, key: str) -> bool:
        """Whether this process is the run's owner already."""
        return self._owner(key) in _OWNED

    def _own(self, key: str) -> bool:
        """Takes the run's lock, which the kernel drops when this process ends, however it ends.

        A number and a host's name would not do: both come back, in a new container say.
        """
        file = self._owner(key)
        if file in _OWNED:
            return True
        try:
            stream = file.open("w")
        except (FileNotFoundError, NotADirectoryError):  # its owner has just closed it
            return False
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return False
        _OWNED[file] = stream
        return True

    def release(self, key: str) -> None:
        """Gives a run up for another process to take."""
        if (lock := _OWNED.pop(self._owner(key), None)) is not None:
            lock.close()

    def _owner(self, key: str) -> Path:
        return self.home(key) / "owner"

    def close(self, key: str) -> None:
        """Forgets a run that has come to its end."""
        # The journal first: interrupted here, the rest is a leftover and not a run.
        (self.home(key) / "journal.json").unlink(missing_ok=True)
        shutil.rmtree(self.home(key), ignore_errors=True)
        self.release(key)

    def sweep(self, remove_tree: Callable[[Path], None]) -> None:
        """Removes folders without a journal that no live process owns: a run was interrupted before
        its first or after its last word, or something else while it had a folder for a moment.
        """
        with self.locked():
            left = [
                home
                for home in self._homes()
                if not (home / "journal.json").exists()
                and not self.owns(home.name)
                and self._own(home.name)
            ]
        # They are ours from here on: nobody has to wait while what runs in them is ended.
        for home in left:
            for tree in home.glob("tree-*"):
                remove_tree(tree)
            self.close(home.name)

    @contextmanager
    def alone(self, what: str, report: Callable[[str], None]) -> Iterator[bool]:
        """Lets one process of this machine at a time do something; whether it had to wait.

        `report` hears of it before.
        """

        def say() -> None:
            report(f"another {what} of this repository is under way; waiting for its end")

        with locked(self._lock(what), on_wait=say) as waited:
            yield waited

    @contextmanager
    def locked(self, what: str = "journals") -> Iterator[None]:
        """Keeps others of this repository that want the same waiting; not to be entered twice.

        Without a name it is the lock of the folders themselves, to be held for a moment only.
        """
        with locked(self._lock(what)):
            yield

    def _lock(self, what: str) -> Path:
        own_folder(self._root)
        return self.folder / f"{what}.lock"
