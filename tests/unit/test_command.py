"""A parameter reaches the training command as it is, whatever it holds; nothing of it is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchored.decisions.command import filled_command, names_in_quotes
from anchored.decisions.naming import (
    Reference,
    checked_name,
    flow_tags,
    generated_name,
    reference_of,
    run_ref,
)
from anchored.errors import BadName
from anchored.records import ParamValue
from anchored.training_repo import now

NASTY = [
    "", " ", "'", '"', "''\"\"", "a b", "$(touch hacked)", "`touch hacked`", "; touch hacked",
    "&& touch hacked", "| tee hacked", "> hacked", "\n touch hacked\n", "a\nb", "\\", "\\'",
    "$HOME", "${HOME}", "*", "~", "!!", "#x", "-rf", "--", "é 🚀 \u200b", "%s", "{x}", "\t", "\x7f",
]  # fmt: skip


def shell(command: str, cwd: Path) -> list[str]:
    """The arguments that a real shell gives the program of a command."""
    done = subprocess.run(
        command, shell=True, executable="/bin/sh", cwd=cwd, capture_output=True, check=True
    )
    return [word.decode() for word in done.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("value", NASTY)
def test_a_value_arrives_as_one_word_and_is_not_run(value: str, tmp_path: Path) -> None:
    template = "printf '%s\\0' a {value} x={value} {value}"
    assert shell(filled_command(template, {"value": value}), tmp_path) == [
        "a", value, f"x={value}", value,
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_any_texts_arrive(tmp_path: Path, values: list[str]) -> None:
    params: dict[str, ParamValue] = {f"p{n}": value for n, value in enumerate(values)}
    template = "printf '%s\\0' a " + " ".join(f"{{{name}}}" for name in params)
    assert shell(filled_command(template, params), tmp_path) == ["a", *values]


def test_values_of_every_type_are_spelt_as_command_lines_do() -> None:
    params: dict[str, ParamValue] = {"n": 6, "rate": 0.5, "flag": True, "name": "a b"}
    assert filled_command("x {n} {rate} {flag} {name}", params) == "x 6 0.5 true 'a b'"
    assert filled_command("x {rate:.3f} {n:03d} {name!r} {{n}}", params) == (
        "x 0.500 006 ''\"'\"'a b'\"'\"'' {n}"
    )
    with pytest.raises(ValueError, match=r"\{name:d\}"):
        filled_command("x {name:d}", params)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("x {a} --y={b}", []),
        ("x '{a}' {b}", ["a"]),
        ('x "{a}" {b}', ["a"]),
        ('x "it\'s {a}" {b}', ["a"]),
        ("x '\"' {a}", []),
        ("x \\' {a}", []),
        ('x "\\"{a}" {b}', ["a"]),
        ("x \\{a}", ["a"]),
        ("x '\\' {a}", []),
        ("python -c 'print({{}})' {a}", []),
    ],
)
def test_placeholders_where_quoting_would_not_hold_are_found(
    template: str, names: list[str]
) -> None:
    assert list(names_in_quotes(template)) == names


def test_a_value_would_indeed_be_run_inside_quotes(tmp_path: Path) -> None:
    shell(filled_command('echo "{a}"', {"a": "$(touch hacked)"}), tmp_path)
    assert (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    "name",
    ["a", "experiment v2", 'it\'s "x"', "a/b", "é🚀", "x" * 200, "%_", "v1@2", "the latest", "latest-2",
     "abcde", "12345", "deadbeef-1", "deadbeef1x", "l\u0430test"],
)  # fmt: skip
def test_names_that_are_fine(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "  ", "x" * 201, "a\nb", "a\0", "\x1b[31m", "a\u2028b", "\udcff",
     # Characters that nobody sees, or that turn the others round.
     "a\u200bb", "a\u202eb", "\ufeffa", "a\u00adb", "a\u2066b", "\U000e0041",
     " a", "a ", "a\u00a0", "cafe\u0301"],
    ids=ascii,
)  # fmt: skip
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(BadName):
        checked_name(name)


@pytest.mark.parametrize(
    "name",
    ["@champion", "@", "@a b", "\uff20champion", "latest", "Latest", "LATEST", "\uff4catest",
     "abcdef", "ABCDEF", "123456", "deadbeef" * 4, "a" * 64, "\uff11" * 6],
)  # fmt: skip
def test_names_that_look_like_another_reference_are_refused(name: str) -> None:
    with pytest.raises(BadName, match="looks like") as refused:
        checked_name(name)
    assert refused.value.hint


def test_a_name_that_is_not_spelled_as_it_looks_is_told_how() -> None:
    with pytest.raises(BadName) as refused:
        checked_name(" cafe\u0301")
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(r"'caf\xe9'")


@pytest.mark.parametrize(
    ("wanted", "reference"),
    [
        ("@x", Reference.ALIAS),
        ("latest", Reference.LATEST),
        ("Latest", Reference.NAME),
        ("abcdef", Reference.ID_PREFIX),
        ("ABCDEF", Reference.ID_PREFIX),
        ("abcde", Reference.NAME),
        ("My-run", Reference.NAME),
        ("x7k2p9ab", Reference.NAME),
        ("", Reference.NAME),
    ],
)
def test_what_a_run_is_called_by_is_told_by_its_form(wanted: str, reference: Reference) -> None:
    assert reference_of(wanted) == reference


@pytest.mark.parametrize(
    "experiment",
    ["e" * 200, "@team", "deadbeef", "latest", " a ", "cafe\u0301", "a\u200bb", "\ufb03" * 200, "\udcff"],
    ids=ascii,
)  # fmt: skip
def test_a_generated_name_is_never_refused(experiment: str) -> None:
    assert checked_name(generated_name(experiment, now()))


def test_names_made_of_others() -> None:
    assert generated_name("cafe\u0301", now()).startswith("caf\xe9-2")
    assert flow_tags(name="n", commit="c" * 40, data="d" * 32, model="") == [
        "run:n", f"commit:{'c' * 12}", f"data:{'d' * 12}",
    ]  # fmt: skip
    ref = run_ref("0a1b")
    subprocess.run(["git", "check-ref-format", ref], check=True)
