"""What the core needs of the world: a code repo, a data store, a tracker, and someone to tell.

Each is a small Protocol with one adapter or more behind it. Only values of `anchored.records` and
plain Python cross it; every foreign error is turned into one of `anchored.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from anchored.decisions.audit_facts import Holdings, ObjectName
from anchored.records import (
    CommitStanding,
    CommitText,
    Ended,
    Environment,
    ModelVersion,
    ParamValue,
    Pointer,
    TrackedRun,
)


class Report(Protocol):
    """Where progress goes. The core never prints; whoever opens the workspace decides."""

    def say(self, text: str) -> None:
        """One line that a person following the run wants to read."""

    def warn(self, text: str) -> None:
        """One line that a person should act on, though the work goes on."""

    def output(self, line: str) -> None:
        """One line of the training's own output, secrets already masked."""

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None:
        """How far a long piece of work has come; called often, cheap to ignore.

        `done` and `total` count objects, or bytes where `unit` is `B`; `total` 0 is unknown.
        """


class Silent:
    """A `Report` for nobody."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def output(self, line: str) -> None: ...

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None: ...


SILENT = Silent()


class Advance(StrEnum):
    """What became of the user's branch once a run was sealed."""

    FORWARDED = "forwarded"
    MERGED = "merged"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class BranchOutcome:
    """How the branch was advanced, where it stands, and if it was left, why."""

    advance: Advance
    commit: str = ""
    reason: str = ""


class CodeRepo(Protocol):
    """A Git repository with a working tree.

    The user's tree is only ever fast-forwarded. A clone that Anchored keeps has none of the user's,
    and stands where the remote's branch does.
    """

    root: Path

    @property
    def managed(self) -> bool:
        """Whether this is a clone that Anchored keeps, with no work of the user's in it."""

    def head(self) -> str:
        """The SHA of HEAD. Raises `NotReady` where there is no commit yet."""

    def branch(self) -> str:
        """The checked-out branch; empty where HEAD is detached."""

    def remote_url(self) -> str:
        """The URL that pushes go to, without credentials; empty without a remote."""

    def remote_settings(self) -> dict[str, str]:
        """The `name` and `url` of the remote that pushes go to; empty without one."""

    def changed_files(self) -> tuple[str, ...]:
        """Tracked files that differ from HEAD in index or working tree, from the repo's root."""

    def tracked_under(self, path: str) -> tuple[str, ...]:
        """Files in Git's index at or below a path."""

    def untracked_files(self) -> tuple[str, ...]:
        """Files that Git neither tracks nor ignores."""

    def untrack(self, paths: Sequence[str]) -> None:
        """Takes files out of Git's index; the files stay."""

    def ignored_from(
        self, path: str, rules: Mapping[str, bytes] | None = None
    ) -> tuple[str, str] | None:
        """For an ignored path: its topmost ignored ancestor, and the `.gitignore` that says so.

        The `.gitignore` is empty where the rule stands outside the repo's own files. With `rules`,
        the repo's own files are these `.gitignore`s and not those of the working tree.
        """

    def read_now(self, path: str) -> bytes | None:
        """A file's content as it is in the working tree; None where it is not there."""

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at a commit; None where it is not there."""

    def read_many(self, places: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """The contents of files, each at (commit, path), all in one go; None where one is not."""

    def commits_changing(self, paths: Sequence[str]) -> tuple[str, ...]:
        """The commits that changed one of these files, newest first.

        Those of HEAD's history come before those that only other refs hold.
        """

    def versions(self, commit: str, files: Sequence[str]) -> dict[str, frozenset[bytes]]:
        """By path, all that files have been in a commit's history, deepened as for `standings`."""

    def pointer_files(self, commit: str) -> tuple[str, ...]:
        """The paths of all `.dvc` files of a commit."""

    def files_at(
        self, commits: Collection[str], wanted: Callable[[str], bool]
    ) -> dict[str, dict[str, bytes]]:
        """By commit, the files whose paths are wanted; those of a commit that is not here: none.

        Costs by the distinct folders of the commits, not by the commits.
        """

    def commit_texts(self, commits: Collection[str]) -> dict[str, CommitText]:
        """The messages of those commits that are here, all in one go."""

    def published_refs(self) -> Mapping[str, str]:
        """Every ref of the Git remote, or of this repository where there is none, with its object.

        Raises `GitRemoteFailed`.
        """

    def own_refs(self, prefix: str) -> Mapping[str, str]:
        """The refs of this repository that start so, each with its object."""

    def standings(
        self, commits: Collection[str], refs: Mapping[str, str]
    ) -> dict[str, CommitStanding]:
        """Where commits stand by the published refs.

        Those that the remote has are here afterwards; no ref has moved. Raises `GitRemoteFailed`,
        and `NotReady` where a shallow clone cannot be deepened to tell it.
        """

    def changed_between(self, one: str, other: str) -> tuple[tuple[str, str], ...]:
        """Files that differ between two commits, each with `added`, `removed` or `changed`."""

    def patch(self, one: str, other: str, *, without: Sequence[str]) -> str:
        """The lines that differ between two commits, but for files of these paths or patterns.

        A pattern is `*.ENDING`, for files at any depth.
        """

    def matching_lines(self, commit: str, pattern: str, files: str) -> tuple[str, ...]:
        """Lines that fit an extended regular expression, in a commit's files that fit a glob."""

    def bring_ref(self, ref: str) -> str:
        """The commit under a ref, brought here with the ref from the Git remote if need be.

        Empty where neither has the ref. Raises `GitRemoteFailed`.
        """

    def bring(self, commit: str, ref: str) -> CommitStanding:
        """Makes a commit be here, held by a ref, from the Git remote if need be.

        `ref` is the one that may hold it there. Moves no ref of the user's. Raises
        `GitRemoteFailed` where the remote does not answer, and `NotReady` where a shallow clone
        cannot be deepened to tell it.
        """

    def commit(
        self,
        parent: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        when: datetime,
        always: bool = False,
    ) -> str:
        """A commit on `parent` with these files written; the parent if that changes nothing.

        With `always` it is made for its message's sake as well. Runs no hooks, signs nothing and
        moves no ref; the same arguments give the same SHA.
        """

    def commit_working_tree(self, *, message: str, when: datetime) -> str:
        """A commit on HEAD of all tracked files as they are in the working tree; moves no ref."""

    def add_worktree(self, path: Path, commit: str) -> None:
        """A private checkout of a commit, submodules and LFS files included. No hooks run."""

    def remove_worktree(self, path: Path) -> None:
        """Takes a private checkout away, whatever is in it. Nothing there is no error."""

    def keep(self, ref: str, commit: str) -> None:
        """Points a ref of this repository at a commit."""

    def create(self, ref: str, commit: str) -> None:
        """Makes a ref of this repository. Raises `NotReady` where it is on another commit."""

    def forget(self, ref: str) -> None:
        """Takes a ref of this repository away. Nothing there is no error."""

    def publish(self, ref: str) -> None:
        """Makes a ref on the Git remote and sees it there; without a remote, does nothing.

        One that is there on another commit is never moved. Raises `GitRemoteFailed`; `transient`
        tells a lost connection from a refusal.
        """

    def advance(self, branch: str, *, base: str, commit: str, message: str) -> BranchOutcome:
        """Brings `commit`, made on `base`, into the user's branch where Git allows it.

        Of a clone that Anchored keeps, it is the branch on the Git remote; raises
        `GitRemoteFailed`.
        """


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was handed to training: enough to see that nobody wrote to it since."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What a push did: objects that the remote now holds, and those that had to be sent."""

    objects: int
    sent: int


@dataclass(frozen=True, slots=True)
class HandedFile:
    """A file that was handed out, by its path in the folder given; `size` is in bytes."""

    path: str
    md5: str
    size: int


class DataStore(Protocol):
    """DVC: content by hash, in a cache of this machine and in the repo's default remote."""

    def check_ready(self) -> None:
        """Raises `NotReady` where DVC or its default remote is not set up."""

    def remote_settings(self, committed: bytes | None) -> dict[str, Any]:
        """The default remote's `name` and options, but for secrets, paths made absolute.

        `committed` is `.dvc/config` as a commit has it. Raises `NotReady` without a remote.
        """

    def probe_remote(self) -> None:
        """Writes to the remote and takes it away again.

        Raises `NotReady` where the remote refuses, `RemoteFailed` where it does not answer.
        """

    def check_owner(self, path: str) -> None:
        """Raises `BadInput` where a `dvc.yaml` stage or another pointer owns the path."""

    def check_link(self, path: str) -> None:
        """Raises `BadInput` where the path is a link that leads neither into repo nor cache."""

    def check_content(self, path: str) -> None:
        """Raises `BadInput` where what stands at the path cannot be versioned.

        That is an empty folder, and one that holds links out of the repo or no regular files.
        """

    def add(self, file: Path, path: str, report: Report, *, move: bool = False) -> Pointer:
        """Hashes a file or folder into the cache, as the content of repo path `path`.

        With `move`, the file may be linked into the cache instead of copied.
        """

    def render_pointer(self, previous: bytes | None, pointer: Pointer) -> bytes:
        """The `.dvc` file for a pointer, keeping what else the user wrote in the previous one."""

    def push(self, pointers: Sequence[Pointer], report: Report) -> PushOutcome:
        """Sends what the remote lacks, then sees every object there by asking the remote."""

    def fetch(self, pointers: Sequence[Pointer], report: Report) -> int:
        """Makes the cache hold every object, whole; returns how many had to be fetched."""

    def checkout(self, pointers: Sequence[Pointer], into: Path, report: Report) -> dict[str, Stamp]:
        """Links the pointers' content into a tree; returns the stamp of every file."""

    def hand_out(
        self, pointers: Sequence[Pointer], into: Path, report: Report
    ) -> tuple[HandedFile, ...]:
        """The pointers' content at their paths below a folder, every byte hashed before.

        Files are the user's own, to change without harm to the cache, which need not hold them. One
        that is there already is left. Raises `WrongUse`, before anything is written, where other
        content is in the way; `BadInput` for paths that lead out of the folder; `ObjectLost`.
        """

    def changed(
        self, pointers: Sequence[Pointer], tree: Path, stamps: Mapping[str, Stamp]
    ) -> tuple[str, ...]:
        """Files under the pointers' paths that no longer have the content they were given."""

    def settled(self, pointers: Sequence[Pointer]) -> tuple[Pointer, ...]:
        """The pointers with the kind of hash that cache or remote hold them under."""

    def files_of(self, pointer: Pointer, report: Report) -> dict[str, str]:
        """Object by path, from the repo's root, of every file of a pointer.

        Raises `RemoteFailed` where neither cache nor remote has a folder's listing.
        """

    def sizes(self, hash_name: str, oids: Sequence[str], *, ask: bool) -> dict[str, int]:
        """Sizes in bytes of those objects that the cache has or, if it may be asked, the remote."""

    def hashed_content(
        self, file: Path, path: str, hash_name: str, report: Report = SILENT
    ) -> Pointer:
        """The pointer that a file or folder has as the content of a path; caches nothing."""

    def renew(self, pointer: Pointer, old: str, scratch: Path, report: Report) -> bool:
        """Puts a pointer's content into the user's folder, as `dvc checkout` does; else False.

        It replaces nothing but content whose MD5 is `old`, if that is given. Raises `BadInput`.
        """

    def mend(self, pointers: Sequence[Pointer], report: Report) -> tuple[str, ...]:
        """Hashes the pointers' cache objects, drops corrupt ones and fetches them again."""

    def surveyed(self, pointers: Collection[Pointer]) -> Holdings:
        """What the remote holds of all objects that the pointers need, by its own answer.

        Changes nothing, in the cache neither. Raises `RemoteFailed`.
        """

    def rotten(self, objects: Mapping[ObjectName, int], report: Report) -> dict[ObjectName, str]:
        """Hashes objects in the remote; returns those that are not what their names say.

        `objects` have their sizes in bytes. What is returned is what an object hashes to, and
        empty for one that is not there. Raises `RemoteFailed`.
        """


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An environment's root, with `bin/` in it, and in words what of a record it lacks."""

    home: Path
    missing: tuple[str, ...] = ()


class Environments(Protocol):
    """Training environments, built from what a commit locks or from what a run recorded."""

    def built(self, tree: Path, report: Report) -> Path:
        """The root of the environment for the commit checked out in a tree, with `bin/` in it."""

    def rebuilt(self, recorded: Environment, tree: Path, report: Report) -> Rebuilt:
        """The recorded Python and packages, as far as they can be had."""


@dataclass(frozen=True, slots=True)
class LoggedFiles:
    """Artifacts to log: a path in the run for each local file, or for text made here."""

    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)


NO_FILES = LoggedFiles()
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ModelContent:
    """A run's model, every byte hashed: the file or folder at `place`, whose hash is `md5`.

    It stands in a folder made for it alone, where more may be written. `environment` is the one it
    was trained in; None where that was not recorded.
    """

    place: Path
    md5: str
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class PageServer:
    """A module of ours that serves pages at 127.0.0.1, on the port that is its first argument.

    What may hold a password is in `settings`, for its environment: `ps` shows arguments.
    """

    module: str
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Pages:
    """Where people look at a tracker's runs: a URL, without credentials, of pages or of a folder.

    Without a URL it is on pages that a `server` would serve. `hint` is a command that shows what
    no browser does.
    """

    url: str = ""
    hint: str = ""
    server: PageServer | None = None


class Tracker(Protocol):
    """Where runs are recorded: MLflow, or W&B in its place. Every call may be repeated."""

    kind: str
    uri: str
    takes_runs: bool  # False: for runs of old alone, and what is found out about them
    keeps_models: bool  # whether a run's model is logged with it; else only once it is registered

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        """A new run in the state running."""

    def run(self, run_id: str) -> TrackedRun:
        """The run of this id. Raises `UnknownRun`: `DeletedRun` where it can be brought back."""

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        """The runs of these ids in any experiment, deleted ones too, in no order.

        Of an id that is none of the tracker's, or that it no longer knows, nothing.
        """

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        """The experiment's runs that have a tag of this value."""

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        """The experiment's runs of this name, or those of any experiment, newest first."""

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        """The experiment's runs whose id starts so, newest first."""

    def run_of_alias(self, model: str, alias: str) -> str:
        """The id of the run whose model a registry's alias names. Raises `UnknownRun`."""

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        """The version of a registered model that was made of a run's model with this hash."""

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A version of a registered model, made of a run's model; the one there is, if any.

        The registered model is made where there is none. The tags go to a new version, and so does
        the model's hash. Nothing is unpickled.
        """

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version of a registered model that bears an alias; None where none does."""

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        """Lets a version bear an alias, which no other then does; returns it with its aliases."""

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        """The experiment's runs, newest first."""

    def pages(self) -> Pages:
        """Where people look at the experiment's runs. Asks nobody."""

    def training_variables(self, run_id: str) -> dict[str, str]:
        """Environment variables by which a script's own tracker calls join the run."""

    def refuses_to_join(self, run_id: str, output: Sequence[str]) -> bool:
        """Whether training's last lines say that the script keeps a tracker of its own."""

    def metrics_kept_in(self, tree: Path) -> dict[str, float]:
        """Metrics that a script logged to a store of its own in the tree where it ran."""

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        """Logs what it is given, tags last; returns the params that the script logged otherwise.

        Those stay as they are. Tags are seen by reading them back; raises `TrackerFailed` where one
        was not kept.
        """

    def log_model(self, run_id: str, content: ModelContent, *, tags: Mapping[str, str]) -> None:
        """Logs a run's model; once, however often it is called. Nothing is unpickled."""

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """The bytes of one artifact; None where the run has none of that path."""

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        """The bytes of one artifact by run id, for those of the runs that have it."""

    def picture_url(self, run_id: str, path: str) -> str:
        """Where any browser gets an artifact as it is; empty where none does, or not without login.

        Asks nobody whether the run has it.
        """

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        """Marks the run as ended, under the name that it was opened with."""

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        """Marks an ended run as running again, and takes tags away as far as it has them."""
