"""Git as the code repo, through GitPython.

The user's working tree, index and HEAD are changed by one command only, `git merge --ff-only`.
Commits are made with plumbing on a private index: no hook runs, nothing is signed (an unattended
run cannot type a passphrase), and no ref moves before its bytes are where they belong.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import git
from git.exc import GitCommandError, InvalidGitRepositoryError, NoSuchPathError

from anchored.adapters.git import changes as git_changes
from anchored.adapters.git.branch_plan import BranchPlan
from anchored.adapters.git.objects import commit_texts, objects
from anchored.adapters.git.reachability import refs_in
from anchored.adapters.git.remote import LFS_POINTER, GitRemote, remote_failed
from anchored.adapters.git.submodules import add_submodules
from anchored.adapters.git.timeouts import timeouts
from anchored.adapters.git.trees import files_at
from anchored.adapters.git.user_branch import UserBranch
from anchored.decisions.redaction import redact, url_without_credentials
from anchored.errors import NotReady
from anchored.ports import BranchOutcome
from anchored.records import CommitStanding, CommitText
from anchored.system.disk_room import disk_full, on_disk

NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
NEVER_SPARSE = ("-c", "core.sparseCheckout=false", "-c", "index.sparse=false")
# Set where Git itself starts us, as in a hook: they would lead commands into another repository.
MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX",
              "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE",
              "GIT_QUARANTINE_PATH")  # fmt: skip
LINE_ENDS = {"core.autocrlf": "false", "core.eol": "native"}  # with Git's own defaults
FALLBACK_NAME, FALLBACK_EMAIL = "Anchored", "anchored@localhost"


class GitRepo:
    """The Git repository whose working tree starts at `root`.

    `remote` has the `name` and `url` of a remote to use in place of the configured one, `checkout`
    the settings by which worktrees are written in place of today's.
    """

    def __init__(
        self,
        root: Path,
        remote: Mapping[str, str] | None = None,
        checkout: Mapping[str, str] | None = None,
    ) -> None:
        self._fixed_remote, self._fixed_checkout = remote, checkout
        _forget_misleading_variables()
        try:
            self._repo = git.Repo(root)
        except (InvalidGitRepositoryError, NoSuchPathError) as error:
            raise NotReady(
                f"{root} is not in a Git repository", hint="run `git init`, or give --repo"
            ) from error
        if self._repo.bare or self._repo.working_tree_dir is None:
            raise NotReady(f"{root} is a bare Git repository, without files to train on")
        self.root = Path(self._repo.working_tree_dir)

    @staticmethod
    def top_level(start: Path) -> Path:
        """The root of the working tree around a folder. Raises `NotReady` outside of one."""
        _forget_misleading_variables()
        try:
            repo = git.Repo(start, search_parent_directories=True)
        except (InvalidGitRepositoryError, NoSuchPathError) as error:
            raise NotReady(
                f"{start} is not in a Git repository", hint="run `git init`, or give --repo"
            ) from error
        if repo.working_tree_dir is None:
            raise NotReady(f"{start} is a bare Git repository, without files to train on")
        return Path(repo.working_tree_dir)

    @classmethod
    def cloned(cls, url: str, folder: Path, *settings: str) -> Self:
        """A clone of all that is at a URL, with no files yet. Raises `GitRemoteFailed`.

        `settings` are KEY=VALUEs of its own configuration.
        """
        _forget_misleading_variables()
        program = git.Git(folder.parent)
        ssh = program.execute(["git", "config", "core.sshCommand"], with_exceptions=False)
        given = [arg for setting in settings for arg in ("--config", setting)]
        command = ["git", *NO_HOOKS, "clone", "--quiet", "--no-checkout", "--origin=origin", *given,
                   "--", url, str(folder)]  # fmt: skip
        _, refusal = _tried(lambda: str(program.execute(command, env=timeouts(str(ssh).strip()))))
        if refusal is not None:
            what = f"cannot clone {url_without_credentials(url)}"
            raise disk_full(OSError(refusal)) or remote_failed(what, refusal)
        return cls(folder)

    @property
    def managed(self) -> bool:
        """Whether this is a clone that Anchored keeps, with no work of the user's in it."""
        with self._repo.config_reader("repository") as config:
            return config.get_value("anchored", "managed", default=False) is True

    def _git(self, *args: str, **options: Any) -> str:
        """Output of `git ARGS` at the root, verbatim; other options are GitPython's."""
        command = [self._repo.git.GIT_PYTHON_GIT_EXECUTABLE, *NO_HOOKS, *args]
        output = self._repo.git.execute(command, strip_newline_in_stdout=False, **options)
        return str(output)

    # --- what is there --------------------------------------------------------------------------

    def head(self) -> str:
        """The SHA of HEAD. Raises `NotReady` where there is no commit yet."""
        try:
            return self._repo.head.commit.hexsha
        except (ValueError, OSError) as error:
            # OSError: the `git cat-file` that GitPython talks to has refused and gone already.
            try:
                self._git("status", "--porcelain", "--untracked-files=no")
            except GitCommandError as refusal:
                raise NotReady(
                    f"Git refuses this repository: {_said(refusal)}",
                    hint=f"if you trust it: git config --global --add safe.directory '{self.root}'",
                ) from refusal
            raise NotReady(
                "the repository has no commit yet",
                hint="commit your code first: a run is pinned to a commit",
            ) from error

    def branch(self) -> str:
        """The checked-out branch; empty where HEAD is detached."""
        return "" if self._repo.head.is_detached else self._repo.active_branch.name

    @cached_property
    def _remote(self) -> GitRemote:
        return GitRemote(self._git, self._tried, self.branch(), self._fixed_remote)

    def remote_url(self) -> str:
        """The URL that pushes go to, without credentials; empty without a remote."""
        return self._remote.url()

    def remote_settings(self) -> dict[str, str]:
        """The `name` and `url` of the remote that pushes go to; empty without one."""
        return self._remote.settings()

    def changed_files(self) -> tuple[str, ...]:
        """Tracked files that differ from HEAD in index or working tree, from the repo's root."""
        out = self._git("--no-optional-locks", "status", "--porcelain", "-z",
                        "--untracked-files=no", "--no-renames")  # fmt: skip
        return tuple(sorted(entry[3:] for entry in out.split("\0") if entry))

    def tracked_under(self, path: str) -> tuple[str, ...]:
        """Files in Git's index at or below a path."""
        out = self._git("ls-files", "-z", "--", f":(literal,top){path}")
        return tuple(name for name in out.split("\0") if name)

    def untracked_files(self) -> tuple[str, ...]:
        """Files that Git neither tracks nor ignores."""
        out = self._git("ls-files", "-z", "--others", "--exclude-standard")
        return tuple(name for name in out.split("\0") if name)

    def untrack(self, paths: Sequence[str]) -> None:
        """Takes files out of Git's index; the files stay."""
        self._git("rm", "--quiet", "--cached", "--", *(f":(literal,top){path}" for path in paths))

    def ignored_from(
        self, path: str, rules: Mapping[str, bytes] | None = None
    ) -> tuple[str, str] | None:
        """For an ignored path: its topmost ignored ancestor, and the `.gitignore` that says so."""
        if rules is None:
            return self._ignored_from(path, str(self.root))
        with tempfile.TemporaryDirectory(prefix="anchored-ignores-") as tree:
            Path(tree, path).parent.mkdir(parents=True, exist_ok=True)
            for file, text in rules.items():
                Path(tree, file).write_bytes(text)
            return self._ignored_from(path, tree)

    def _ignored_from(self, path: str, tree: str) -> tuple[str, str] | None:
        parts = path.split("/")
        ancestors = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        folders = [f"{a}/" for a in ancestors[:-1]] + [path]
        with tempfile.TemporaryFile() as names:
            names.write("\0".join([*folders, ""]).encode())
            names.seek(0)
            # Exit status 1 says that nothing is ignored, and `-n` makes something be said of all.
            out = self._git(f"--git-dir={self._repo.git_dir}", "--work-tree=.", "-C", tree,
                            "check-ignore", "--no-index", "--stdin", "-v", "-n", "-z",
                            istream=names, with_exceptions=False)  # fmt: skip
        fields = out.split("\0")
        if len(fields) < 4 * len(folders):
            raise NotReady(f"Git does not say whether {path} is ignored: {out}")
        for source, _, pattern, name in zip(*[iter(fields)] * 4, strict=False):
            if pattern and not pattern.startswith("!"):
                inside = not os.path.isabs(source) and not source.startswith(".git/")
                return name.rstrip("/"), source if inside and source else ""
        return None

    def read_now(self, path: str) -> bytes | None:
        """A file's content as it is in the working tree; None where it is not there."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at a commit; None where it is not there."""
        try:
            blob = self._repo.commit(commit).tree / path
        except KeyError:
            return None
        return bytes(blob.data_stream.read()) if blob.type == "blob" else None

    def read_many(self, places: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """The contents of files, each at (commit, path), all in one go; None where one is not."""
        return objects(self._git, [f"{commit}:{path}" for commit, path in places], "blob")

    def files_at(
        self, commits: Collection[str], wanted: Callable[[str], bool]
    ) -> dict[str, dict[str, bytes]]:
        """By commit, the files whose paths are wanted; those of a commit that is not here: none."""
        return files_at(self._git, commits, wanted)

    def commit_texts(self, commits: Collection[str]) -> dict[str, CommitText]:
        """The messages of those commits that are here, all in one go."""
        return commit_texts(self._git, commits)

    def commits_changing(self, paths: Sequence[str]) -> tuple[str, ...]:
        """The commits that changed one of these files, newest first, HEAD's own before others."""
        return git_changes.commits_changing(self._git, paths)

    def versions(self, commit: str, files: Sequence[str]) -> dict[str, frozenset[bytes]]:
        """By path, all that files have been in a commit's history, brought here if need be."""
        self._remote.deepen()
        return git_changes.versions(self._git, commit, files)

    def pointer_files(self, commit: str) -> tuple[str, ...]:
        """The paths of all `.dvc` files of a commit."""
        out = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        return tuple(name for name in out.split("\0") if name.endswith(".dvc"))

    def changed_between(self, one: str, other: str) -> tuple[tuple[str, str], ...]:
        """Files that differ between two commits, each with `added`, `removed` or `changed`."""
        return git_changes.changed_between(self._git, one, other)

    def patch(self, one: str, other: str, *, without: Sequence[str]) -> str:
        """The lines that differ between two commits, but for files of these paths or patterns."""
        return git_changes.patch(self._git, one, other, without=without)

    # --- commits --------------------------------------------------------------------------------

    @on_disk()
    def commit(
        self,
        parent: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        when: datetime,
        always: bool = False,
    ) -> str:
        """A commit on `parent` with these files written; the parent if that changes nothing."""
        with self._private_index() as env:
            self._git("read-tree", parent, env=env)
            tree = self._tree_with(env, files)
        if not always and self._is_tree_of(tree, parent):
            return parent
        return self._commit_tree(tree, [parent], message, when)

    @on_disk()
    def commit_working_tree(self, *, message: str, when: datetime) -> str:
        """A commit on HEAD of all tracked files as they are in the working tree; moves no ref."""
        head = self.head()
        with self._private_index() as env:
            # From a copy of the user's index: it knows files that were added but not committed.
            index = Path(self._repo.git_dir) / "index"
            if index.exists():
                shutil.copyfile(index, env["GIT_INDEX_FILE"])
            self._git("add", "--update", "--", ":/", env=env)
            tree = self._tree_with(env, {})
        return (
            head
            if self._is_tree_of(tree, head)
            else (self._commit_tree(tree, [head], message, when))
        )

    @contextmanager
    def _private_index(self) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix="anchored-index-") as folder:
            yield {"GIT_INDEX_FILE": os.path.join(folder, "index")}

    def _tree_with(self, env: Mapping[str, str], files: Mapping[str, bytes]) -> str:
        for path, content in files.items():
            blob = self._fed("hash-object", "-w", "--stdin", given=content)
            entry = f"100644,{blob},{path}"
            self._git("update-index", "--add", "--cacheinfo", entry, env=dict(env))
        return self._git("write-tree", env=dict(env)).strip()

    def _is_tree_of(self, tree: str, commit: str) -> bool:
        return tree == self._repo.commit(commit).tree.hexsha

    def _fed(self, *args: str, given: bytes, **options: Any) -> str:
        """The one word that a command answers what it is given on its standard input with."""
        with tempfile.TemporaryFile() as stream:
            stream.write(given)
            stream.seek(0)
            return self._git(*args, istream=stream, **options).strip()

    def _commit_tree(self, tree: str, parents: list[str], message: str, when: datetime) -> str:
        args = [arg for parent in parents for arg in ("-p", parent)]
        stamp = f"{int(when.timestamp())} +0000"
        env = self._identity | {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        # From a file: a single argument has its limit, 128 KB on Linux.
        return self._fed(
            "-c", "i18n.commitEncoding=UTF-8", "commit-tree", "--no-gpg-sign", tree, *args,
            "-F", "-", given=message.encode(), env=env,
        )  # fmt: skip

    @cached_property
    def _identity(self) -> dict[str, str]:
        """Who commits: the user as Git knows them, or a fallback where Git would refuse."""
        identity: dict[str, str] = {}
        for who in ("GIT_AUTHOR", "GIT_COMMITTER"):
            try:
                self._git("-c", "user.useConfigOnly=true", "var", f"{who}_IDENT")
            except GitCommandError:
                identity |= {f"{who}_NAME": FALLBACK_NAME, f"{who}_EMAIL": FALLBACK_EMAIL}
        return identity

    # --- private worktrees ----------------------------------------------------------------------

    def checkout_settings(self) -> dict[str, str]:
        """Git's settings, by key, that decide which bytes a checkout writes for a text file."""
        return {
            key: self._git("config", key, with_exceptions=False).strip() or default
            for key, default in LINE_ENDS.items()
        }

    def add_worktree(self, path: Path, commit: str) -> None:
        """A private checkout of a commit, submodules and LFS files included. No hooks run."""
        self.remove_worktree(path)
        try:
            # Git copies the user's sparse checkout into a new worktree's own configuration.
            self._git("worktree", "add", "--no-checkout", "--detach", "--force", str(path), commit)
            line_ends = self._fixed_checkout or self.checkout_settings()
            fixed = [arg for item in line_ends.items() for arg in ("-c", "=".join(item))]
            self._git(*NEVER_SPARSE, *fixed, "-C", str(path), "reset", "--hard", "--quiet", commit)
            add_submodules(self._git, path, self.root, self._remote.timeouts)
        except GitCommandError as error:
            self.remove_worktree(path)
            raise disk_full(error) or NotReady(
                f"the source commit cannot be checked out: {_said(error)}"
            ) from error
        self._refuse_absent_lfs(path)

    def _refuse_absent_lfs(self, tree: Path) -> None:
        """LFS files whose content is not here would be trained on as pointers: never silently."""
        attributes = list(tree.rglob(".gitattributes"))
        if not any("filter=lfs" in file.read_text(errors="replace") for file in attributes):
            return
        out = self._git("-C", str(tree), "ls-files", "-z", ":(attr:filter=lfs)")
        for name in filter(None, out.split("\0")):
            with (tree / name).open("rb") as stream:
                if stream.read(len(LFS_POINTER)) == LFS_POINTER.encode():
                    self.remove_worktree(tree)
                    raise NotReady(
                        f"{name} is kept in Git LFS and its content is not here",
                        hint="run `git lfs install` and `git lfs pull`",
                    )

    def remove_worktree(self, path: Path) -> None:
        """Takes a private checkout away, whatever is in it. Nothing there is no error."""
        if path.exists():
            _make_removable(path)
            shutil.rmtree(path, ignore_errors=True)
        # By name, not by `worktree prune`: that would also forget the user's own on other disks.
        with suppress(GitCommandError):
            self._git("worktree", "remove", "--force", "--force", str(path))

    # --- refs and the remote --------------------------------------------------------------------

    @on_disk()
    def keep(self, ref: str, commit: str) -> None:
        """Points a ref of this repository at a commit."""
        self._git("update-ref", ref, commit)

    @on_disk()
    def create(self, ref: str, commit: str) -> None:
        """Makes a ref of this repository. Raises `NotReady` where it is on another commit."""
        _, refusal = self._tried("update-ref", ref, commit, "0" * len(commit))
        if refusal is not None and self.own_refs(ref).get(ref) != commit:
            raise disk_full(OSError(refusal)) or NotReady(
                f"{ref} is another run's already",
                hint="the tracker gave this run an id that it had given before: see who runs it",
            )

    def forget(self, ref: str) -> None:
        """Takes a ref of this repository away. Nothing there is no error."""
        self._git("update-ref", "-d", ref)

    def matching_lines(self, commit: str, pattern: str, files: str) -> tuple[str, ...]:
        """Lines that fit an extended regular expression, in a commit's files that fit a glob."""
        out = self._git("grep", "-h", "-I", "--extended-regexp", "-e", pattern, commit, "--", files,
                        with_exceptions=False)  # fmt: skip
        return tuple(out.splitlines())

    def bring(self, commit: str, ref: str) -> CommitStanding:
        """Makes a commit be here, held by a ref, from the Git remote if need be."""
        return self._remote.bring(commit, ref)

    def bring_ref(self, ref: str) -> str:
        """The commit under a ref, brought here with the ref from the Git remote if need be."""
        return self._remote.bring_ref(ref)

    def published_refs(self) -> Mapping[str, str]:
        """Every ref of the Git remote, or of this repository where there is none."""
        return self._remote.refs()

    def own_refs(self, prefix: str) -> Mapping[str, str]:
        """The refs of this repository that start so, each with its object."""
        return refs_in(self._git("for-each-ref", "--format=%(objectname) %(refname)", prefix))

    def standings(
        self, commits: Collection[str], refs: Mapping[str, str]
    ) -> dict[str, CommitStanding]:
        """Where commits stand by the published refs."""
        try:
            return self._remote.standings(commits, refs)
        except GitCommandError as error:
            raise NotReady(f"Git cannot read the history here: {_said(error)}") from error

    def publish(self, ref: str) -> None:
        """Pushes a ref to the Git remote and sees it there; without a remote, does nothing."""
        self._remote.publish(ref)

    # --- the user's branch ----------------------------------------------------------------------

    def advance(self, branch: str, *, base: str, commit: str, message: str) -> BranchOutcome:
        """Brings `commit`, made on `base`, into the user's branch where Git allows it."""
        own = UserBranch(self._git, self._tried, self.root, Path(self._repo.git_dir))
        plan = self._plan(base=base, commit=commit, message=message)
        return own.advance(branch, plan, checked_out=self.branch() == branch)

    def _plan(self, *, base: str, commit: str, message: str) -> BranchPlan:
        when = self._repo.commit(commit).committed_datetime
        return BranchPlan(
            self._git, self._tried, base=base, commit=commit,
            merge=lambda tree, parents: self._commit_tree(tree, parents, message, when),
        )  # fmt: skip

    def _tried(self, *args: str, **options: Any) -> tuple[str, str | None]:
        """Output of `git ARGS`, and what Git says where it refuses."""
        return _tried(lambda: self._git(*args, **options))


def _forget_misleading_variables() -> None:
    for name in MISLEADING:
        os.environ.pop(name, None)


def _tried(command: Callable[[], str]) -> tuple[str, str | None]:
    try:
        return command(), None
    except GitCommandError as error:
        return "", _said(error)


def _said(error: GitCommandError) -> str:
    """What Git wrote, without GitPython's frame and without credentials."""
    text = str(error.stderr or error.stdout or error).strip()
    text = text.removeprefix("stderr:").removeprefix("stdout:").strip().strip("'").strip()
    return redact(" ".join(text.split()))


def _make_removable(path: Path) -> None:
    """Folders that training made read-only would keep their files from being removed."""
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(folder, name)
            if not os.path.islink(inner):
                with suppress(OSError):
                    os.chmod(inner, 0o700)
