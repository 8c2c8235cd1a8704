"""A URL is told from a path, its branch from the rest, and its password goes nowhere."""

from __future__ import annotations

import pytest

from anchored.decisions.git_address import GitAddress, git_address


@pytest.mark.parametrize(
    ("text", "url", "branch", "name"),
    [
        ("https://example.org/team/sst.git", "https://example.org/team/sst.git", "", "sst"),
        ("https://example.org/sst/#dev/a@b", "https://example.org/sst/", "dev/a@b", "sst"),
        ("git@example.org:team/sst.git#main", "git@example.org:team/sst.git", "main", "sst"),
        ("example:sst", "example:sst", "", "sst"),
        ("git@[::1]:sst", "git@[::1]:sst", "", "sst"),
        ("ssh://git@example.org:22/~/my%20sst", "ssh://git@example.org:22/~/my%20sst", "",
         "my-20sst"),
        ("file:///srv/sst.git#x", "file:///srv/sst.git", "x", "sst"),
        ("https://ada:p#ss/w@rd@example.org/sst", "https://ada:p#ss/w@rd@example.org/sst", "",
         "sst"),
        ("https://example.org/sst?token=abc#main", "https://example.org/sst?token=abc", "main",
         "sst"),
        ("https://example.org/..", "https://example.org/..", "", "repo"),
    ],
)  # fmt: skip
def test_urls(text: str, url: str, branch: str, name: str) -> None:
    address = git_address(text)
    assert address is not None
    assert (address.url, address.branch, address.name) == (url, branch, name)
    assert address.folder.startswith(f"{name}-")


@pytest.mark.parametrize(
    "text",
    ["", ".", "~/sst", "/srv/sst", "runs/a:b", "./a:b", "-oProxyCommand=x:y", "ext::sh -c x", "://",
     "a@b", "/srv/a#b"],
)  # fmt: skip
def test_paths(text: str) -> None:
    assert git_address(text) is None


@pytest.mark.parametrize("login", ["ada:hunter2@", "hunter2@", "ada:hun/ter2@", "ada:hun@ter2@"])
def test_credentials_neither_show_nor_make_another_clone(login: str) -> None:
    plain, secret = (git_address(f"https://{who}h.org/sst#dev") for who in ("", login))
    assert isinstance(plain, GitAddress)
    assert isinstance(secret, GitAddress)
    assert login in secret.url
    assert (secret.shown, secret.folder) == (plain.shown, plain.folder)
    assert "hun" not in f"{secret!r}{secret.shown}{secret.folder}{secret.name}{secret.public}"
    again = git_address(secret.public)
    assert again is not None
    assert again.folder == secret.folder


def test_each_url_and_branch_has_a_folder_of_its_own() -> None:
    texts = ("https://a.org/sst", "https://b.org/sst", "https://a.org/sst#dev")
    assert len({address.folder for text in texts if (address := git_address(text))}) == 3
