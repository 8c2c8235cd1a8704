"""What differs between two runs, as pure functions of values."""

from __future__ import annotations

import pytest

from anchored.decisions.differences import (
    Change,
    CodeChange,
    Differences,
    Sides,
    differing,
    differing_environment,
    differing_files,
    differing_outputs,
    same_but_for_outputs,
)
from anchored.decisions.ignores import reopen_lines
from anchored.records import Environment, Pointer


def test_values_that_are_written_alike_are_alike() -> None:
    assert differing({"lags": 6, "rate": 0.1}, {"lags": "6", "rate": "0.1"}) == {}
    assert differing({"a": 1, "b": 2}, {"c": 3, "b": 3}) == {
        "a": Sides(1, None), "b": Sides(2, 3), "c": Sides(None, 3),
    }  # fmt: skip
    assert differing({"x": "None"}, {}) == {"x": Sides("None", None)}


def test_a_change_is_a_number_only_between_two() -> None:
    assert Sides(1.0, 0.5).change == -0.5
    assert Sides(None, 0.5).change is None
    assert Sides(1.0, None).change is None


def test_outputs_are_paired_by_path() -> None:
    a, a2, b, c = (Pointer(p, m) for p, m in (("a", "1"), ("a", "2"), ("b", "1"), ("c", "1")))
    assert differing_outputs([a, b], [a2, b, c]) == [(a, a2), (None, c)]
    assert differing_outputs([a], []) == [(a, None)]
    assert differing_outputs([a], [Pointer("a", "1", size=3, hash_name="md5-dos2unix")]) == []


def test_files_that_came_went_and_changed() -> None:
    before, after = {"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1", "d": "1"}
    assert differing_files(before, after) == {
        "a": Change.REMOVED, "b": Change.CHANGED, "d": Change.ADDED,
    }  # fmt: skip


def test_environments_differ_by_fact_package_and_variable() -> None:
    one = Environment(python="3.11.7", packages={"numpy": "1"}, variables={"python": "x"})
    other = one.with_(python="3.12.1", packages={"numpy": "2", "six": "1"}, variables={})
    assert differing_environment(one, other) == {
        "python": Sides("3.11.7", "3.12.1"),
        "packages/numpy": Sides("1", "2"),
        "packages/six": Sides(None, "1"),
        "variables/python": Sides("x", None),
    }
    assert differing_environment(None, None) == {}
    assert differing_environment(one, None) == {"record": Sides(one.md5, None)}


@pytest.mark.parametrize(
    ("before", "after", "file", "same"),
    [
        ("x\n", "x\n/numbers.csv\n", "data/.gitignore", True),
        ("", "/other.csv\n", "data/.gitignore", False),
        ("x\n/numbers.csv\n", "/numbers.csv\n", "data/.gitignore", False),
        ("a\nb\n", "b\na\n", ".gitignore", False),
        ("/numbers.csv\n", "", ".gitignore", False),
    ],
)
def test_a_gitignore_is_code_but_for_the_lines_of_outputs(
    before: str, after: str, file: str, *, same: bool
) -> None:
    outputs = ["data/numbers.csv", "models/deep/model.bin"]
    assert same_but_for_outputs(before.encode(), after.encode(), outputs, file) == same


@pytest.mark.parametrize(
    ("file", "ignored"), [(".gitignore", "models"), ("models/.gitignore", "models/deep")]
)
def test_lines_that_open_the_way_to_a_pointer_are_no_code(file: str, ignored: str) -> None:
    lines = reopen_lines("models/deep/model.bin.dvc", file, ignored)
    after = "mine\n" + "".join(f"{line}\n" for line in lines)
    assert same_but_for_outputs(b"mine\n", after.encode(), ["models/deep/model.bin"], file)


def test_runs_without_a_difference_have_none() -> None:
    code = CodeChange("a", "b")
    assert Differences(data=(), code=code).none
    assert not Differences(data=(), code=CodeChange("a", "", problem="lost")).none
    assert not Differences(data=(), code=code, params={"a": Sides(1, 2)}).none
    assert "patch" not in code.to_json()
