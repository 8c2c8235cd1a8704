"""Which commits are here, and which of them the refs of a Git remote lead to.

A run ref on its commit decides it by one answer of the remote. Else history is walked once, from
all tips together; tips that are not here are fetched under refs that are removed again.
"""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from anchored.adapters.git.command import Git
from anchored.errors import GitRemoteFailed
from anchored.records import CommitStanding

NAMESPACE = "refs/anchored/audit"
# Where the people of a repository keep its history. What a server adds for others, such as the
# pull requests of strangers' forks, vouches for nothing, and `bring` does not take it either.
OWN = ("refs/heads/", "refs/tags/", "refs/anchored/", "refs/remotes/")
COMMIT = re.compile(r"[0-9a-f]{7,64}")
FULL = 40
BATCH = 500  # refs to one fetch, for the sake of the command line's length


class Reachability:
    """Which commits the refs of a remote lead to. `refs` are these, with what each points at.

    `fetch` brings refspecs from the remote, and says whether it could; None where these refs are
    the repository's own. `deepen` makes a shallow clone complete, or raises.
    """

    def __init__(
        self,
        git: Git,
        refs: Mapping[str, str],
        *,
        fetch: Callable[..., bool] | None,
        deepen: Callable[[], None],
    ) -> None:
        self._git, self._fetch, self._deepen = git, fetch, deepen
        self._refs = {sha: ref for ref, sha in refs.items() if ref.startswith(OWN)}

    def of(self, commits: Iterable[str]) -> dict[str, CommitStanding]:
        """Where each commit is. Those that the remote has are here afterwards."""
        named = self._named([commit for commit in commits if COMMIT.fullmatch(commit)])
        wanted = set(named.values())
        with self._private_refs() as bring:
            reachable = wanted & self._refs.keys()
            bring(reachable)
            reachable |= self._led_to(wanted - reachable, bring)
            if wanted - reachable and is_shallow(self._git):
                self._deepen()
                reachable |= self._led_to(wanted - reachable, bring)
        here = self._here(wanted)
        seen = dict.fromkeys(here, CommitStanding.UNREACHABLE)
        seen |= dict.fromkeys(reachable & here, CommitStanding.REACHABLE)
        return {c: seen.get(named.get(c, ""), CommitStanding.MISSING) for c in commits}

    def _named(self, commits: list[str]) -> dict[str, str]:
        """The full id of each commit; a script of the user's may have recorded a short one."""
        short = [commit for commit in commits if len(commit) < FULL]
        here = self._checked([f"{commit}^{{commit}}" for commit in short])
        known = {s: sha for s, sha in zip(short, here, strict=True) if sha}
        tips = {s: sha for s in short for sha in self._refs if sha.startswith(s)}
        return {commit: commit for commit in commits} | tips | known

    def _led_to(self, wanted: set[str], bring: Callable[[Collection[str]], None]) -> set[str]:
        """Those of the commits that are in the history of any ref; fetches no more than it must."""
        found: set[str] = set()
        for group in (self._here(self._refs), set(self._refs)):
            if wanted - found:
                bring(group)
                found |= self._in_history(self._here(group), wanted)
        return found

    def _in_history(self, tips: Collection[str], wanted: Collection[str]) -> set[str]:
        with tempfile.TemporaryFile() as history:
            self._git("--no-replace-objects", "rev-list", "--stdin",
                      given=_lines(tips), into=history)  # fmt: skip
            history.seek(0)
            return {sha for line in history if (sha := line.decode().strip()) in wanted}

    def _here(self, names: Iterable[str]) -> set[str]:
        """Those of the objects that this repository has."""
        return {sha for sha in self._checked(names) if sha}

    def _checked(self, names: Iterable[str]) -> list[str]:
        """The id of each object, by any name of Git's; empty for one that is not here."""
        said = self._git("cat-file", "--batch-check", given=_lines(names))
        answers = (line.split() for line in said.splitlines())
        return [a[0] if len(a) == 3 and a[2].isdigit() else "" for a in answers]

    @contextmanager
    def _private_refs(self) -> Iterator[Callable[[Collection[str]], None]]:
        """A function that fetches tips; the refs that hold them are removed at the end."""
        folder = f"{NAMESPACE}/{uuid.uuid4().hex}"

        def bring(tips: Collection[str]) -> None:
            absent = {self._refs[sha].removesuffix("^{}") for sha in set(tips) - self._here(tips)}
            specs = [f"+{ref}:{folder}/{ref}" for ref in sorted(absent)]
            for start in range(0, len(specs) if self._fetch else 0, BATCH):
                assert self._fetch is not None
                if not self._fetch(*specs[start : start + BATCH]):
                    raise GitRemoteFailed("refs of the Git remote went while they were being read")

        try:
            yield bring
        finally:
            self._forget_all()

    def _forget_all(self) -> None:
        """Removes the refs of this audit, and of any that was killed: objects stay for now."""
        refs = self._git("for-each-ref", "--format=delete %(refname)", NAMESPACE)
        if refs:
            self._git("update-ref", "--stdin", given=refs.encode())


def is_shallow(git: Git) -> bool:
    """Whether this clone lacks history: a commit that it does not show may be kept all the same."""
    return git("rev-parse", "--is-shallow-repository").strip() == "true"


def refs_in(listing: str) -> dict[str, str]:
    """What each ref points at, from what `git ls-remote` or `git show-ref` print."""
    pairs = (line.split(maxsplit=1) for line in listing.splitlines())
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
