"""Git repositories that nobody here wrote: their hooks, their settings, their history, their remotes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from anchored.errors import NotReady
from anchored.ports import Advance
from anchored.records import FlowLink
from anchored.run import open as opening
from tests.proof import assert_sealed
from tests.repos import CONFIG, Repo, TreeState

HOOKS = ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "pre-push", "post-merge",
         "post-checkout", "reference-transaction", "pre-merge-commit", "post-index-change")  # fmt: skip


def started(repo: Repo, name: str = "one") -> str:
    """Opens a run and returns its key, for something to happen meanwhile."""
    return str(opening.open_run(repo.open(), opening.RunRequest(name=name), FlowLink()).key)


def kept(repo: Repo) -> TreeState:
    """What must not change at all where the branch is left; caches beside it may appear."""
    return replace(repo.state(), status=repo.git("status", "--porcelain"))


def failing_hooks(folder: Path, names: tuple[str, ...] = HOOKS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> '{folder}/called'\nexit 1\n")
        (folder / name).chmod(0o755)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["hooks", "core.hooksPath"])
def test_no_hook_of_the_user_runs(repo: Repo, where: str) -> None:
    folder = repo.root / ".git/hooks"
    if where != "hooks":
        folder = repo.root.parent / "shared hooks"
        repo.git("config", "core.hooksPath", str(folder))
    failing_hooks(folder)
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert not (folder / "called").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {
            "commit.gpgsign": "true", "gpg.program": "/bin/false", "user.signingkey": "X",
            "push.gpgSign": "true", "merge.verifySignatures": "true", "merge.ff": "false",
            "core.autocrlf": "true", "core.quotePath": "true", "color.ui": "always",
            "core.pager": "false", "i18n.commitEncoding": "ISO-8859-1", "log.showSignature": "true",
        },
        {
            "commit.gpgsign": "true", "gpg.format": "ssh", "user.signingkey": "/no/such/key",
            "merge.ff": "only", "pull.rebase": "true", "push.default": "nothing",
            "merge.autoStash": "true", "rebase.autoStash": "true",
            "core.autocrlf": "input", "core.safecrlf": "true",
            "push.followTags": "true", "push.recurseSubmodules": "check",
        },
        {
            "status.short": "true", "status.branch": "true", "status.showUntrackedFiles": "all",
            "diff.external": "false", "diff.noprefix": "true", "diff.renames": "copies",
            "core.untrackedCache": "true", "feature.manyFiles": "true", "index.version": "4",
            "core.fileMode": "false", "core.ignoreCase": "true",
        },
    ],
    ids=["signing", "merging and pushing", "showing and indexing"],
)  # fmt: skip
def test_no_setting_of_git_keeps_a_run_from_being_sealed(
    repo: Repo, settings: dict[str, str]
) -> None:
    repo.git("tag", "--annotate", "--message=mine", "unpublished")
    for key, value in settings.items():
        repo.git("config", key, value)
    sealed = repo.sealed("grüße")
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert repo.head == sealed.run.git.commit
    assert repo.git("status", "--porcelain=v1") == ""
    assert (
        repo.git(
            "-c",
            "i18n.logOutputEncoding=UTF-8",
            "-c",
            "log.showSignature=false",
            "log",
            "-1",
            "--format=%s",
        )
        == "Version model of run grüße"
    )
    assert "unpublished" not in repo.git("ls-remote", "origin")


@pytest.mark.parametrize("config_only", [False, True])
def test_a_repo_without_an_identity_commits_as_anchored(
    repo: Repo, isolated: Path, config_only: bool
) -> None:
    (isolated / ".gitconfig").write_text(f"[user]\n\tuseConfigOnly = {str(config_only).lower()}\n")
    run = repo.run()
    assert_sealed(repo, run)
    assert repo.git("log", "-1", "--format=%an <%ae>, %cn <%ce>") == (
        "Anchored <anchored@localhost>, Anchored <anchored@localhost>"
    )


def test_an_identity_of_only_the_committer_is_enough(
    repo: Repo, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolated / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Bot")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "bot@example.org")
    assert_sealed(repo, repo.run())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repo_of_another_owner_is_refused_with_gits_way_out(repo: Repo) -> None:
    subprocess.run(["chown", "-R", "12345", str(repo.root)], check=True)
    with pytest.raises(NotReady, match="ownership") as refused:
        opening.check_request(repo.open(), opening.RunRequest())
    assert "safe.directory" in str(refused.value.hint)


# --- history and remotes --------------------------------------------------------------------------


def test_without_a_git_remote_a_run_is_sealed_here(repo: Repo) -> None:
    repo.git("remote", "remove", "origin")
    run = repo.run()
    assert_sealed(repo, run, git_remote=False)
    assert run.git.repo_url == ""


def test_a_remote_of_another_name_is_used(repo: Repo) -> None:
    repo.git("remote", "rename", "origin", "upstream")
    run = repo.run()
    assert repo.git("ls-remote", "upstream", run.git.ref).split()[0] == run.git.commit


def test_a_detached_head_does_not_move(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "--detach")
    before = repo.state()
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.LEFT
    after = repo.state()
    assert (after.head, after.branch) == (before.head, "HEAD")
    assert repo.git("rev-parse", "main") == before.head
    assert repo.git("status", "--porcelain") == "?? data/"


def test_a_shallow_clone_is_enough(repo: Repo) -> None:
    repo.write("more.txt", "more\n")
    repo.commit()
    repo.git("push", "--quiet")
    clone = Repo(repo.root.parent / "shallow")
    repo.git("clone", "--quiet", "--depth=1", repo.origin.as_uri(), str(clone.root))
    shutil.copytree(repo.root / "data", clone.root / "data")
    sealed = clone.sealed()
    assert_sealed(clone, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert clone.git("rev-parse", "--is-shallow-repository") == "true"


def test_a_linked_worktree_of_the_user_is_a_training_repo_too(repo: Repo) -> None:
    linked = Repo(repo.root.parent / "linked")
    repo.git("worktree", "add", "--quiet", "-b", "side", str(linked.root))
    shutil.copytree(repo.root / "data", linked.root / "data")
    before = repo.state()
    sealed = linked.sealed()
    assert_sealed(linked, sealed.run)
    assert linked.head == sealed.run.git.commit
    assert (repo.head, repo.git("status", "--porcelain")) == (before.head, "?? data/")
    assert len(repo.git("worktree", "list").splitlines()) == 2


def test_a_path_with_spaces_and_accents(new_repo: Callable[[str], Repo]) -> None:
    repo = new_repo("my résumé (copy) 'n' \"more\"; #1")
    sealed = repo.sealed("a \"name\"/with `all`, 'of' $it; é")
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED


def test_configuration_in_pyproject(repo: Repo) -> None:
    repo.git("rm", "--quiet", "anchored.toml")
    table = CONFIG.replace("[data]", "[tool.anchored.data]").replace(
        "[train", "[tool.anchored.train"
    )
    repo.write(
        "pyproject.toml", f'[project]\nname = "x"\nversion = "1"\n\n[tool.anchored]\n{table}'
    )
    repo.commit()
    run = repo.run()
    assert_sealed(repo, run)
    assert run.experiment == "sums"


# --- the branch moved meanwhile -------------------------------------------------------------------


def test_a_branch_that_moved_is_merged(repo: Repo) -> None:
    key = started(repo)
    repo.write("notes.txt", "meanwhile\n")
    mine = repo.commit("Meanwhile")
    sealed = repo.finish(key)
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.MERGED
    assert repo.git("rev-parse", "HEAD^1", "HEAD^2").split() == [mine, sealed.run.git.commit]
    assert repo.git("status", "--porcelain") == ""
    assert (repo.root / "notes.txt").exists()


def test_a_branch_that_conflicts_is_left_alone(repo: Repo) -> None:
    key = started(repo)
    repo.write("models/model.bin.dvc", "outs:\n- path: model.bin\n  md5: 0123\n")
    mine = repo.commit("Conflict")
    before = kept(repo)
    sealed = repo.finish(key)
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.LEFT
    assert kept(repo) == before
    assert repo.head == mine


def test_work_begun_meanwhile_is_neither_lost_nor_stashed(repo: Repo) -> None:
    repo.git("config", "merge.autoStash", "true")
    key = started(repo)
    repo.write("train.py", "# begun\n")
    repo.write("models/model.bin.dvc", "mine\n")
    before = kept(repo)
    sealed = repo.finish(key)
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.LEFT
    assert kept(repo) == before
    assert (repo.root / "models/model.bin.dvc").read_text() == "mine\n"


def test_an_ignored_file_of_the_user_is_not_overwritten(repo: Repo) -> None:
    repo.write(".git/info/exclude", "*.dvc\n")
    repo.write("models/model.bin.dvc", "mine\n")
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert (repo.root / "models/model.bin.dvc").read_text() == "mine\n"
    assert sealed.branch.advance == Advance.LEFT
