"""Which repositories a worker takes, whatever a flow run names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anchored.decisions.allowed_repos import check_taken
from anchored.decisions.git_address import git_address
from anchored.errors import WrongUse
from anchored.workspace.repos import folder_of, root_of

ALLOWED = """
    https://git.example.org/team/*
    https://git.example.org:8443/one/sums
    git@git.example.org:team/*.git
    ssh://git@git.example.org/team/sums
    https://git.example.org/models/*#release-*
    file:///srv/git/sums
    /srv/repos/*
    /srv/alone
"""


def taken(repo: str, *, allowed: str = ALLOWED, served: str = "") -> bool:
    own = (git_address(served) or served) if served else None
    try:
        check_taken(git_address(repo) or repo, served=own, allowed=allowed)
    except WrongUse as error:
        return "does not take" not in error.message or "secret" in error.message
    return True


@pytest.mark.parametrize(
    "repo",
    [
        "https://git.example.org/team/sums",
        "https://git.example.org/team/sums.git",
        "https://git.example.org/team/sums#any-branch",
        "https://user:secret@git.example.org/team/sums",
        "https://GIT.example.org/team/sums",
        "https://git.example.org:8443/one/sums",
        "git@git.example.org:team/sums.git",
        "ssh://git@git.example.org/team/sums",
        "https://git.example.org/models/sst#release-2",
        "file:///srv/git/sums",
        "/srv/repos/sums",
        "/srv/alone",
    ],
)
def test_what_is_named_is_taken(repo: str) -> None:
    assert taken(repo)


@pytest.mark.parametrize(
    "repo",
    [
        "https://evil.example/team/sums",
        "https://git.example.org.evil.example/team/sums",
        "https://git.example.org@evil.example/team/sums",
        "https://git.example.org:secret@evil.example/team/sums",
        "https://git.example.org/team/x@evil.example/team/sums",
        # To Git, `:` without a port is the host's end; to others all of it is a login.
        "https://evil.example:/x@git.example.org/team/sums",
        "https://evil.example:/x@y@git.example.org/team/sums",
        "https://evil.example\\@git.example.org/team/sums",
        "https://evil.example#@git.example.org/team/sums",
        "https://evil.example?@git.example.org/team/sums",
        "https://evil.example/?x=https://git.example.org/team/sums",
        "https://evil.example/https://git.example.org/team/sums",
        "https://git.example.org/team/../evil/sums",
        "https://git.example.org/team/..",
        "https://git.example.org/team/.",
        "https://git.example.org/team/",
        "https://git.example.org/team/sums/",
        "https://git.example.org/team//sums",
        "https://git.example.org/team/%2e%2e%2fevil",
        "https://git.example.org/team/..%2fevil",
        "https://git.example.org/team/sums%00",
        "https://git.example.org/team/sums/evil",
        "https://git.example.org/team/~evil",
        "https://git.example.org/team/-evil",
        "https://git.example.org/team/sums?x",
        "https://git.example.org/team/su ms",
        "https://git.example.org/team/sums\nx",
        "https://git.example.org/TEAM/sums",
        "http://git.example.org/team/sums",
        "HTTPS://git.example.org/team/sums",
        "https://git.example.org./team/sums",
        "https://git.example.org:443/team/sums",
        "https://git.example.org/one/sums",
        "https://git.example.org:84430/one/sums",
        "https://git.еxample.org/team/sums",  # noqa: RUF001 - a Cyrillic letter
        "https://git.example.org/models/sst",
        "https://git.example.org/models/sst#main",
        "https://git.example.org/models/sst#release-2/evil",
        "root@git.example.org:team/sums.git",
        "git.example.org:team/sums.git",
        "git@git.example.org:team/sums",
        "git@git.example.org:/team/sums.git",
        "git@git.example.org:team/../evil.git",
        "git@evil.example:git@git.example.org:team/sums.git",
        "ssh://root@git.example.org/team/sums",
        "ssh://git.example.org/team/sums",
        "ext::sh -c touch% /tmp/x",
        "file:///srv/git/../evil",
        "file://evil.example/srv/git/sums",
        "file:///srv/repos/sums",
        "/srv/repos",
        "/srv/repos/sums/vendor",
        "/srv/repos/.hidden",
        "/srv/alone2",
        "/SRV/alone",
        "/srv/repos/https://git.example.org/team/sums",
    ],
)
def test_what_only_looks_like_it_is_not(repo: str) -> None:
    assert not taken(repo)


def test_the_repository_that_is_served_is_taken_and_no_other() -> None:
    for served in ("/home/ada/my repo", "https://git.example.org/team/sums",
                   "https://ada:p@ss/w@git.example.org/team/sums#main"):  # fmt: skip
        assert taken(served, allowed="", served=served)
        assert not taken("/home/ada/other", allowed="", served=served)
    url = "https://git.example.org/team/sums"
    assert taken(f"{url}#dev", allowed="", served=url)
    assert not taken(f"{url}#dev", allowed="", served=f"{url}#main")
    assert not taken(url, allowed="", served=f"{url}#main")
    assert taken("https://git.example.org/team/sums", allowed="", served="https://x:y@git.example.org/team/sums")  # fmt: skip
    assert not taken("/srv/a", allowed="")


def test_a_pattern_that_says_nothing_is_refused() -> None:
    for pattern in ("sums", "*", "./sums", "https://*.example.org/team/x"):
        with pytest.raises(WrongUse, match="ANCHORED_REPOS: "):
            check_taken("/srv/a", served=None, allowed=pattern)


def test_a_folder_is_what_it_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "outer"
    for root in (outer, tmp_path / "mine", tmp_path / "mine/vendor"):
        os.makedirs(root)
        os.system(f"git init --quiet {root}")
    (outer / "plain").mkdir()
    (tmp_path / "link").symlink_to(outer)
    monkeypatch.setenv("ANCHORED_REPO", str(tmp_path / "mine"))
    monkeypatch.setenv("ANCHORED_REPOS", f"{tmp_path}/link {outer}/plain")
    assert root_of(None) == root_of(str(tmp_path / "mine/../mine")) == tmp_path / "mine"
    refused = [tmp_path / "link", outer / "plain", outer, tmp_path / "mine/vendor"]
    for repo in map(str, refused):
        for opening in (root_of, folder_of):
            with pytest.raises(WrongUse, match="does not take"):
                opening(repo)
    # What was opened before is not asked for again.
    assert root_of(outer) == outer
    monkeypatch.delenv("ANCHORED_REPOS")
    assert root_of(str(outer)) == outer
