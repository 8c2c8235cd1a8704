"""Data in the user's folder are exchanged only while they are what was looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.adapters.dvc.folder_update import is_exchanged, is_put


@pytest.fixture(params=["file", "folder"])
def make(request: pytest.FixtureRequest) -> Callable[[Path, str], Path]:
    """Makes a file, or a folder with one, that holds a text; returns the file."""

    def file(place: Path, text: str) -> Path:
        place.write_text(text)
        return place

    def folder(place: Path, text: str) -> Path:
        place.mkdir()
        return file(place / "inner", text)

    return file if request.param == "file" else folder


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tmp_path / "new", tmp_path / "place", tmp_path / "old"


Places = tuple[Path, Path, Path]
Make = Callable[[Path, str], Path]


def test_what_is_known_makes_room(make: Make, places: Places) -> None:
    new, place, aside = places
    make(new, "newer")
    here = make(place, "older")
    assert is_exchanged(new, place, aside=aside, is_known=lambda: True)
    assert here.read_text() == "newer"
    assert not new.exists()


def test_what_is_not_known_stays(make: Make, places: Places) -> None:
    new, place, aside = places
    make(new, "newer")
    here = make(place, "theirs")
    assert not is_exchanged(new, place, aside=aside, is_known=lambda: False)
    assert here.read_text() == "theirs"


@pytest.mark.parametrize("in_place", [True, False])
def test_what_the_user_writes_meanwhile_stays(make: Make, places: Places, in_place: bool) -> None:
    new, place, aside = places
    make(new, "newer")
    here = make(place, "older")

    def written() -> bool:
        if in_place:
            here.write_text("theirs, longer")
        else:
            (other := here.with_name("other")).write_text("theirs")
            os.replace(other, here)
        return True

    assert not is_exchanged(new, place, aside=aside, is_known=written)
    assert here.read_text().startswith("theirs")


def test_a_link_into_the_cache_is_replaced_and_not_what_it_leads_to(
    tmp_path: Path, places: Places
) -> None:
    new, place, aside = places
    cached = tmp_path / "cached"
    cached.write_text("older")
    new.write_text("newer")
    place.symlink_to(cached)
    assert is_exchanged(new, place, aside=aside, is_known=lambda: True)
    assert (place.read_text(), place.is_symlink(), cached.read_text()) == ("newer", False, "older")


def test_a_file_becomes_a_folder(places: Places) -> None:
    new, place, aside = places
    new.mkdir()
    (new / "inner").write_text("newer")
    place.write_text("older")
    assert is_exchanged(new, place, aside=aside, is_known=lambda: True)
    assert (place / "inner").read_text() == "newer"


def test_nothing_is_put_over_something(make: Make, places: Places) -> None:
    new, place, _ = places
    here = make(place, "theirs")
    make(new, "newer")
    assert not is_put(new, place)
    assert here.read_text() == "theirs"
    assert is_put(new, place.parent / "deep" / "er")
