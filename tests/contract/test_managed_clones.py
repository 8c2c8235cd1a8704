"""A training repo given by its URL: a clone is kept for it, and runs go into the remote's branch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anchored.adapters.git import remote_branch
from anchored.adapters.git.managed_clone import ManagedClone
from anchored.adapters.git.remote import GitRemote
from anchored.errors import GitRemoteFailed, NotReady
from anchored.ports import Advance, BranchOutcome, Silent
from anchored.system.own_folder import own_folder
from anchored.workspace.open import open_repo
from anchored.workspace.repos import root_of
from tests.proof import assert_sealed
from tests.repos import Repo
from tests.served import Served
from tests.services.git_http import PASSWORD, GitHttpServer
from tests.services.git_server import GitServer
from tests.services.proxy import Proxy
from tests.services.sshd import SshServer


class Told(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def url(served: Served, git_server: GitServer) -> str:
    return git_server.url_of(served.name)


def opened(url: str) -> ManagedClone:
    code = open_repo(url).code
    assert isinstance(code, ManagedClone)
    return code


def files_below(folder: Path) -> dict[str, str]:
    return {
        str(file): file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize("protocol", ["git", "ssh", "http"])
def test_a_run_from_a_url_with_an_empty_home(
    served: Served,
    url: str,
    ssh_server: SshServer,
    git_http_server: GitHttpServer,
    isolated: Path,
    *,
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served.git("branch", "side", "HEAD")
    served.git("push", "--quiet", "origin", "side")
    (isolated / ".gitconfig").unlink()
    if protocol == "ssh":
        url = ssh_server.url(served.origin)
        monkeypatch.setenv("GIT_SSH_COMMAND", ssh_server.git_ssh_command())
    elif protocol == "http":
        url = git_http_server.url_of(served.name)
    told = Told()
    clone = Repo(root_of(url, told))
    clone.store = served.store
    assert clone.root.parent.parent == isolated / ".cache/anchored/clones"
    assert clone.root.name == served.name
    assert clone.root.parent.stat().st_mode & 0o777 == 0o700
    run = clone.run("one", told)
    assert_sealed(clone, run)
    assert served.served() == served.served(run.git.ref) == run.git.commit
    assert run.git.branch == "main"
    assert clone.head == run.git.commit, "what is done next here goes on from it"
    assert clone.git("status", "--porcelain") == ""
    assert run.git.repo_url == url.replace(f"ada:{PASSWORD}@", "")

    config = clone.root / ".git/config"
    config.write_text(config.read_text() + "# kept\n")
    assert root_of(url, told) == clone.root
    assert "# kept" in config.read_text(), "not cloned anew"
    assert clone.head == run.git.commit
    assert [line.split()[0] for line in told.lines if "://" in line] == ["cloning", "fetching"]

    side = Repo(root_of(f"{url}#side"))
    assert side.root != clone.root
    assert side.git("rev-parse", "--abbrev-ref", "HEAD") == "side"
    assert PASSWORD not in "\n".join([*told.lines, str(served.tags(run.run_id))])
    assert PASSWORD not in str(run.to_json())
    telling = {
        name for name, text in files_below(isolated / ".cache").items() if PASSWORD in name + text
    }
    assert telling <= {str(config), str(side.root / ".git/config")}


# --- somebody else pushes to the branch -----------------------------------------------------------


def a_run(clone: ManagedClone) -> Callable[[], BranchOutcome]:
    """Commits a file on top of what the clone has; the function brings it into the branch."""
    base = clone.head()
    when = datetime.now(UTC)
    commit = clone.commit(base, {"run.txt": b"run\n"}, message="Run", when=when)
    clone.keep("refs/anchored/runs/1", commit)
    return lambda: clone.advance("main", base=base, commit=commit, message="Merge run")


def test_what_others_pushed_meanwhile_is_merged_and_nothing_is_lost(
    served: Served, url: str
) -> None:
    clone = opened(url)
    advance = a_run(clone)
    theirs = served.push("notes.txt", "theirs\n")
    outcome = advance()
    assert outcome.advance == Advance.MERGED
    assert served.served() == outcome.commit
    run = clone._git("rev-parse", "refs/anchored/runs/1").strip()
    assert served.git("log", "-1", "--format=%P", "main", cwd=served.origin) == f"{theirs} {run}"
    assert advance() == BranchOutcome(Advance.FORWARDED, commit=outcome.commit), "done already"
    assert served.served() == outcome.commit
    assert clone._git("for-each-ref", "refs/anchored/branch") == ""


def test_a_branch_that_the_run_does_not_fit_into_is_left(served: Served, url: str) -> None:
    clone = opened(url)
    advance = a_run(clone)
    theirs = served.push("run.txt", "theirs\n")
    assert advance() == BranchOutcome(
        Advance.LEFT, reason="main moved meanwhile and a merge is not clean"
    )
    assert served.served() == theirs
    served.git("push", "--quiet", "--force", "origin", "HEAD~2:main")
    assert advance().reason == "main was moved back meanwhile"
    served.git("branch", "--move", "main", "renamed", cwd=served.origin)
    assert advance().reason == "branch main is gone"
    assert served.git("branch", "--format=%(refname:short)", cwd=served.origin) == "renamed"


def test_a_push_that_somebody_was_faster_than_is_tried_again(
    served: Served, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = a_run(opened(url))
    offer, theirs = GitRemote.offer, list[str]()

    def overtaken(remote: GitRemote, commit: str, branch: str) -> str | None:
        if len(theirs) < faster:
            theirs.append(served.push(f"notes-{len(theirs)}.txt", "theirs\n"))
        return offer(remote, commit, branch)

    monkeypatch.setattr(GitRemote, "offer", overtaken)
    monkeypatch.setattr(remote_branch, "PAUSE", 0)
    faster = 9
    with pytest.raises(GitRemoteFailed, match="fetch first") as failed:
        advance()
    assert failed.value.transient
    assert served.served() == theirs[-1]
    faster = len(theirs) + 1
    outcome = advance()
    assert outcome.advance == Advance.MERGED
    assert served.served() == outcome.commit
    assert served.git("rev-parse", f"{outcome.commit}^1", cwd=served.origin) == theirs[-1]


def test_a_push_that_the_server_refuses_leaves_the_branch_and_says_why(
    served: Served, url: str
) -> None:
    hook = served.origin / "hooks/update"
    hook.write_text(
        "#!/bin/sh\ncase $1 in refs/heads/*)\n"
        'echo "main is protected, see http://bot:s3cret-s3cret@wiki/"; exit 1;; esac\n'
    )
    hook.chmod(0o755)
    before = served.served()
    clone = Repo(root_of(url))
    sealed = clone.sealed("one")
    assert sealed.branch.advance == Advance.LEFT
    assert sealed.branch.reason == (
        "the Git remote refuses the push: hook declined (main is protected, see http://***@wiki/)"
    )
    clone.store = served.store
    assert_sealed(clone, sealed.run)
    assert served.served() == before


# --- the clone ------------------------------------------------------------------------------------


def test_files_that_are_in_the_way_do_not_stop_a_managed_clone(served: Served, url: str) -> None:
    clone = Repo(root_of(url))
    clone.write("train.py", "changed by hand\n")
    clone.write("notes.txt", "untracked\n")
    (clone.root / ".git/index.lock").touch()
    own_folder(clone.root)
    journal = clone.write(".dvc/anchored/runs/0123/journal.json", "{}")
    served.push("notes.txt", "theirs\n")
    served.git("push", "--quiet", "--force", "origin", "HEAD~1:main", "HEAD:dev")
    served.git("symbolic-ref", "HEAD", "refs/heads/dev", cwd=served.origin)
    assert root_of(url) == clone.root
    assert (clone.root / "notes.txt").read_text() == "theirs\n"
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("rev-parse", "--abbrev-ref", "HEAD") == "dev"
    assert journal.exists()


def test_a_shallow_clone_is_deepened_before_a_merge(served: Served, url: str) -> None:
    clone = opened(url)
    shallow = clone.root.parent / "shallow"
    served.git("clone", "--quiet", "--depth=1", "--config", "anchored.managed=true", url,
               str(shallow), cwd=clone.root)  # fmt: skip
    shutil.rmtree(clone.root)
    shallow.rename(clone.root)
    clone = opened(url)
    assert clone._git("rev-parse", "--is-shallow-repository").strip() == "true"
    advance = a_run(clone)
    for number in range(3):
        served.push("notes.txt", f"{number}\n")
    clone._git("fetch", "--quiet", "--depth=1", "origin", "main")
    assert advance().advance == Advance.MERGED
    assert clone._git("rev-parse", "--is-shallow-repository").strip() == "false"


OPEN = "import sys; from anchored.workspace.repos import root_of; print(root_of(sys.argv[1]))"


def opening(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def test_two_processes_that_open_a_url_at_once_have_one_clone(url: str, isolated: Path) -> None:
    both = [opening(url), opening(url)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    made = sorted(path.suffix for path in (isolated / ".cache/anchored/clones").iterdir())
    assert made == ["", ".lock"]


def test_a_clone_that_was_cut_off_is_none(
    served: Served,
    git_server: GitServer,
    proxy: Callable[[int], Proxy],
    isolated: Path,
) -> None:
    served.push("large.bin", "".join(os.urandom(8).hex() for _ in range(100)))
    between = proxy(git_server.port)
    between.stop_reading_after(0)
    url = git_server.url_of(served.name, port=between.port)
    clones = isolated / ".cache/anchored/clones"
    process = opening(url)
    deadline = time.monotonic() + 60
    while not list(clones.glob("*.new-*/*/.git")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not list(clones.glob(f"*/{served.name}/train.py"))
    between.heal()
    assert (root_of(url) / "train.py").exists()
    assert not list(clones.glob("*.new-*"))


def test_what_cannot_be_cloned_is_named_without_credentials_and_leaves_nothing(
    served: Served,
    git_server: GitServer,
    git_http_server: GitHttpServer,
    isolated: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refused(url: str) -> Any:
        with pytest.raises((GitRemoteFailed, NotReady)) as raised:
            root_of(url)
        said = f"{raised.value!r} {raised.value.message} {raised.value.hint}"
        assert "wrong-wrong" not in said + str(raised.value.__context__)
        assert PASSWORD not in said + str(raised.value.__context__)
        return raised.value

    gone = refused(git_server.url_of("gone"))
    assert isinstance(gone, GitRemoteFailed)
    assert not gone.transient
    down = refused("git://127.0.0.1:9/repo.git")
    assert isinstance(down, GitRemoteFailed)
    assert down.transient
    wrong = refused(git_http_server.url_of(served.name, login="ada:wrong-wrong@"))
    assert "cannot clone http://127.0.0.1" in wrong.message
    assert not wrong.transient
    nobody = refused(git_http_server.url_of(served.name, login=""))
    assert not nobody.transient, "nobody is asked for a name"
    git_server.create(f"{served.name}-empty")
    empty = refused(git_server.url_of(f"{served.name}-empty"))
    assert isinstance(empty, NotReady)
    assert "no commit" in empty.message
    branch = refused(git_http_server.url_of(served.name) + "#nightly")
    assert "has no branch 'nightly'" in branch.message
    left = [p.name for p in (isolated / ".cache/anchored/clones").iterdir()]
    assert all(name.endswith(".lock") for name in left)
    assert capfd.readouterr().err == ""


def test_a_relative_dvc_remote_is_refused_and_a_relative_tracker_told(
    served: Served, url: str
) -> None:
    served.configure(f"sqlite:///{served.root}/mlflow.db", "sqlite:///mlflow.db")
    served.git("push", "--quiet", "origin", "main")
    told = Told()
    clone = Repo(root_of(url))
    shutil.copy(served.root / "mlflow.db", clone.root)
    clone.run("one", told)
    assert len([line for line in told.lines if "only this machine will know" in line]) == 1
    config = (served.root / ".dvc/config").read_text()
    served.push(".dvc/config", config.replace(str(served.store), "../../store"))
    root_of(url)
    with pytest.raises(NotReady, match="'store' is a path relative") as refused:
        clone.run("two")
    assert "dvc remote modify store url" in str(refused.value.hint)
    assert not (clone.root.parent / "store").exists()
