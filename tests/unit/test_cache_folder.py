"""Clones and environments are kept in one folder of the user's cache."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from anchored.system.cache_folder import cache_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS has its own place")


@pytest.mark.parametrize(
    ("named", "folder"),
    [
        (None, "~/.cache/anchored"),
        ("", "~/.cache/anchored"),
        ("relative/caches", "~/.cache/anchored"),
        ("/srv/caches", "/srv/caches/anchored"),
        ("~/caches", "~/caches/anchored"),
    ],
)
def test_the_place_is_that_of_the_xdg_specification(
    named: str | None, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert cache_folder() == Path(folder).expanduser()


@pytest.mark.parametrize("named", [None, "relative/caches"])
def test_an_earlier_platformdirs_that_takes_a_relative_path_is_not_believed(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.setattr(
        "anchored.system.cache_folder.user_cache_path", lambda name, **_: Path("relative", name)
    )
    assert cache_folder() == Path("~/.cache/anchored").expanduser()
