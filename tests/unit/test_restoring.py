"""Folders that runs are restored to, and files that may be put there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchored.decisions.restoring import folder_name, folders_of, wanted_files
from anchored.errors import BadInput
from anchored.records import Pointer

ONE, TWO = "1" * 32, "2" * 32
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)


@pytest.mark.parametrize(("name", "folder"), [
    ("experiment_v1", "experiment_v1"), ("lr=0.1, two", "lr=0.1, two"), ("größe", "größe"),
    ("a/b", "a%2Fb"), ("a%2Fb", "a%252Fb"), ("..", "%2E%2E"), (".x", "%2Ex"), ("-x", "%2Dx"),
    ("x.", "x%2E"), ("it's", "it%27s"), ("", "0123456789"),
])  # fmt: skip
def test_a_plain_name_is_kept_and_all_else_made_plain(name: str, folder: str) -> None:
    assert folder_name(name, "0123456789", is_alone=True) == folder


def test_a_name_that_several_runs_have_takes_their_id() -> None:
    assert folder_name("a", "0123456789", is_alone=False) == "a@01234567"
    assert folder_name("a@01234567", "9", is_alone=True) != "a@01234567"


@given(NAMES, NAMES)
def test_two_names_never_have_one_folder(one: str, other: str) -> None:
    folders = [folder_name(name, "0123456789", is_alone=False) for name in (one, other)]
    assert (folders[0] == folders[1]) == (one == other)
    for folder in folders:
        assert "/" not in folder
        assert folder[0] not in ".-"
        assert len(folder.encode()) < 255


def test_folders_stand_before_what_is_in_them() -> None:
    assert folders_of(["a/b/c", "a/d", "e", "a/b/f/g"]) == ["a", "a/b", "a/b/f"]


def test_one_path_has_one_content() -> None:
    pointer = Pointer("data/x", ONE)
    files = wanted_files([(pointer, {"data/x": ONE}), (pointer, {"data/x": ONE})])
    assert [file.path for file in files] == ["data/x"]
    with pytest.raises(BadInput, match="named twice"):
        wanted_files([(pointer, {"data/x": ONE}), (Pointer("data/x", TWO), {"data/x": TWO})])
    with pytest.raises(BadInput, match="both as a file and as a folder"):
        wanted_files([(pointer, {"data/x": ONE}), (Pointer("data", TWO), {"data": TWO})])
