"""The Git remote: what is asked of it, fetched from it and pushed to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from anchored.adapters.git.command import Git
from anchored.adapters.git.reachability import Reachability, is_shallow, refs_in
from anchored.adapters.git.timeouts import timeouts
from anchored.decisions.redaction import url_without_credentials
from anchored.errors import AGAIN, GitRemoteFailed, NotReady
from anchored.records import CommitStanding

LFS_POINTER = "version https://git-lfs.github.com/spec"
SILENCES = ("timed out", "timeout", "not responding", "operation too slow")
REFUSALS = ("rejected", "permission denied", "authentication failed", "could not read username",
            "repository not found", "no such repository", "not appear to be a git repository",
            "error: 403", "error: 401", "access denied", "not exported", "does not exist",
            "hook declined", "service not enabled")  # fmt: skip
# Of servers that have no such ref.
ABSENCES = ("couldn't find remote ref", "no such remote ref")
# All branches and tags of the remote, seen for a moment under refs that are nobody's.
SEEN = "refs/anchored/seen"
EVERYTHING = (f"+refs/heads/*:{SEEN}/heads/*", f"+refs/tags/*:{SEEN}/tags/*")
# One branch of it, for the moment in which it is looked at.
LOOKED_AT = "refs/anchored/branch"
REJECTED = re.compile(r"! \[(?:remote )?rejected\] \S+ -> \S+ \((.*?)\)(?= error:|$)")
LONGEST_WORDS = 300
# A clone that is fetched into for years has to be packed; nothing of it stays behind as a process.
QUIETLY_KEPT = ("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false")
LATER = f"once the remote answers again, {AGAIN}"


class GitRemote:
    """The remote that Git itself would push `branch` to, as far as there is one.

    `fixed` has the `name` and `url` that it is to be, whatever is configured by now; empty for
    none at all.
    """

    def __init__(self, git: Git, branch: str, fixed: Mapping[str, str] | None = None) -> None:
        self._git, self._branch, self._fixed = git, branch, fixed

    @cached_property
    def name(self) -> str:
        """As Git knows it, be it by its URL; empty without one."""
        if self._fixed is not None:
            name, url = self._fixed.get("name", ""), self._fixed.get("url", "")
            # The name leads to logins that the URL alone may lack.
            return name if url == self._url_of(name) else url
        names = self._git("remote").split()
        own = f"branch.{self._branch}"
        keys = (f"{own}.pushRemote", "remote.pushDefault", f"{own}.remote")
        candidates = [
            *map(self._setting, keys), "origin", *(names if len(names) == 1 else ())
        ]  # fmt: skip
        return next((name for name in candidates if name in names), "")

    def url(self) -> str:
        """Where it is, without credentials; empty without a remote."""
        if self._fixed is not None:
            return self._fixed.get("url", "")
        return self._url_of(self.name) if self.name else ""

    def settings(self) -> dict[str, str]:
        """The `name` and `url` that tell it from others; empty without a remote."""
        return {"name": self.name, "url": self.url()} if self.name else {}

    def _url_of(self, name: str) -> str:
        urls = self._git("remote", "get-url", "--all", name, check=False).splitlines()
        return url_without_credentials(urls[0]) if urls else ""

    @cached_property
    def timeouts(self) -> dict[str, str]:
        """Variables for commands that talk to a remote."""
        return timeouts(self._setting("core.sshCommand"))

    def _setting(self, key: str) -> str:
        return self._git("config", key, check=False).strip()

    # --- what it has ----------------------------------------------------------------------------

    def bring(self, commit: str, ref: str) -> CommitStanding:
        """Makes a commit be here, held by a ref, from the remote if need be.

        From its own ref, then from among all branches and tags, never by its name. Nothing of the
        user's is moved, their remote-tracking branches included.
        """
        if self._is_reachable(commit):
            return CommitStanding.REACHABLE
        for wanted in ((f"+{ref}:{ref}",), EVERYTHING) if self.name else ():
            if self._fetched(*wanted) and self._is_reachable(commit):
                if wanted is EVERYTHING:
                    self._git("update-ref", f"refs/anchored/fetched/{commit}", commit)
                break
        self._forget_seen()
        if self._is_reachable(commit):
            return CommitStanding.REACHABLE
        if is_shallow(self._git):
            self.deepen()
            return self.bring(commit, ref)
        return CommitStanding.UNREACHABLE if self._has(commit) else CommitStanding.MISSING

    def _is_reachable(self, commit: str) -> bool:
        """Whether HEAD or a ref of this repository holds a commit."""
        if not self._has(commit):
            return False
        holding = self._git(
            "for-each-ref", "--count=1", "--format=%(refname)", "--contains", commit
        )
        return bool(holding) or self._git("merge-base", commit, "HEAD", check=False) == (
            self._git("rev-parse", f"{commit}^{{commit}}")
        )

    def _has(self, commit: str) -> bool:
        return bool(
            self._git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}",
                      check=False).strip()
        )  # fmt: skip

    def bring_ref(self, ref: str) -> str:
        """The commit under a ref, fetched with the ref if need be; empty where nobody has it."""
        if not self._has(ref) and not (self.name and self._fetched(f"+{ref}:{ref}")):
            return ""
        return self._git("rev-parse", "--verify", f"{ref}^{{commit}}").strip()

    def refs(self) -> dict[str, str]:
        """Every ref of the remote, or of ours where there is none, with its object."""
        if self.name:
            return refs_in(self._answer("ask", "ls-remote", self.name))
        return refs_in(self._git("show-ref", check=False))

    def standings(
        self, commits: Collection[str], refs: Mapping[str, str]
    ) -> dict[str, CommitStanding]:
        """Which commits the refs lead to. Those that the remote has are here afterwards."""
        fetch = self._fetched if self.name else None
        return Reachability(self._git, refs, fetch=fetch, deepen=self.deepen).of(commits)

    def default_branch(self) -> str:
        """The branch that the remote's HEAD is; empty where it is none, or has no commit."""
        listing = self._answer("ask", "ls-remote", "--symref", self.name, "HEAD")
        found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listing, re.MULTILINE)
        return found[1] if found else ""

    def follow(self) -> None:
        """Moves the remote-tracking branches to where the branches of the remote are."""
        self._answer("fetch from", *QUIETLY_KEPT, "fetch", "--quiet", "--prune", "--no-tags",
                     "--no-recurse-submodules", "--no-write-fetch-head", self.name,
                     f"+refs/heads/*:refs/remotes/{self.name}/*")  # fmt: skip

    def tip(self, branch: str) -> str | None:
        """Where a branch of the remote is, the commit being here afterwards; None without one."""
        if not self._fetched(f"+refs/heads/{branch}:{LOOKED_AT}"):
            return None
        tip = self._git("rev-parse", "--verify", f"{LOOKED_AT}^{{commit}}").strip()
        self._git("update-ref", "-d", LOOKED_AT)
        return tip

    def deepen(self) -> None:
        """Brings the history that a shallow clone lacks; in a complete one, does nothing.

        No ref moves. Raises `GitRemoteFailed`, and `NotReady` where the remote has it no more
        than we do.
        """
        if not is_shallow(self._git):
            return
        if not self.name:
            raise NotReady(
                "this clone is shallow and has no Git remote: its history is needed",
                hint="run `git fetch --unshallow URL` with the URL that it was cloned from",
            )
        self._fetched(*EVERYTHING, options=("--unshallow",))
        self._forget_seen()
        if is_shallow(self._git):
            raise NotReady(
                f"this clone is shallow, and so is the Git remote {self.name!r}: its history is"
                " needed",
                hint="run `git fetch --unshallow` in the repository that the remote is",
            )

    def _forget_seen(self) -> None:
        for ref in self._git("for-each-ref", "--format=%(refname)", SEEN).split():
            self._git("update-ref", "-d", ref)

    def _fetched(self, *wanted: str, options: Sequence[str] = ()) -> bool:
        """Whether the remote gave what was asked for; it may have no such thing."""
        # Without the empty refmap Git moves the user's remote-tracking branches, too.
        _, refusal = self._git.tried(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=",
            "--no-recurse-submodules", "--no-auto-maintenance", *options, self.name, *wanted,
            env=self.timeouts,
        )  # fmt: skip
        if refusal is None:
            return True
        if any(word in refusal.lower() for word in ABSENCES):
            return False
        raise self._failure("fetch from", refusal)

    # --- what it is given -----------------------------------------------------------------------

    def publish(self, ref: str) -> None:
        """Makes a ref on the remote and sees it there; without a remote, does nothing.

        One that is there on another commit is never moved, forward neither.
        """
        if not self.name:
            return
        commit = self._git("rev-parse", "--verify", f"{ref}^{{commit}}").strip()
        self._push_lfs(ref)
        # Without --porcelain, with which Git says on standard output why a push is refused.
        # With the empty lease the server makes the ref or refuses; one that is there already and
        # the same is up to date.
        self._answer("push to", "push", "--no-verify", "--no-signed", "--no-follow-tags",
                     f"--force-with-lease={ref}:", self.name, f"{ref}:{ref}")  # fmt: skip
        seen = self._answer("push to", "ls-remote", self.name, ref).split()
        if not seen or seen[0] != commit:
            raise GitRemoteFailed(
                f"the Git remote {self.name!r} does not show {ref} after the push"
            )

    def offer(self, commit: str, branch: str) -> str | None:
        """Pushes a commit to a branch of the remote, by force never; why it is refused, if so."""
        _, refusal = self._git.tried("push", "--no-verify", "--no-signed", "--no-follow-tags",
                                     self.name, f"{commit}:refs/heads/{branch}",
                                     env=self.timeouts)  # fmt: skip
        if refusal is None:
            return None
        if (why := REJECTED.search(refusal)) is None:
            raise self._failure("push to", refusal)
        # What a hook of the server says comes before Git's own words.
        said = refusal[: why.start()].partition(" To ")[0].replace("remote:", "")
        words = " ".join(said.partition("error: hook declined to update")[0].split())
        return f"{why[1]} ({words[:LONGEST_WORDS]})" if words else why[1]

    def _push_lfs(self, ref: str) -> None:
        """LFS uploads in a pre-push hook, which our pushes do not run."""
        where = ":(glob)**/.gitattributes"
        if not self._git("grep", "-h", "filter=lfs", ref, "--", where, check=False):
            return
        # Attributes without a file under them are no reason to need Git LFS.
        if self._git("grep", "-l", "-F", LFS_POINTER, ref, check=False):
            self._answer("push to", "lfs", "push", self.name, ref)

    # --- how it fails ---------------------------------------------------------------------------

    def _answer(self, verb: str, *args: str) -> str:
        """Output of a Git command that talks to the remote. Raises `GitRemoteFailed`."""
        answer, refusal = self._git.tried(*args, env=self.timeouts)
        if refusal is not None:
            raise self._failure(verb, refusal)
        return answer

    def _failure(self, verb: str, said: str) -> GitRemoteFailed:
        return remote_failed(f"cannot {verb} the Git remote {self.name!r}", said, hint=LATER)


def remote_failed(what: str, said: str, *, hint: str | None = None) -> GitRemoteFailed:
    """The error for what Git said of a remote: a retry may help, unless it is a refusal."""
    return GitRemoteFailed(
        f"{what}: {said}",
        transient=not any(word in said.lower() for word in REFUSALS),
        silent=any(word in said.lower() for word in SILENCES),
        hint=hint,
    )
